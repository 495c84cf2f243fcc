"""Parts of an answer that belong to its server's protocol: kept as they came, and sent back unchanged.

Reasoning that a model wants to see again (`reasoning_content`, `reasoning_details`), signatures over it
(`thinking_blocks`, Gemini's `thought_signature`), and the two boxes in which gateways put such things.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from worker_core.basics.foreign_json import tamed

_BOXES: Final = frozenset({"provider_specific_fields", "extra_content"})
_BY_NAME: Final = re.compile("reason|think|thought|signature")
_TEXTS: Final = frozenset({"reasoning_content", "reasoning", "reasoning_text", "thinking", "text", "summary", "data"})
"""Come in pieces that are to be joined; any other text comes whole."""


_NUMBER_BYTES: Final = 24


class _Pieces(list[str]):
    """A text that is still growing."""


class Allowance:
    """How much several may keep together."""

    def __init__(self, size: int) -> None:
        """`size`: bytes."""
        self.left = size


class OpaqueParts:
    """Those of one message, call or function, as they grow."""

    def __init__(self, *, largest: int, together: Allowance | None = None) -> None:
        """More is not kept at all, since a part of it would be refused.

        Args:
            largest: bytes.
            together: with others.
        """
        self._parts: dict[str, Any] = {}
        self._left = largest
        self._together = together or Allowance(largest)

    def feed(self, raw: Mapping[str, Any]) -> bool:
        """Take what is opaque in a delta; what is null says nothing. Returns whether any text or block was in it."""
        found = False
        for key, value in raw.items():
            if value is not None and (key in _BOXES or _BY_NAME.search(key)):
                if self._left >= 0:
                    self._parts[key] = self._fold(self._parts.get(key), value, key)
                found = found or (bool(value) and key not in _BOXES)
        return found

    def plain(self) -> dict[str, Any]:
        """What came."""
        return {} if self._left < 0 else dict(tamed(_plain(self._parts)))

    def _fold(self, known: Any, piece: Any, key: str) -> Any:
        """`known`, which is ours to change, with the next piece of the same part."""
        match piece:
            case str():
                self._spend(len(piece.encode("utf-8", "surrogatepass")))
                if key in _TEXTS:
                    pieces = known if isinstance(known, _Pieces) else _Pieces()
                    pieces.append(piece)
                    return pieces
                return piece or known
            case dict():
                parts = known if isinstance(known, dict) else {}
                for name, value in piece.items():
                    if self._left < 0:
                        break
                    if name not in parts:
                        self._spend(len(name.encode("utf-8", "surrogatepass")))
                    parts[name] = self._fold(parts.get(name), value, name)
                return parts
            case list():
                blocks = known if type(known) is list else []
                for value in piece:
                    if self._left < 0:
                        break
                    place = _place(blocks, value)
                    if place is None:
                        self._spend(1)
                        blocks.append(self._fold(None, value, key))
                    else:
                        blocks[place] = self._fold(blocks[place], value, key)
                return blocks
            case None:
                return known
            case _:
                self._spend(piece.bit_length() // 3 if isinstance(piece, int) else _NUMBER_BYTES)
                return piece

    def _spend(self, size: int) -> None:
        self._left -= size
        self._together.left -= size
        if self._together.left < 0:
            self._left = -1


def _place(blocks: list[Any], piece: Any) -> int | None:
    """Of the block that this is a piece of. Those with an index are joined by it; one without goes on with the block
    before it, until that is signed.
    """
    if not isinstance(piece, dict):
        return None
    kind, index = piece.get("type"), piece.get("index")
    if index is not None:
        for place in range(len(blocks) - 1, -1, -1):
            block = blocks[place]
            if isinstance(block, dict) and block.get("index") == index and block.get("type") == kind:
                return place
        return None
    last = blocks[-1] if blocks else None
    if not isinstance(last, dict) or last.get("type") != kind or "data" in piece or last.get("signature"):
        return None
    return len(blocks) - 1


def _plain(value: Any) -> Any:
    match value:
        case _Pieces():
            return "".join(value)
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case _:
            return value
