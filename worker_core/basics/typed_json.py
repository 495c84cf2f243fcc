"""Values of a type from JSON, by msgspec. Nobody else asks it for them: a test of the architecture holds that.

What msgspec (0.22.0) knows of a class is kept at that class, and stands there before it is whole: another thread that
looks for it meanwhile ends the process. So the first look at each type is one thread's alone.
"""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import msgspec

_Value = TypeVar("_Value")

_DECODERS: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}
_FIRST_LOOK: Final = RLock()
"""Of `threading` only the lock: workflow code, which knows no threads, reads its payloads by this; nothing is awaited
while it is held.
"""


def decode(content: bytes | bytearray | str, kind: type[_Value]) -> _Value:
    """The value of type `kind` that a JSON text stands for.

    Raises:
        msgspec.DecodeError: it is no JSON, or its value is none of `kind` (`msgspec.ValidationError`).
        UnicodeDecodeError: it is no UTF-8.
        RecursionError: it is nested too deep.
    """
    return cast(_Value, _decoder(kind).decode(content))


def convert(
    value: object,
    kind: type[_Value],
    *,
    strict: bool = True,
    dec_hook: Callable[[type, Any], Any] | None = None,
) -> _Value:
    """The value of type `kind` that plain values (as JSON has them) stand for.

    Args:
        value: what was read.
        kind: a class, or any other type hint.
        strict: without it, text that reads as a number, a truth or nothing is taken as such.
        dec_hook: what makes values of types that msgspec does not know.

    Raises:
        msgspec.ValidationError: it is none of `kind`.
    """
    _decoder(kind)
    return msgspec.convert(value, kind, strict=strict, dec_hook=dec_hook)


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    known = _DECODERS.get(kind)
    if known is None:
        with _FIRST_LOOK:
            known = _DECODERS.setdefault(kind, msgspec.json.Decoder(kind))
    return known
