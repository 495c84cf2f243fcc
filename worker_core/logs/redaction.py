"""Masking: secret values, in every form they are likely to be printed in, become stars before a text leaves.

What is masked: values that were registered (6 characters or more), their base64 at all three alignments, URL-quoted,
JSON-escaped, shell-quoted and hexadecimal forms, each line of a multi-line secret; and by pattern, credentials in URLs
and in `Authorization` headers.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from threading import Lock
from urllib.parse import quote, quote_plus

from worker_core.secrets import Secret

MASK = "***"
SHORTEST = 6
"""Shorter values are left alone: masking a `1` makes logs unreadable and protects nothing."""

_PATTERNS = (
    (re.compile(r"(?<=://)[^\s/@:]{1,256}:[^\s/@]{1,256}(?=@)"), MASK),
    (
        re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|userkey|token)\s+)[^\s\"',;]{4,}"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{12,}"), rf"\1{MASK}"),
)
_PATTERN_HINT = re.compile(r"(?i)://|authorization|bearer")


class Redactor:
    """Knows the secrets of a process. Safe to use from any thread."""

    def __init__(self) -> None:
        self._forms: frozenset[str] = frozenset()
        self._lock = Lock()
        self._expression: re.Pattern[str] | None = None
        self._compiled_for: frozenset[str] = frozenset()
        self.longest = 0

    def add(self, secret: str | Secret) -> None:
        """Mask a value from now on, in all its forms."""
        value = secret.reveal() if isinstance(secret, Secret) else secret
        forms = frozenset(form for form in _forms(value) if len(form) >= SHORTEST)
        with self._lock:
            if forms <= self._forms:
                return
            self._forms |= forms
            self.longest = max(self.longest, *map(len, forms))

    def mask(self, text: str) -> str:
        """The text with every known secret replaced."""
        if (expression := self._found_by()) is not None:
            text = expression.sub(MASK, text)
        if _PATTERN_HINT.search(text):
            for pattern, replacement in _PATTERNS:
                text = pattern.sub(replacement, text)
        return text

    def known_in(self, text: str) -> list[tuple[int, int]]:
        """Start and end of registered values; they may overlap."""
        expression = self._found_by()
        return [] if expression is None else [found.span() for found in expression.finditer(text)]

    def stream(self) -> StreamRedactor:
        """A masker for a text that comes in pieces."""
        return StreamRedactor(self)

    def safe_length(self, text: str) -> int:
        """How much of `text` may be masked and sent on now, whatever comes after it.

        An ending that could be the beginning of a secret stays back, and so does a match that touches it: a longer
        secret may begin with a shorter one.
        """
        forms, expression = self._forms, self._found_by()
        if expression is None:
            return len(text)
        for start in range(max(0, len(text) - self.longest + 1), len(text)):
            tail = text[start:]
            if any(len(form) > len(tail) and form.startswith(tail) for form in forms):
                spanning = (match.start() for match in expression.finditer(text) if match.start() < start < match.end())
                return min(spanning, default=start)
        return len(text)

    def _found_by(self) -> re.Pattern[str] | None:
        """Compiled when it is needed: many secrets are often added one after the other."""
        if self._forms and self._compiled_for is not self._forms:
            with self._lock:
                forms = self._forms
                ordered = sorted(forms, key=len, reverse=True)
                self._expression = re.compile("|".join(re.escape(form) for form in ordered))
                self._compiled_for = forms
        return self._expression


class StreamRedactor:
    """Holds back an ending that could be the beginning of a secret, and nothing else."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """What may leave now."""
        text = self._held + piece
        cut = self._redactor.safe_length(text)
        self._held = text[cut:]
        return self._redactor.mask(text[:cut])

    def flush(self) -> str:
        """The rest, at the end of the text."""
        rest, self._held = self._redactor.mask(self._held), ""
        return rest


def _forms(value: str) -> set[str]:
    stripped = value.strip()
    forms = {value, stripped}
    if "\n" in stripped:
        forms |= {line.strip() for line in stripped.splitlines()}
    for text in tuple(forms):
        if len(text) < SHORTEST:
            continue
        data = text.encode("utf-8", "surrogatepass")
        forms |= {quote(text, safe="", errors="replace"), quote_plus(text, errors="replace")}
        forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
        forms |= {shlex.quote(text).strip("'"), data.hex(), data.hex().upper()}
        forms |= _base64_forms(data)
    return forms


def _base64_forms(data: bytes) -> set[str]:
    """The part of the encoding that depends on the secret alone, at the three ways it may fall on 6-bit borders."""
    forms = set()
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + data).decode().rstrip("=")
        skip = (0, 2, 3)[lead]
        # The last character may mix with what follows the secret.
        end = len(encoded) if (lead + len(data)) % 3 == 0 else len(encoded) - 1
        core = encoded[skip:end]
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms
