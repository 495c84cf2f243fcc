"""JSON that strangers write: models, tools, MCP servers, gateways, the control plane. What is read here can be written
again, by anything that writes JSON: no half characters, nothing that nests deeper than `DEEPEST`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from worker_core.basics.whole_text import whole

DEEPEST: Final = 100
"""Arrays and objects inside each other. Python's own limit depends on who asks, so a fixed one far below it decides."""

TOO_DEEP: Final = "[nested too deep]"
"""Stands where something nested deeper was left out."""

_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
_MARKS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class NestedTooDeep(ValueError):
    """The text may be JSON, but nests deeper than anything here goes."""

    def __init__(self) -> None:
        super().__init__(f"it nests more than {DEEPEST} levels deep")


def loads(text: str | bytes) -> Any:
    """The value of a JSON text, whose strings are whole. NaN and Infinity are taken, as many programs write them.

    Raises:
        NestedTooDeep: it nests more than `DEEPEST` levels deep.
        ValueError: it is no JSON.
    """
    text = whole(text) if isinstance(text, str) else text.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text)
    except RecursionError:
        raise NestedTooDeep from None
    if is_too_deep(value):
        raise NestedTooDeep
    return tamed(value) if _HALF.search(text) else value


def shallow(text: str, *, deepest: int = DEEPEST) -> str:
    """A JSON text with a remark in the place of each array or object that lies deeper than `deepest`."""
    kept: list[str] = []
    depth = at = 0
    for mark in _MARKS.finditer(text):
        sign = mark[0]
        if sign in "[{":
            depth += 1
            if depth == deepest + 1:
                kept += [text[at : mark.start()], f'"{TOO_DEEP}"']
        elif sign in "]}":
            if depth == deepest + 1:
                at = mark.end()
            depth -= 1
    return "".join([*kept, text[at:]]) if depth <= deepest else "".join(kept)


def is_too_deep(value: object) -> bool:
    """Whether a value of JSON's types nests more than `DEEPEST` levels deep. Without recursion."""
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def tamed(value: Any, *, deepest: int = DEEPEST) -> Any:
    """`value` as JSON can hold it: strings whole, keys as text, what is nested deeper than `deepest` left out.
    What JSON has no word for stays as it is.
    """
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        if deepest <= 0:
            return TOO_DEEP
        return {whole(str(key)): tamed(one, deepest=deepest - 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [tamed(one, deepest=deepest - 1) for one in value] if deepest > 0 else TOO_DEEP
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (one.name for one in dataclasses.fields(value))
        return {name: tamed(getattr(value, name), deepest=deepest) for name in names}
    if isinstance(value, msgspec.Struct):
        return {name: tamed(one, deepest=deepest) for name, one in _sent(value)}
    return value


def encode(value: object) -> bytes:
    """`value` as JSON, whatever it holds: what JSON has no word for becomes its text."""
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except (UnicodeEncodeError, RecursionError, TypeError):
        return msgspec.json.encode(tamed(value), enc_hook=_text)


def _sent(value: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    """The fields of a struct that its JSON has."""
    for field in msgspec.structs.fields(value):
        held = getattr(value, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if not (value.__struct_config__.omit_defaults and held == default):
            yield field.encode_name, held


def _text(value: object) -> str:
    return whole(str(value))
