"""Reads answers of HTTP/1.1 out of the bytes of a connection (RFC 9112): the head, then the body piece by piece.

It reads what a client is sent that asks for no upgrade, and guesses nothing: what is not of the grammar is refused, and
a connection of which another reader could see other ends is not one for the next call.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.faults import RemoteProtocolError

LONGEST_HEAD_BYTES: Final = 100 << 10
"""Of an answer's headers, and of what stands between the pieces of its body."""

_BEGINNING: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
"""Some servers leave out the blank before a reason that is empty."""

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
"""A line may end without its carriage return (2.2)."""

_NAME: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUES: Final = re.compile(rb"[\x00\x0a-\x0d]")
_LENGTH: Final = re.compile(r"[0-9]{1,20}")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,20})(;[^\x00\x0a-\x0d]*)?[ \t]*")

_WITHOUT_BODY: Final = frozenset({204, 304})
_CUT_CHUNK: Final = "incomplete chunked read"


@dataclass(frozen=True, slots=True)
class Head:
    """Of an answer. Header names are lower-case; what came several times is joined."""

    status: int
    reason: str
    headers: Mapping[str, str]


class HttpReader:
    """Of one connection, one after the other. Bytes go in as they come; what of them is whole is taken out."""

    def __init__(self) -> None:
        self._came = bytearray()
        self._ended = False
        self._method = ""
        self._body: Iterator[bytes | None] = iter(())
        self._keeps = False
        self.is_over = True

    @property
    def another_may_follow(self) -> bool:
        """Whether the connection may be asked again: this one is over, and nothing came that is not of it."""
        return self.is_over and self._keeps and not self._came

    def expect(self, method: str) -> None:
        """What comes next answers a request of this method."""
        self._method = method
        self.is_over = self._keeps = False

    def take(self, data: bytes) -> None:
        """What came; empty: nothing more comes.

        Raises:
            RemoteProtocolError: that was said before, and more was asked for.
        """
        if self._ended:
            raise RemoteProtocolError("the connection is closed")
        self._came += data
        self._ended = not data

    def head(self) -> Head | None:
        """The status and headers; None: more must come first.

        Raises:
            RemoteProtocolError: what came is none, or it broke off.
        """
        while (lines := self._lines()) is not None:
            first = lines[0] if lines else b""
            if (line := _STATUS_LINE.fullmatch(first)) is None:
                raise RemoteProtocolError(f"illegal status line: {first[:100]!r}")
            status, headers = int(line[2]), _named(lines[1:])
            if status == 101:
                raise RemoteProtocolError("it changes to a protocol that nobody asked for")
            if status >= 200:  # those below say that the answer will come
                self._body = self._framed(status, headers, is_current=line[1] != b"0")
                return Head(status, (line[3] or b"").decode("latin-1"), headers)
        if not self._came.startswith(_BEGINNING[: len(self._came)]):
            raise RemoteProtocolError(f"illegal status line: {bytes(self._came[:100])!r}")
        if self._ended:
            raise RemoteProtocolError("Server disconnected without sending a response.")
        return None

    def piece(self) -> bytes | None:
        """The next of the body; None: it is over, or more must come first.

        Raises:
            RemoteProtocolError: it breaks its own rules, or it broke off.
        """
        return next(self._body, None)

    # --- where a body ends (6.3) ------------------------------------------------------------------------------

    def _framed(self, status: int, headers: Mapping[str, str], *, is_current: bool) -> Iterator[bytes | None]:
        coding, said = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None and coding.lower() != "chunked":
            raise RemoteProtocolError(f"a transfer coding that nobody asked for: {coding[:100]!r}")
        lengths = _items(said) if said is not None else {"0"}
        if len(lengths) != 1 or not _LENGTH.fullmatch(length := lengths.pop()):
            raise RemoteProtocolError(f"bad Content-Length: {said!r:.100}")
        self._keeps = is_current and "close" not in _items(headers.get("connection", ""))
        if self._method == "HEAD" or status in _WITHOUT_BODY or (self._method == "CONNECT" and status < 300):
            return self._of_length(0)
        if coding is not None:
            self._keeps = self._keeps and said is None
            return self._chunked()
        if said is not None:
            return self._of_length(int(length))
        self._keeps = False
        return self._until_the_end()

    def _of_length(self, length: int) -> Iterator[bytes | None]:
        left = length
        while left:
            piece = self._taken(left)
            if piece is None:
                self._must_come(f"received {length - left} bytes, expected {length}")
            else:
                left -= len(piece)
            yield piece
        self.is_over = True

    def _until_the_end(self) -> Iterator[bytes | None]:
        while self._came or not self._ended:
            yield self._taken(len(self._came))
        self.is_over = True

    def _chunked(self) -> Iterator[bytes | None]:
        """Chunks, each behind a line with its size; trailers, of which nothing is wanted, end it (7.1)."""
        while left := _size_of((yield from self._line())):
            while left:
                piece = self._taken(left)
                if piece is None:
                    self._must_come(_CUT_CHUNK)
                else:
                    left -= len(piece)
                yield piece
            while len(self._came) < 2:
                self._must_come(_CUT_CHUNK)
                yield None
            if self._taken(2) != b"\r\n":
                raise RemoteProtocolError("a chunk is longer than its size")
        while (trailers := self._lines()) is None:
            self._must_come(_CUT_CHUNK)
            yield None
        _named(trailers)
        self.is_over = True

    def _line(self) -> Generator[None, None, bytes]:
        while (end := self._came.find(b"\r\n")) < 0:
            _check_length(len(self._came))
            self._must_come(_CUT_CHUNK)
            yield None
        _check_length(end)
        line = bytes(self._came[:end])
        del self._came[: end + 2]
        return line

    def _lines(self) -> list[bytes] | None:
        """All up to an empty one; None: that must come first."""
        if self._came.startswith((b"\r\n", b"\n")):
            del self._came[: self._came.index(b"\n") + 1]
            return []
        found = _EMPTY_LINE.search(self._came)
        _check_length(len(self._came) if found is None else found.start())
        if found is None:
            return None
        lines = bytes(self._came[: found.start()]).split(b"\n")
        del self._came[: found.end()]
        return [line.removesuffix(b"\r") for line in lines]

    def _taken(self, limit: int) -> bytes | None:
        """What came, as far as it may be taken; None: nothing."""
        piece = bytes(self._came[:limit])
        del self._came[:limit]
        return piece or None

    def _must_come(self, so_far: str) -> None:
        """Raise RemoteProtocolError where nothing more comes."""
        if self._ended:
            raise RemoteProtocolError(f"peer closed connection without sending complete message body ({so_far})")


def _named(lines: Iterable[bytes]) -> dict[str, str]:
    """Headers by their names."""
    named: dict[str, str] = {}
    for line in lines:
        raw_name, colon, raw_value = line.partition(b":")
        if not colon or not _NAME.fullmatch(raw_name) or _NOT_IN_VALUES.search(raw_value):
            raise RemoteProtocolError(f"illegal header line: {line[:100]!r}")
        name, value = raw_name.decode("ascii").lower(), raw_value.strip(b" \t").decode("utf-8", "replace")
        named[name] = f"{named[name]}, {value}" if name in named else value
    return named


def _items(value: str) -> set[str]:
    """Of a header that is a list."""
    return {item.strip().lower() for item in value.split(",")}


def _size_of(line: bytes) -> int:
    if (found := _CHUNK_SIZE.fullmatch(line)) is None:
        raise RemoteProtocolError(f"illegal chunk header: {line[:100]!r}")
    return int(found[1], 16)


def _check_length(length: int) -> None:
    if length > LONGEST_HEAD_BYTES:
        raise RemoteProtocolError("what stands before the body, or between its pieces, is too long")
