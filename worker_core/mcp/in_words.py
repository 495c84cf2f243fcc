"""What the SDK and what it stands on say of a server's answer, in words for a person: neither classes nor links."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from worker_core.basics.visible import visible_line

if TYPE_CHECKING:
    from pydantic import ValidationError

_LONGEST: Final = 60
"""Characters of a name or of a revision that the server chose."""

_NOT_READ: Final = "Failed to parse"
_NO_ANSWER: Final = "Unexpected content type"
_REVISION: Final = re.compile(r"Unsupported protocol version from the server: (.*)", re.DOTALL)
_NO_REVISION: Final = "No mutually supported modern protocol version"
_SHOWN_TYPES: Final = re.compile(r"Unexpected content type: (text/html|text/plain|text/xml|application/xml)\b")
"""The SDK writes it in small letters: whatever else the server put there, a key of ours among it, is not recognised."""

_WANTED: Final[Mapping[str, str]] = {
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "mapping_type": "an object",
    "list_type": "a list",
    "string_type": "a text",
    "int_type": "a number",
    "int_parsing": "a number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
"""By pydantic's names for what is wrong."""


def in_words(error: BaseException, *, mask: Callable[[str], str]) -> str:
    """A clause; empty where the error speaks for itself. `mask` hides secrets: before anything is cut."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return _misfit(error, mask)
    said = str(error)
    if said.startswith(_NOT_READ):
        return "its answer is no message of the protocol"
    if said.startswith(_NO_ANSWER):
        shown = _SHOWN_TYPES.match(said)
        return f"its answer is no message of the protocol{f', but {shown[1]}' if shown else ''}"
    if (revision := _REVISION.match(said)) is not None:
        return f"it speaks the revision {_cut(mask(revision[1]))!r} of the protocol, which this worker does not know"
    if said.startswith(_NO_REVISION):
        return "it speaks no revision of the protocol that this worker knows"
    return ""


def _misfit(error: ValidationError, mask: Callable[[str], str]) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    # Where one of several classes may stand, each of them has its own complaint: the place is what they share.
    within = [part for part in first["loc"] if isinstance(part, str) and part[:1].isupper()]
    shared = first["loc"][: first["loc"].index(within[0])] if within else first["loc"]
    place = _place([mask(part) if isinstance(part, str) else part for part in shared])
    if within:
        return f"in its answer, {place} is nothing that the protocol knows there"
    if first["type"] == "missing":
        return f"in its answer, {place} is missing"
    wanted = _WANTED.get(first["type"])
    is_there = f"in its answer, {place} is {_kind(first['input'])}"
    return f"{is_there} where {wanted} belongs" if wanted else f"{is_there}, and nothing that the protocol knows there"


def _place(parts: Sequence[int | str]) -> str:
    named = "".join(f"[{part}]" if isinstance(part, int) else f".{_cut(part)}" for part in parts[:8])
    return f"`{named.removeprefix('.')}`" if named else "the whole"


def _kind(value: object) -> str:
    """Not the value itself: it may be one of ours."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
    return "something else"


def _cut(text: str) -> str:
    shown = visible_line(text[: _LONGEST + 1])
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
