"""Server-sent events, parsed as they come, with bounds (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import re

from worker_core.basics.quick_dataclass import dataclass

LINE_LIMIT_BYTES = 1 << 20
EVENT_LIMIT_BYTES = 4 << 20
IDLE_LIMIT_BYTES = 256 << 10
"""Comments and other lines that add nothing, between two events. A sign of life every 15 s takes days to get there."""

_LINE_ENDS = re.compile(rb"(?:\r\n|\n|\r)((?:\r\n|\n|\r)*+)")
"""The end of a line, and the empty lines behind it: all of them say what one says."""


class StreamTooLong(ValueError):
    """A line or an event is longer than this program reads."""


class NothingSaid(StreamTooLong):
    """It goes on and on, and holds no event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event. `event` is `message` where the stream names none."""

    event: str
    data: str
    id: str


class SseParser:
    """Feed it bytes as they arrive, at whatever borders; it gives whole events."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._after_return = False
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._idle = 0
        self._last_id = ""
        self._first = True

    def feed(self, content: bytes) -> list[ServerSentEvent]:
        """The events that `content` completes.

        Raises:
            StreamTooLong: a line is above 1 MiB, or an event above 4 MiB.
            NothingSaid: what is no event is above 256 KiB.
        """
        events: list[ServerSentEvent] = []
        if self._after_return and content:
            self._after_return = False
            if content.startswith(b"\n"):
                content = content[1:]
        start = 0
        for end in _LINE_ENDS.finditer(content):
            self._extend_line(content[start : end.start()])
            start = end.end()
            if (event := self._take_line()) is not None:
                events.append(event)
            if end[1] and (event := self._take_line()) is not None:
                events.append(event)
        self._extend_line(content[start:])
        self._after_return = content.endswith(b"\r") or (self._after_return and not content)
        return events

    def _extend_line(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) > LINE_LIMIT_BYTES:
            raise StreamTooLong(f"a line of the event stream is longer than {LINE_LIMIT_BYTES} bytes")

    def _take_line(self) -> ServerSentEvent | None:
        line = self._line.decode("utf-8", "replace")
        self._line.clear()
        if self._first:
            self._first = False
            line = line.removeprefix("\ufeff")
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._size += len(line) + 1
                if self._size > EVENT_LIMIT_BYTES:
                    raise StreamTooLong(f"an event of the stream is longer than {EVENT_LIMIT_BYTES} bytes")
                self._data.append(value)
            case "id" if "\0" not in value:
                self._last_id = value
            case _:
                pass
        if name != "data":
            self._idle += len(line) + 1
            if self._idle > IDLE_LIMIT_BYTES:
                raise NothingSaid(f"{IDLE_LIMIT_BYTES} bytes of the event stream held no event")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event, data = self._event, self._data
        self._event, self._data, self._size = "", [], 0
        if not data:
            return None
        self._idle = 0
        return ServerSentEvent(event=event or "message", data="\n".join(data), id=self._last_id)
