"""Who serves a queue: one line a worker, with how it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space, Tone
from desktop.look.wording import when_text
from desktop.widgets.layouts import column, empty, row
from desktop.widgets.pills import Dot
from desktop.widgets.text import ElidedLabel, Label
from worker_core.basics.quick_dataclass import dataclass
from worker_core.control_plane.models import QueueWorker

SHOWN: Final = 12
"""Workers that have a line of their own."""

LATE: Final = timedelta(seconds=90)
"""A heartbeat that is older is late: workers send one every 60 s at least, and the server counts them for 150 s."""


class FleetList(QWidget):
    """The workers of one queue, this one first."""

    def __init__(self) -> None:
        super().__init__()
        self._title = Label("", role="small", tone="muted")
        self._lines = QVBoxLayout()
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(Space.S)
        self._shown: tuple[object, ...] = ()
        self.setLayout(column(self._title, self._lines, gap=Space.S))
        self.hide()

    def show_workers(self, workers: Sequence[QueueWorker], *, ours: str, now: datetime | None = None) -> None:
        """`ours` is the id of this worker on the queue."""
        at = now or datetime.now(UTC)
        ordered = sorted(workers, key=lambda one: (one.id != ours, _text(one.system_info, "hostname"), one.id))
        lines = tuple(_Line.of(one, ours=one.id == ours, now=at) for one in ordered[:SHOWN])
        more = len(ordered) - len(lines)
        if (*lines, more) != self._shown:
            self._shown = (*lines, more)
            count = len(ordered)
            self._title.setText(tr("1 worker") if count == 1 else tr("{n} workers", n=count))
            empty(self._lines)
            for line in lines:
                self._lines.addWidget(line.widget())
            if more:
                self._lines.addWidget(Label(tr("and {n} more", n=more), role="small", tone="muted"))
        self.setVisible(bool(ordered))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """Compared as a whole, so that nothing is drawn twice."""

    name: str
    facts: str
    heard: str
    tone: Tone

    @classmethod
    def of(cls, worker: QueueWorker, *, ours: bool, now: datetime) -> _Line:
        info = worker.system_info
        system = " ".join(part for part in (_text(info, "os_name"), _text(info, "os_version")) if part)
        facts = [tr("this worker")] if ours else []
        if system or (system := _text(info, "platform")):
            facts.append(system)
        if (cpu := _number(info, "cpu_percent")) is not None:
            facts.append(tr("processor {percent} %", percent=f"{cpu:.0f}"))
        if (memory := _number(info, "memory_percent")) is not None:
            facts.append(tr("memory {percent} %", percent=f"{memory:.0f}"))
        if worker.tasks_processed:
            facts.append(tr("{n} done", n=worker.tasks_processed))
        heard = _moment(worker.last_heartbeat)
        return cls(
            name=_text(info, "hostname") or worker.id[:8],
            facts="  ·  ".join(facts),
            heard=tr("heartbeat {time}", time=when_text(heard, now)) if heard is not None else "",
            tone="warning" if heard is None or now - heard > LATE else "success",
        )

    def widget(self) -> QWidget:
        made = QWidget()
        about = ElidedLabel(self.facts, role="small", tone="muted")
        heard = Label(self.heard, role="small", tone="muted")
        layout = row(Dot(tone=self.tone, size=8), Label(self.name, role="medium"), about, heard)
        layout.setStretch(2, 1)
        made.setLayout(layout)
        made.setAccessibleName(f"{self.name}. {self.facts}. {self.heard}")
        return made


def _text(info: Mapping[str, Any], name: str) -> str:
    """Workers of other makes say what they like."""
    value = info.get(name)
    return " ".join(value.split())[:60] if isinstance(value, str) else ""


def _number(info: Mapping[str, Any], name: str) -> float | None:
    value = info.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 else None


def _moment(text: str) -> datetime | None:
    """The server writes UTC, with or without saying so."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
