"""Server-sent events, parsed as they come, with bounds (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from dataclasses import dataclass

LINE_LIMIT_BYTES = 1 << 20
EVENT_LIMIT_BYTES = 4 << 20


class StreamTooLong(ValueError):
    """A line or an event is longer than this program reads."""


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
        self._last_id = ""
        self._first = True
        self.retry_milliseconds: int | None = None

    def feed(self, content: bytes) -> list[ServerSentEvent]:
        """The events that `content` completes.

        Raises:
            StreamTooLong: a line is above 1 MiB, or an event above 4 MiB.
        """
        events: list[ServerSentEvent] = []
        if self._after_return and content:
            self._after_return = False
            if content.startswith(b"\n"):
                content = content[1:]
        start = 0
        while start < len(content):
            end = _line_end(content, start)
            self._line += content[start : end if end >= 0 else len(content)]
            if len(self._line) > LINE_LIMIT_BYTES:
                raise StreamTooLong(f"a line of the event stream is longer than {LINE_LIMIT_BYTES} bytes")
            if end < 0:
                break
            if (event := self._take_line()) is not None:
                events.append(event)
            start = end + 1
            if content[end] == 0x0D:
                if start == len(content):
                    self._after_return = True
                elif content[start] == 0x0A:
                    start += 1
        return events

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
                self._size += len(value)
                if self._size > EVENT_LIMIT_BYTES:
                    raise StreamTooLong(f"an event of the stream is longer than {EVENT_LIMIT_BYTES} bytes")
                self._data.append(value)
            case "id" if "\0" not in value:
                self._last_id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) < 10:
                self.retry_milliseconds = int(value)
            case _:
                pass
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event, data = self._event, self._data
        self._event, self._data, self._size = "", [], 0
        if not data:
            return None
        return ServerSentEvent(event=event or "message", data="\n".join(data), id=self._last_id)


def _line_end(content: bytes, start: int) -> int:
    ends = [end for end in (content.find(b"\n", start), content.find(b"\r", start)) if end >= 0]
    return min(ends, default=-1)
