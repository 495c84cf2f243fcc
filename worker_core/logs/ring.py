"""The last log lines, in memory: for heartbeats, for `kubiya-worker logs`, and for windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from threading import Lock

import msgspec

RING_LINES = 2000
LINE_LIMIT = 4000
"""Characters of one line that are kept, so that the ring's memory is bounded by 2000 x 4000 characters."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One masked log record. `message` may have several lines (a traceback); `at` is in UTC.

    It refers to nothing that could refer back, so the garbage collector need not look at it: windows keep 100 000.
    """

    at: datetime
    level: str
    logger: str
    message: str

    def __str__(self) -> str:
        return f"{self.at.isoformat(timespec='milliseconds')} {self.level} {self.message}"

    def to_json(self) -> dict[str, str]:
        """The fields by name, the time as ISO-8601."""
        return {
            "at": self.at.isoformat(timespec="milliseconds"),
            "level": self.level,
            "logger": self.logger,
            "message": self.message,
        }


class LogRing:
    """Keeps the newest lines and counts those that a slow reader missed. Safe to use from any thread.

    A cursor is the number of lines ever written when it was given: 0 reads from the oldest line that is kept.
    """

    def __init__(self, size: int = RING_LINES) -> None:
        self._lines: deque[LogLine] = deque(maxlen=size)
        self._written = 0
        self._lock = Lock()
        self._listeners: list[Callable[[], None]] = []

    @property
    def size(self) -> int:
        """How many lines it keeps."""
        return self._lines.maxlen or 0

    @property
    def cursor(self) -> int:
        """Reads only what comes from now on."""
        return self._written

    def append(self, line: LogLine) -> None:
        """Keep a line, dropping the oldest one where the ring is full."""
        if len(line.message) > LINE_LIMIT:
            line = LogLine(at=line.at, level=line.level, logger=line.logger, message=line.message[:LINE_LIMIT] + " …")
        with self._lock:
            self._lines.append(line)
            self._written += 1
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def read_after(self, cursor: int, limit: int = RING_LINES) -> tuple[list[str], int, int]:
        """Up to `limit` lines as text. See `lines_after`."""
        lines, new_cursor, dropped = self.lines_after(cursor, limit)
        return [str(line) for line in lines], new_cursor, dropped

    def lines_after(self, cursor: int, limit: int = RING_LINES) -> tuple[list[LogLine], int, int]:
        """Up to `limit` lines behind `cursor`, oldest first; the next cursor; how many lines were lost in between."""
        with self._lock:
            oldest = self._written - len(self._lines)
            # A cursor of another process (a restarted worker) may be ahead: begin at the oldest line.
            start = cursor if 0 <= cursor <= self._written else 0
            dropped = max(0, oldest - start)
            first = max(start, oldest)
            lines = list(islice(self._lines, first - oldest, first - oldest + max(0, limit)))
            return lines, first + len(lines), dropped

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` (from the writing thread; it must be quick) after each line. Returns what ends this."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop


def now() -> datetime:
    return datetime.now(UTC)
