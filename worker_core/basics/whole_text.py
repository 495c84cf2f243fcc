r"""Text from outside that Python can hold and UTF-8 cannot: halves of characters (lone UTF-16 surrogates).

JSON's `\ud83d` without its `\ude00`, bytes of a terminal that are no UTF-8: Python keeps them, and whatever writes them
down later raises. They are repaired where text comes in, so nothing else needs to know of them.
"""

from __future__ import annotations

import re
from typing import Final

_HALF: Final = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """`text` as Unicode allows it: two halves that belong together are joined, any other becomes U+FFFD."""
    if text.isascii() or not _HALF.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class WholeCharacters:
    """The same for text that comes in pieces: the halves of a character may stand in two of them."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """The text that is whole now; a first half at its end waits for the next piece."""
        text = self._half + piece
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return whole(text[:-1] if self._half else text)

    def flush(self) -> str:
        """The rest, at the end of the text."""
        rest, self._half = ("\ufffd" if self._half else ""), ""
        return rest
