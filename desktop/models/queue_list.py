"""The queues as a Qt list model: a row each, searched, and in the order that the person chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.look.language import tr
from desktop.look.tokens import Tone
from desktop.look.wording import duration_text, queue_reason
from desktop.models.queue_history import QueueHistory
from desktop.settings.preferences import QueueOrder
from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import EngineSnapshot, QueueView

QueueRole: Final = int(Qt.ItemDataRole.UserRole) + 1
OpenRole: Final = QueueRole + 1
"""Whether this row is open."""

_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """What a list shows of a queue. `places`: how many executions may be in mid-turn here at once, 0: no limit."""

    queue: QueueView
    running: int = 0
    places: int = 0
    trend: Sequence[float | None] = ()
    """What waited, the newest last."""

    @property
    def name(self) -> str:
        return self.queue.queue_name or self.queue.queue_id

    @property
    def environment(self) -> str:
        """Said as such; empty where it is not known."""
        named = self.queue.environment_name
        return tr("Environment: {name}", name=named) if named else ""

    @property
    def state(self) -> str:
        if self.queue.is_silent:
            return tr("No answer")
        return tr("Polling") if self.queue.polling else tr("Not polling")

    @property
    def tone(self) -> Tone:
        return "success" if self.queue.polling and not self.queue.is_silent else "warning"

    @property
    def remark(self) -> str:
        """Why it is not well; empty where it is."""
        return "" if self.queue.polling and self.queue.trouble is None else queue_reason(self.queue)

    @property
    def waiting(self) -> int | None:
        """None: not known."""
        return self.queue.statistics.backlog if self.queue.statistics is not None else None

    @property
    def oldest_seconds(self) -> float | None:
        """None: nothing waits, or it is not known."""
        known = self.queue.statistics
        return known.backlog_age_seconds if known is not None and known.backlog else None

    @property
    def spoken(self) -> str:
        """The whole row in words."""
        said = [self.name, self.state, self.environment]
        if self.waiting is not None:
            said.append(tr("{n} waiting", n=self.waiting))
        if self.oldest_seconds is not None:
            said.append(tr("oldest {age}", age=duration_text(self.oldest_seconds)))
        said.append(tr("{n} running here", n=self.running))
        return ", ".join(part for part in (*said, self.remark) if part)

    def has(self, words: str) -> bool:
        """Whether all of these words, in small letters, are said of it somewhere."""
        one = self.queue
        called = (one.queue_name, one.queue_id, one.environment_name, one.temporal_namespace)
        text = "\n".join((*called, self.state, self.remark)).casefold()
        return all(word in text for word in words.split())


def _by_waiting(row: QueueRow) -> tuple[object, ...]:
    """What is not known is the least."""
    return (-1 if row.waiting is None else row.waiting) * -1, -(row.oldest_seconds or 0.0), *_by_name(row)


def _by_state(row: QueueRow) -> tuple[object, ...]:
    """What is not well comes first."""
    return 0 if row.queue.is_silent else 2 if row.queue.polling else 1, *_by_name(row)


def _by_name(row: QueueRow) -> tuple[object, ...]:
    return row.name.casefold(), row.queue.queue_id


_KEYS: Final[dict[QueueOrder, Callable[[QueueRow], tuple[object, ...]]]] = {
    "waiting": _by_waiting,
    "name": _by_name,
    "state": _by_state,
}


class QueueListModel(QAbstractListModel):
    """Rows keep their place while they only change; a selection survives whatever happens to the others."""

    def __init__(self, parent: QObject | None = None, *, order: QueueOrder = "waiting") -> None:
        super().__init__(parent)
        self._all: dict[str, QueueRow] = {}
        self._rows: list[QueueRow] = []
        self._order: QueueOrder = order
        self._words = ""
        self._opened = ""

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:  # noqa: N802 (Qt's own name)
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == QueueRole:
            return row
        if role == OpenRole:
            return row.queue.queue_id == self._opened
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row.spoken}, {tr('open')}" if row.queue.queue_id == self._opened else row.spoken
        return None

    @property
    def total(self) -> int:
        """All queues, those that the search leaves out as well."""
        return len(self._all)

    @property
    def opened(self) -> str:
        """The id of the queue that is open; empty: none is."""
        return self._opened

    def open(self, queue_id: str) -> None:
        """Open this one and no other; empty: none."""
        before, self._opened = self._opened, queue_id
        for changed in {before, queue_id}:
            if (place := self.row_of(changed)) >= 0:
                self.dataChanged.emit(self.index(place), self.index(place))

    def get(self, queue_id: str) -> QueueRow | None:
        return self._all.get(queue_id)

    def row_of(self, queue_id: str) -> int:
        """Its row, or -1: there is none, or the search leaves it out."""
        return next((place for place, row in enumerate(self._rows) if row.queue.queue_id == queue_id), -1)

    def search(self, words: str) -> None:
        """Show those alone of which all these words are said; empty: all."""
        self._words = words.casefold()
        self._arrange()

    def sort_by(self, order: QueueOrder) -> None:
        self._order = order
        self._arrange()

    def take(self, snapshot: EngineSnapshot, history: QueueHistory) -> None:
        """As it is now; `history` has taken the snapshot before."""
        running = Counter(one.queue_id for one in snapshot.executions if one.status == "running")
        before, self._all = self._all, {}
        for queue in snapshot.queues:
            own, known = queue.queue_id, before.get(queue.queue_id)
            places = min(snapshot.executions_limit, queue.executions_limit or snapshot.executions_limit)
            if known is not None and (known.queue, known.running, known.places) == (queue, running[own], places):
                self._all[own] = known
            else:
                trend = tuple(history.of(own).backlog)
                self._all[own] = QueueRow(queue=queue, running=running[own], places=places, trend=trend)
        if self._opened not in self._all:
            self._opened = ""
        if any(before.get(own) is not row for own, row in self._all.items()) or len(before) != len(self._all):
            self._arrange()

    # -- below ----------------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        """The fewest changes that lead to what is wanted: a view keeps its place for all that stays."""
        found = (row for row in self._all.values() if not self._words or row.has(self._words))
        wanted = sorted(found, key=_KEYS[self._order])
        kept = {row.queue.queue_id for row in wanted}
        self._remove_all_but(kept)
        known = {row.queue.queue_id for row in self._rows}
        fresh = [row for row in wanted if row.queue.queue_id not in known]
        if fresh:
            self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(fresh) - 1)
            self._rows += fresh
            self.endInsertRows()
        places = {row.queue.queue_id: place for place, row in enumerate(wanted)}
        if any(row.queue.queue_id != other.queue.queue_id for row, other in zip(self._rows, wanted, strict=True)):
            self.layoutAboutToBeChanged.emit()
            before = self.persistentIndexList()
            after = [self.index(places[self._rows[index.row()].queue.queue_id]) for index in before]
            self._rows.sort(key=lambda row: places[row.queue.queue_id])
            self.changePersistentIndexList(before, after)
            self.layoutChanged.emit()
        changed = [place for place, (row, other) in enumerate(zip(self._rows, wanted, strict=True)) if row is not other]
        self._rows = wanted
        if changed:
            self.dataChanged.emit(self.index(changed[0]), self.index(changed[-1]))

    def _remove_all_but(self, kept: set[str]) -> None:
        last = len(self._rows) - 1
        while last >= 0:
            if self._rows[last].queue.queue_id in kept:
                last -= 1
                continue
            first = last
            while first > 0 and self._rows[first - 1].queue.queue_id not in kept:
                first -= 1
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            self.endRemoveRows()
            last = first - 1
