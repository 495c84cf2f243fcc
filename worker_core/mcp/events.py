"""A stream of server-sent events, as the SDK may read it: no answer of another request, no pause that it cannot make.

Whatever answer comes on a request's stream, the SDK takes it for that request's, and writes the id over. A server that
replays too much after a stream was cut (Last-Event-ID) would have the model read what another call brought.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from worker_core.basics import typed_json
from worker_core.mcp.flow import LARGEST_ANSWER_BYTES

if TYPE_CHECKING:
    from mcp_types import RequestId

LONGEST_RETRY: Final = timedelta(hours=1)
"""Until a stream is opened once more, whatever its server asks for."""

MOST_LINES: Final = 20_000
"""Of an event that is looked at; an answer is one line, as a rule."""

_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_END: Final = 4
_MILLISECONDS: Final = re.compile(rb"[0-9]{1,15}")
"""More digits than these are no number that anything could wait for, nor is what has a sign."""


class _Head(msgspec.Struct):
    """What tells whose answer a message is."""

    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Events:
    """Of one response.

    Args:
        request_id: of ours that the stream is to answer; None: it is for whatever the server has to say.
    """

    def __init__(self, request_id: RequestId | None) -> None:
        self._request_id = request_id
        self._held = bytearray()
        self._looked_through = 0
        self._too_long = False

    def feed(self, piece: bytes) -> bytes:
        """The events that are whole now. One that is larger than any may be passes as it is: the SDK refuses it."""
        self._held += piece
        ready = bytearray()
        while (end := _END.search(self._held, self._looked_through)) is not None:
            event = bytes(self._held[: end.end()])
            del self._held[: end.end()]
            self._looked_through = 0
            ready += event if self._too_long else self._readable(event)
            self._too_long = False
        if self._too_long or len(self._held) > LARGEST_ANSWER_BYTES:
            # A line's end stays, since the next one may follow it.
            kept = max(0, len(self._held) - _LONGEST_END)
            ready += self._held[:kept]
            del self._held[:kept]
            self._too_long = True
        self._looked_through = max(0, len(self._held) - _LONGEST_END)
        return bytes(ready)

    def flush(self) -> bytes:
        """The rest, at the end."""
        rest = bytes(self._held)
        self._held.clear()
        return rest

    def _readable(self, event: bytes) -> bytes:
        if event.count(b"\n") + event.count(b"\r") > MOST_LINES:
            return event
        lines = event.splitlines(keepends=True)
        is_of_another = self._is_of_another(lines)
        return b"".join(_lines(lines, with_data=not is_of_another))

    def _is_of_another(self, lines: list[bytes]) -> bool:
        from mcp.shared.dispatcher import coerce_request_id

        if self._request_id is None:
            return False
        data = b"\n".join(value for name, value in map(_field, lines) if name == b"data")
        try:
            head = typed_json.decode(data, _Head)
        except (ValueError, RecursionError):
            return False  # whoever waits hears that it cannot be read
        is_answer = head.result is not msgspec.UNSET or head.error is not msgspec.UNSET
        return is_answer and head.id is not None and coerce_request_id(head.id) != coerce_request_id(self._request_id)


def _lines(lines: list[bytes], *, with_data: bool) -> Iterator[bytes]:
    for line in lines:
        name, value = _field(line)
        if name == b"data" and not with_data:
            continue  # its id stays: it says how far the stream was read
        if name != b"retry":
            yield line
        elif _MILLISECONDS.fullmatch(value):
            yield b"retry: %d\n" % min(int(value), LONGEST_RETRY // timedelta(milliseconds=1))


def _field(line: bytes) -> tuple[bytes, bytes]:
    """Name and value, as the HTML standard reads a line of an event stream."""
    name, _, value = line.rstrip(b"\r\n").partition(b":")
    return name, value.removeprefix(b" ")
