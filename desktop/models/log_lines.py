"""The log as a Qt model: a ring with batched inserts, and a filter that works in slices so that nothing stalls."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal

from worker_core.logs.ring import LogLine

CAPACITY = 100_000
SLICE = 4_000
"""Lines that one slice of a new filter looks at: a few milliseconds."""

INTAKE = 1_000
"""Lines that are taken in one turn of the event loop: one or two milliseconds, and the view paints as well."""

SEARCH_LIMIT = 4_000
"""Characters of a line that are searched, so that no pattern meets a line without end."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LineRole = Qt.ItemDataRole.UserRole + 1

_Index = QModelIndex | QPersistentModelIndex


class LogModel(QAbstractListModel):
    """The newest `capacity` lines that pass the filter, oldest first."""

    filtered = Signal()
    """A filter has looked at every line."""

    def __init__(self, parent: QObject | None = None, *, capacity: int = CAPACITY) -> None:
        super().__init__(parent)
        self._capacity = capacity
        self._coming: deque[LogLine] = deque(maxlen=capacity)
        self._all: deque[tuple[int, LogLine]] = deque()
        self._shown: list[tuple[int, LogLine]] = []
        self._next = 0
        self._level = 0
        self._execution = ""
        self._pattern: re.Pattern[str] | None = None
        self._left: int | None = None  # a filter at work: lines below this number are still to be looked at
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._filter_slice)
        self._intake = QTimer(self)
        self._intake.setInterval(0)
        self._intake.timeout.connect(self._take_slice)

    # -- reading --------------------------------------------------------------------------------------------------

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802 (Qt's own name and default)
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._shown):
            return None
        line = self._shown[index.row()][1]
        if role == LineRole:
            return line
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return f"{line.at.astimezone():%H:%M:%S} {line.level} {line.message[:SEARCH_LIMIT]}"
        return None

    @property
    def pattern(self) -> re.Pattern[str] | None:
        return self._pattern

    @property
    def total(self) -> int:
        """Lines kept, whether they pass the filter or not."""
        return len(self._all)

    @property
    def is_filtering(self) -> bool:
        return self._left is not None

    def row_of(self, line: LogLine) -> int:
        """Where this very line is shown; -1: nowhere."""
        return next((row for row, (_, one) in enumerate(self._shown) if one is line), -1)

    def lines(self, rows: Sequence[int] | None = None) -> list[LogLine]:
        """The shown lines, or those of some rows."""
        if rows is None:
            return [line for _, line in self._shown]
        return [self._shown[row][1] for row in rows if 0 <= row < len(self._shown)]

    # -- writing --------------------------------------------------------------------------------------------------

    def append(self, lines: Iterable[LogLine]) -> None:
        """Take a batch: one insert and one removal are told at most, and no more than `INTAKE` lines at once."""
        self._coming.extend(lines)
        self._take_slice()

    def clear(self) -> None:
        self.beginResetModel()
        self._coming.clear()
        self._all.clear()
        self._shown.clear()
        self._left = None
        self._timer.stop()
        self._intake.stop()
        self.endResetModel()

    def set_filter(self, *, level: str = "DEBUG", execution: str = "", pattern: re.Pattern[str] | None = None) -> None:
        """Show only lines of this level or above, of this execution, that match. The newest appear first."""
        wanted = LEVELS.index(level) if level in LEVELS else 0
        if (wanted, execution, pattern) == (self._level, self._execution, self._pattern):
            return
        self._level, self._execution, self._pattern = wanted, execution, pattern
        self.beginResetModel()
        self._shown = []
        self._left = len(self._all)
        self.endResetModel()
        self._timer.start()
        self._filter_slice()

    # -- below ----------------------------------------------------------------------------------------------------

    def _take_slice(self) -> None:
        batch = [self._coming.popleft() for _ in range(min(INTAKE, len(self._coming)))]
        if self._coming:
            self._intake.start()
        else:
            self._intake.stop()
        if not batch:
            return
        fresh = list(enumerate(batch, start=self._next))
        self._next += len(fresh)
        self._all.extend(fresh)
        matching = [entry for entry in fresh if self._passes(entry[1])]
        if matching:
            first = len(self._shown)
            self.beginInsertRows(QModelIndex(), first, first + len(matching) - 1)
            self._shown.extend(matching)
            self.endInsertRows()
        self._trim()

    def _passes(self, line: LogLine) -> bool:
        if self._level and (LEVELS.index(line.level) if line.level in LEVELS else len(LEVELS)) < self._level:
            return False
        if self._execution and self._execution not in line.message[:SEARCH_LIMIT]:
            return False
        return self._pattern is None or self._pattern.search(line.message[:SEARCH_LIMIT]) is not None

    def _filter_slice(self) -> None:
        if self._left is None:
            return
        begin = max(0, self._left - SLICE)
        found = [entry for entry in islice(self._all, begin, self._left) if self._passes(entry[1])]
        if found:
            self.beginInsertRows(QModelIndex(), 0, len(found) - 1)
            self._shown[:0] = found
            self.endInsertRows()
        self._left = begin
        if begin == 0:
            self._left = None
            self._timer.stop()
            self.filtered.emit()

    def _trim(self) -> None:
        over = len(self._all) - self._capacity
        if over <= 0:
            return
        for _ in range(over):
            self._all.popleft()
        if self._left is not None:
            self._left = max(0, self._left - over)
        oldest = self._all[0][0]
        gone = 0
        while gone < len(self._shown) and self._shown[gone][0] < oldest:
            gone += 1
        if gone:
            self.beginRemoveRows(QModelIndex(), 0, gone - 1)
            del self._shown[:gone]
            self.endRemoveRows()


def compile_search(text: str) -> re.Pattern[str] | None:
    """What a person typed: a regular expression, or plain text where it is none. None for nothing."""
    if not text:
        return None
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error:
        return re.compile(re.escape(text), re.IGNORECASE)
