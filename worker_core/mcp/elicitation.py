"""What a server asks the user in the middle of a call: a form of a few plain fields, or to open an address.

Every word of it is the server's: bounded, and written so that nothing in it is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.visible import visible, visible_line
from worker_core.errors import KubiyaError
from worker_core.logs.redaction import masked_data
from worker_core.snapshot import QuestionField

if TYPE_CHECKING:
    from mcp.types import ElicitRequestParams

MOST_FIELDS: Final = 20
MOST_OPTIONS: Final = 50
_LONGEST_MESSAGE: Final = 2000
_LONGEST_LABEL: Final = 100
_LONGEST_ABOUT: Final = 300
_LONGEST_URL: Final = 2000

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_SECRET: Final = re.compile(
    r"passw|passphrase|secret|credential|token|api.?key|private.?key|access.?key|\bpin\b|\bcvv\b|\bcvc\b|\botp\b|"
    r"one.?time|card.?number|\biban\b|social.?security|\bssn\b",
    re.IGNORECASE,
)


class Unaskable(KubiyaError):
    """A question that is not put to anybody; it is declined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elicited:
    """What is shown and filled in."""

    parts: tuple[tuple[str, str], ...]
    fields: tuple[QuestionField, ...] = ()


def question_of(alias: str, params: ElicitRequestParams, *, mask: Callable[[str], str] = str) -> Elicited:
    """The question as it is shown.

    Args:
        alias: of the server.
        params: as the server sent them.
        mask: hides secrets in its words, before any of them is cut.

    Raises:
        Unaskable: it asks for a secret, or for something that is no form.
    """
    server = f"The MCP server {alias[:100]!r}"
    asks = ("asks", _cut(visible(mask(params.message)), _LONGEST_MESSAGE))
    if params.mode == "url":
        try:
            parts = urlsplit(params.url)
            host = parts.hostname or ""
        except ValueError:
            host, parts = "", urlsplit("")
        if parts.scheme not in {"http", "https"} or not host or len(params.url) > _LONGEST_URL:
            raise Unaskable(f"{server} asked its user to open something that is no web address; that was declined.")
        return Elicited(
            parts=(asks, ("opens the host", visible_line(host)), ("the address", visible_line(params.url))),
        )
    try:
        return Elicited(parts=(asks,), fields=_fields(masked_data(params.requested_schema, mask)))
    except _Wrong as error:
        raise Unaskable(f"{server} asked its user with a form that {error}; that was declined.") from None


class _Wrong(Exception):
    pass


def _fields(schema: Mapping[str, Any]) -> tuple[QuestionField, ...]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or len(properties) > MOST_FIELDS:
        raise _Wrong(f"is none, or has more than {MOST_FIELDS} fields")
    required = schema.get("required")
    needed = set(map(str, required)) if isinstance(required, list) else set()
    fields = tuple(_field(str(name), about, required=str(name) in needed) for name, about in properties.items())
    if needed - {field.name for field in fields}:
        raise _Wrong("requires a field that it does not have")
    return fields


def _field(name: str, about: object, *, required: bool) -> QuestionField:
    if not _NAME.fullmatch(name) or not isinstance(about, Mapping):
        raise _Wrong("has a field that is none")
    label = _cut(visible_line(str(about.get("title") or name)), _LONGEST_LABEL)
    more = [str(about.get(key)) for key in ("description", "format") if isinstance(about.get(key), str)]
    if _SECRET.search(_spaced(name)) or any(_SECRET.search(one) for one in (label, *more)):
        raise _Wrong(f"wants a secret (the field {name!r}), and secrets are not given in forms")
    kind = _kind(about)
    options = _options(about["items"] if kind == "choices" else about) if kind in {"choice", "choices"} else ()
    least, most = {
        "text": ("minLength", "maxLength"),
        "choices": ("minItems", "maxItems"),
    }.get(kind, ("minimum", "maximum"))
    default = about.get("default")
    return QuestionField(
        name=name,
        label=label,
        kind=kind,
        about=_cut(visible_line("; ".join(more)), _LONGEST_ABOUT),
        required=required,
        options=tuple(value for value, _ in options),
        shown=tuple(words for _, words in options),
        default=_default(default),
        least=_number(about.get(least), -1e18 if kind in {"number", "integer"} else 0.0),
        most=_number(about.get(most), 1e18),
    )


def _kind(about: Mapping[str, Any]) -> Literal["text", "number", "integer", "boolean", "choice", "choices"]:
    match about.get("type", "string"):
        case "string":
            return "choice" if "enum" in about or "oneOf" in about else "text"
        case "number":
            return "number"
        case "integer":
            return "integer"
        case "boolean":
            return "boolean"
        case "array" if isinstance(about.get("items"), Mapping):
            return "choices"
    raise _Wrong("has a field that is neither text, number, yes or no, nor a choice")


def _options(about: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Values, and what stands for them."""
    titled = about.get("oneOf") or about.get("anyOf")
    if isinstance(titled, list):
        pairs = [(one.get("const"), one.get("title")) for one in titled if isinstance(one, Mapping)]
    else:
        values, names = about.get("enum"), about.get("enumNames")
        values = values if isinstance(values, list) else []
        names = names if isinstance(names, list) and len(names) == len(values) else values
        pairs = list(zip(values, names, strict=True))
    if not 0 < len(pairs) <= MOST_OPTIONS:
        raise _Wrong(f"has a choice of nothing, or of more than {MOST_OPTIONS}")
    for value, _ in pairs:
        if not isinstance(value, str) or len(value) > _LONGEST_LABEL or visible_line(value) != value or "," in value:
            raise _Wrong("has a choice that cannot be written in a line")
    return tuple((str(value), _cut(visible_line(str(words or value)), _LONGEST_LABEL)) for value, words in pairs)


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ",".join(str(one) for one in value)
    text = str(value) if isinstance(value, str | int | float) else ""
    return text if len(text) <= _LONGEST_ABOUT and visible_line(text) == text else ""


def _number(value: object, default: float) -> float:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e18
    return float(value) if is_one and isinstance(value, int | float) else default


def _spaced(name: str) -> str:
    """`cardPin` as words."""
    return re.sub(r"[_.-]", " ", re.sub(r"([a-z])([A-Z])", r"\1 \2", name))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
