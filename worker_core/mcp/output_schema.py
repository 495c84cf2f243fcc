"""Whether a result is what its tool's `outputSchema` promises: a remark for the model, no reason to lose the result.

The SDK raises where it is not, with a library that follows patterns and references of a stranger for as long as they
go. Here the plain keywords are looked at, for so many steps; what is not understood fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

MOST_STEPS: Final = 20_000
DEEPEST: Final = 60
_SHOWN: Final = 120
"""Characters of a value in a remark."""

_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
}


class _Undecided(Exception):
    """Too much to look at."""


def misfit(schema: Mapping[str, Any], content: object) -> str:
    """What of a result does not fit, as a clause; empty where nothing is known not to.

    Args:
        schema: as the server declared it; nothing of it is trusted.
        content: the structured content. None: there is none.
    """
    if content is None:
        return "it is missing" if schema.get("type", "object") != "null" else ""
    try:
        return next(_Check(schema).misfits(schema, content, "", DEEPEST), "")
    except _Undecided:
        return ""


class _Check:
    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole
        self._steps = MOST_STEPS

    def _count(self, steps: int = 1) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise _Undecided

    def misfits(self, schema: object, value: Any, at: str, depth: int) -> Iterator[str]:
        self._count()
        if depth == 0:
            raise _Undecided
        if not isinstance(schema, Mapping):
            if schema is False:
                yield f"{_place(at)} should not be there"
            return
        if "$ref" in schema:  # what stands beside it counts in some drafts and not in others
            yield from self.misfits(self._referred(schema["$ref"]), value, at, depth - 1)
            return
        yield from self._of_itself(schema, value, at)
        yield from self._of_choices(schema, value, at, depth)
        if isinstance(value, Mapping):
            yield from self._of_object(schema, value, at, depth)
        elif isinstance(value, list) and isinstance(schema.get("items"), Mapping) and "prefixItems" not in schema:
            for number, one in enumerate(value):
                yield from self.misfits(schema["items"], one, _below(at, f"[{number}]"), depth - 1)

    def _of_itself(self, schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
        wanted = schema.get("type")
        kinds = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
        if kinds and all(isinstance(kind, str) and kind in _TYPES and not _TYPES[kind](value) for kind in kinds):
            yield f"{_place(at)} should be of type {' or '.join(kinds)}, and is {_shown(value)}"
        if isinstance(values := schema.get("enum"), list):
            self._count(len(values))
            if not any(_same(one, value) for one in values):
                yield f"{_place(at)} is none of the values that are allowed: {_shown(value)}"
        if "const" in schema and not _same(schema["const"], value):
            yield f"{_place(at)} should be {_shown(schema['const'])}, and is {_shown(value)}"

    def _of_choices(self, schema: Mapping[str, Any], value: Any, at: str, depth: int) -> Iterator[str]:
        for one in _listed(schema.get("allOf")):
            yield from self.misfits(one, value, at, depth - 1)
        for key in ("anyOf", "oneOf"):
            choices = _listed(schema.get(key))
            if choices and all(any(True for _ in self.misfits(one, value, at, depth - 1)) for one in choices):
                yield f"{_place(at)} is nothing that is allowed: {_shown(value)}"

    def _of_object(self, schema: Mapping[str, Any], value: Mapping[str, Any], at: str, depth: int) -> Iterator[str]:
        for name in _listed(schema.get("required")):
            self._count()
            if isinstance(name, str) and name not in value:
                yield f"{_place(_below(at, f'.{name[:_SHOWN]}'))} is missing"
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        for name, one in value.items():
            if name in properties:
                yield from self.misfits(properties[name], one, _below(at, f".{name[:_SHOWN]}"), depth - 1)
            elif schema.get("additionalProperties") is False and "patternProperties" not in schema:
                yield f"{_place(_below(at, f'.{name[:_SHOWN]}'))} should not be there"

    def _referred(self, reference: object) -> object:
        """Within the schema alone; True, which all fits, for any other."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            return True
        found: object = self._whole
        for part in reference.split("/")[1:]:
            if not isinstance(found, Mapping):
                return True
            found = found.get(part.replace("~1", "/").replace("~0", "~"), True)
        return found


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _same(one: object, other: object) -> bool:
    """As JSON sees it: true is no 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _below(at: str, part: str) -> str:
    return f"{at[: 2 * _SHOWN]}{part}"


def _place(at: str) -> str:
    return f"`{at.removeprefix('.')[: 2 * _SHOWN]}`" if at else "the whole"


def _shown(value: object) -> str:
    if isinstance(value, str):
        value = value[: _SHOWN + 1]
    text = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, list | Mapping) else ""
    if not text:
        return "an array" if isinstance(value, list) else "an object"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
