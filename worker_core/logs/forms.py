"""The forms in which a secret is printed by the programs that handle it: quoted, escaped, encoded."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final
from urllib.parse import quote

SHORTEST: Final = 6
"""Characters. Shorter values are left alone: masking a `1` makes logs unreadable and protects nothing."""

LONGEST: Final = 64
"""Characters of one form. Longer ones are known in pieces of half as many at least, so a secret that was cut off is
masked as far as it stands there, and a stream never waits for more than this.
"""

_HARMLESS = re.compile(r"[A-Za-z0-9_.-]*\Z")
"""No program quotes or escapes these."""

_LINE_BREAKS = re.compile(r"[\r\n]+")
_PERCENT = re.compile("%[0-9A-F]{2}")

# Each names the characters that it leaves as they are, beside letters, digits and `_.-~`.
_URL_SAFE: Final = (
    "",  # Python's quote(safe=""), Go's QueryEscape
    "/",  # Python's quote
    "!*'()",  # JavaScript's encodeURIComponent
    "!*'();,/?:@&=+$#",  # JavaScript's encodeURI
    "$&+=:@",  # Go's PathEscape
    "*",  # HTML forms, Java's URLEncoder; these write a blank as +
)
_HTML: Final[tuple[dict[int, str], ...]] = (
    str.maketrans({}),  # text between tags
    str.maketrans({'"': "&quot;", "'": "&#x27;"}),  # Python, React
    str.maketrans({'"': "&#34;", "'": "&#39;"}),  # Go, Jinja
    str.maketrans({'"': "&#34;", "'": "&#39;", "+": "&#43;"}),  # Go's html/template
    str.maketrans({'"': "&quot;", "'": "&apos;"}),  # XML
    str.maketrans({'"': "&quot;", "'": "&#039;"}),  # PHP
    str.maketrans({'"': "&quot;", "'": "&#39;"}),  # .NET, JavaScript's libraries
    str.maketrans({'"': "&quot;", "'": "&#39;", "/": "&#x2F;", "`": "&#x60;", "=": "&#x3D;"}),  # Mustache
    str.maketrans({'"': "&quot;", "'": "&#x27;", "`": "&#x60;", "=": "&#x3D;"}),  # Handlebars
)
_GO_JSON = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"})
_DOTNET_JSON = str.maketrans({char: rf"\u{ord(char):04x}" for char in "\"&'+<>`"} | {"\\": r"\\"})
_DIGITS = re.compile(r"(?<=\\u)[0-9a-f]{4}")
_SHELL_ESCAPED = re.compile(r"""([\s'"\\<>&$!*()|;`{}\[\]?^,])""")
_IN_DOUBLE_QUOTES = re.compile(r'([$`"\\])')


def without_line_breaks(text: str) -> str:
    """`text` as it is looked through: encoders break their output into lines, at 64, 76 or any other length."""
    return text.replace("\n", "").replace("\r", "")


def forms_of(value: str) -> frozenset[str]:
    """Everything that is to be looked for on behalf of one secret: no text shorter than SHORTEST, none longer than
    LONGEST.

    These are: the value and each of its lines, as they are and as URLs, JSON, HTML, SQL, shells and Go, Python, PHP and
    .NET programs quote them, in hexadecimal digits, and in base64 wherever it may fall on the borders of 6 bits.
    """
    found: set[str] = set()
    lines = {line.strip() for line in _LINE_BREAKS.split(value)}
    for text in {value, value.strip(), *lines}:
        if len(text) >= SHORTEST:
            for form in _forms(text):
                found.update(_pieces(form))
    return frozenset(found)


def _pieces(form: str) -> Iterator[str]:
    """Cut into as many parts of one length as are needed; those that are too short are left out."""
    if SHORTEST <= len(form) <= LONGEST:
        yield form
    elif len(form) > LONGEST:
        parts = -(-len(form) // LONGEST)
        borders = [len(form) * number // parts for number in range(parts + 1)]
        for start, end in pairwise(borders):
            yield form[start:end]


def _forms(text: str) -> Iterator[str]:
    data = text.encode("utf-8", "surrogatepass")
    yield without_line_breaks(text)
    yield data.hex()
    yield data.hex().upper()
    yield from _base64(data)
    if not _HARMLESS.match(text) and not _LINE_BREAKS.search(text):  # of several lines, each is known by itself
        yield from _urls(text)
        yield from _json(text)
        yield from _html(text)
        yield from _quoted(text, data)


def _base64(data: bytes) -> Iterator[str]:
    """The part of the encoding that depends on the secret alone, at the three ways it may fall on 6-bit borders."""
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + data).decode().rstrip("=")
        skip = (0, 2, 3)[lead]
        # The last character may mix with what follows the secret.
        end = len(encoded) if (lead + len(data)) % 3 == 0 else len(encoded) - 1
        core = encoded[skip:end]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _urls(text: str) -> Iterator[str]:
    for safe in _URL_SAFE:
        encoded = quote(text, safe=safe, errors="replace")
        # A blank is a plus in forms. RFC 3986 (2.1) takes small digits for the same. Java escapes `~`, as all once did.
        for form in {encoded, encoded.replace("%20", "+"), encoded.replace("~", "%7E")}:
            yield form
            yield _PERCENT.sub(_small, form)


def _small(match: re.Match[str]) -> str:
    return match.group().lower()


def _json(text: str) -> Iterator[str]:
    escaped, plain = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    for form in (escaped, plain):
        yield form
        yield form.replace("/", r"\/")  # PHP
        yield form.translate(_GO_JSON)
        yield json.dumps(form, ensure_ascii=False)[1:-1]  # JSON in JSON
    dotnet = json.dumps(text.translate(_DOTNET_JSON))[1:-1].replace(r"\\", "\\")
    yield _DIGITS.sub(lambda match: match.group().upper(), dotnet)


def _html(text: str) -> Iterator[str]:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for entities in _HTML:
        yield escaped.translate(entities)


def _quoted(text: str, data: bytes) -> Iterator[str]:
    """As literals of Python, SQL and CSV, and as words of a shell."""
    yield repr(text)[1:-1]
    yield repr(data)[2:-1]
    doubled: tuple[Callable[[str], str], ...] = (
        lambda one: one.replace("'", "''"),
        lambda one: one.replace('"', '""'),
        lambda one: one.replace("'", r"\'"),
        lambda one: one.replace('"', r"\""),
    )
    for quoted in doubled:
        yield quoted(text)
        yield quoted(text.replace("\\", r"\\"))
    yield shlex.quote(text).strip("'")
    yield text.replace("'", r"'\''")
    yield _SHELL_ESCAPED.sub(r"\\\1", text)  # printf %q
    yield _IN_DOUBLE_QUOTES.sub(r"\\\1", text)
    yield text.replace("\\", r"\\")
