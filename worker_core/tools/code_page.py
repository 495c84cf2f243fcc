"""Output of Windows' programs as UTF-8: they write into pipes in the OEM code page of the console."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final

CODE_PAGE: Final = "oem" if sys.platform == "win32" else ""
"""Python's name for it; empty where programs write UTF-8, or what else it is has no name."""

_LONGEST_LINE_BYTES: Final = 64 * 1024


def in_utf8(pieces: Iterable[bytes], *, code_page: str) -> Iterator[bytes]:
    """The same, where a line that is no UTF-8 is taken for one in the code page. With a NUL in it, it is no text and
    stays as it is. Line by line, since one program of a script may write the one, and the next the other.

    Args:
        pieces: in any sizes. Of a line, 64 KB are looked at together.
        code_page: a codec's name; empty: nothing is changed.
    """
    if not code_page:
        yield from pieces
        return
    held = b""
    for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        if lines:
            yield b"".join(_in_utf8(line + b"\n", code_page) for line in lines)
        if len(held) > _LONGEST_LINE_BYTES:
            at = _whole_characters(held)
            yield _in_utf8(held[:at], code_page)
            held = held[at:]
    if held:
        yield _in_utf8(held, code_page)


def _in_utf8(line: bytes, code_page: str) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError:
        return line if b"\0" in line else line.decode(code_page, "replace").encode()
    return line


def _whole_characters(data: bytes) -> int:
    """Where the last character of UTF-8 that may go on begins; else the end."""
    for at in range(len(data) - 1, len(data) - 4, -1):
        if data[at] >= 0xC0:
            return at
        if data[at] < 0x80:
            break
    return len(data)
