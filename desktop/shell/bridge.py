"""Engine events become Qt signals: gathered, in order, at most ten times a second, and never when nothing happens."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import Final

from PySide6.QtCore import QElapsedTimer, QObject, Qt, QTimer, Signal, Slot

from desktop.look.language import number_text, tr
from desktop.worker.face import WorkerFace
from worker_core.events import Event, SnapshotReplaced
from worker_core.logs.ring import LogLine, LogRing
from worker_core.snapshot import EngineSnapshot

SHORTEST_PAUSE: Final = timedelta(milliseconds=100)
"""Between two rounds of signals."""

EVENTS_LIMIT: Final = 5000
"""Events that wait for the next round; beyond it the oldest are dropped and counted."""


class Bridge(QObject):
    """Belongs to the GUI thread, which is also the engine's."""

    snapshot_changed = Signal(object)
    """EngineSnapshot: the newest; those in between are skipped."""

    events_arrived = Signal(object)
    """list[Event], in order; without `SnapshotReplaced`."""

    logs_arrived = Signal(object)
    """list[LogLine], in order."""

    _line_written = Signal()

    def __init__(self, worker: WorkerFace, log_ring: LogRing | None = None, parent: QObject | None = None) -> None:
        """`log_ring`: where log lines are read from; None: there are no log signals."""
        super().__init__(parent)
        self.dropped = 0
        self._worker = worker
        self._ring = log_ring
        self._cursor = log_ring.cursor if log_ring is not None else 0
        self._snapshot: EngineSnapshot | None = None
        self._events: deque[Event] = deque(maxlen=EVENTS_LIMIT)
        self._lines_wait = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._flush)
        self._since_flush = QElapsedTimer()
        # The ring is written by any thread: the signal carries the news over, once per round.
        self._line_written.connect(self._arm, Qt.ConnectionType.QueuedConnection)
        self._ends = [worker.events.listen(self._heard)]
        if log_ring is not None:
            self._ends.append(log_ring.listen(self._line))

    def close(self) -> None:
        """Listen no more. What waits is not sent."""
        for end in self._ends:
            end()
        self._ends.clear()
        self._timer.stop()

    def _heard(self, event: Event) -> None:
        if isinstance(event, SnapshotReplaced):
            self._snapshot = event.snapshot
        else:
            if len(self._events) == EVENTS_LIMIT:
                self.dropped += 1
            self._events.append(event)
        self._arm()

    def _line(self) -> None:
        if not self._lines_wait:
            self._lines_wait = True
            self._line_written.emit()

    @Slot()
    def _arm(self) -> None:
        if self._timer.isActive():
            return
        pause = int(SHORTEST_PAUSE.total_seconds() * 1000)
        gone = self._since_flush.elapsed() if self._since_flush.isValid() else pause
        self._timer.start(max(0, pause - gone))

    def _flush(self) -> None:
        self._since_flush.start()
        if self._lines_wait and self._ring is not None:
            self._lines_wait = False
            lines, self._cursor, lost = self._ring.lines_after(self._cursor, self._ring.size)
            if lost:
                said = tr("{n} lines came too fast to be shown; the log file has them.", n=number_text(lost))
                lines.insert(0, LogLine(at=lines[0].at, level="WARNING", logger=__name__, message=said))
            if lines:
                self.logs_arrived.emit(lines)
        # What was said comes before the question that follows it, which the snapshot has.
        if self._events:
            events = list(self._events)
            self._events.clear()
            self.events_arrived.emit(events)
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            self.snapshot_changed.emit(snapshot)
