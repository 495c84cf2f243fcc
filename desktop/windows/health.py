"""Health: this machine and this process over the last minutes. Samples are taken only while the page is seen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QGridLayout

from desktop.look.language import tr
from desktop.look.tokens import Space, Tone
from desktop.look.wording import milliseconds_text, rate_text, size_text
from desktop.models.vitals import POINTS, SECONDS_A_POINT, Vitals
from desktop.widgets.charts import AreaChart, Series
from desktop.widgets.clock import SeenClock
from desktop.widgets.layouts import row
from desktop.widgets.surfaces import Card, Icon
from desktop.widgets.text import ElidedLabel, Label
from desktop.windows.desk import Desk
from desktop.windows.gpus import GpuPanel
from desktop.windows.page import Page
from worker_core.snapshot import EngineSnapshot

INTERVAL_MS = round(SECONDS_A_POINT * 1000)
_OF_THE_MACHINE = ("cpu", "memory", "network", "disk")
"""Gauges above the GPUs; below them are the worker's."""


class Gauge(Card):
    """A value now, and how it got there."""

    def __init__(
        self, icon: str, name: str, *, said: Callable[[float], str], ceiling: float | None = None, least: float = 1.0
    ) -> None:
        super().__init__()
        self._value = Label("–", role="heading")
        self._note = Label("", role="small", tone="muted")
        self._name = ElidedLabel(name, role="medium", tone="muted")
        self.body.addLayout(row(Icon(icon, size=16), self._name, self._note, self._value, gap=Space.S))
        self.chart = AreaChart(
            name, said=said, capacity=POINTS, ceiling=ceiling, least=least, height=96, seconds_a_value=SECONDS_A_POINT
        )
        self.body.addWidget(self.chart)

    def rename(self, name: str) -> None:
        self._name.setText(name)

    def say(self, value: str, note: str = "") -> None:
        self._value.setText(value)
        self._note.setText(note)


class HealthPage(Page):
    name = "health"

    def __init__(
        self, desk: Desk, *, vitals: Vitals | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(desk, title=tr("Health"))
        self.say_below(tr("The last two minutes, measured only while you look."))
        self.vitals = vitals or Vitals()
        self._now = clock
        self._expected: float | None = None
        self._snapshot = desk.worker.snapshot
        percent: Callable[[float], str] = lambda value: f"{value:.0f} %"  # noqa: E731
        speed: Callable[[float], str] = lambda value: tr("{size}/s", size=size_text(value))  # noqa: E731
        self._gauges = {
            "cpu": Gauge("cpu", tr("Processor"), said=percent, ceiling=100),
            "memory": Gauge("memory", tr("Memory"), said=percent, ceiling=100),
            "network": Gauge("network", tr("Network"), said=speed, least=10_000),
            "disk": Gauge("disk", tr("Disk"), said=speed, least=100_000),
            "process": Gauge("box", tr("This program's memory"), said=size_text, least=100_000_000),
            "delay": Gauge("clock", tr("Delay of the event loop"), said=milliseconds_text, least=20),
            "slots": Gauge("executions", tr("Places in use"), said=lambda value: f"{value:.0f}", least=4),
            "sdk": Gauge("queues", tr("Places of the Temporal SDK"), said=lambda value: f"{value:.0f}", least=4),
            "polls": Gauge("refresh", tr("Answers from the queues"), said=rate_text, least=1),
            "cached": Gauge("box", tr("Workflows in the cache"), said=lambda value: f"{value:.0f}", least=4),
            "requests": Gauge("globe", tr("Requests to Temporal"), said=rate_text, least=1),
            "wait": Gauge("clock", tr("Wait for a worker"), said=milliseconds_text, least=20),
            "battery": Gauge("battery", tr("Battery"), said=percent, ceiling=100),
        }
        self.gpus = GpuPanel(desk, seen=self)
        self._gauges["battery"].hide()
        machine = [self._gauges[name] for name in _OF_THE_MACHINE]
        self.body.addLayout(_grid(machine))
        self.body.addWidget(self.gpus)
        self.body.addLayout(_grid([gauge for gauge in self._gauges.values() if gauge not in machine]))
        self.body.addStretch(1)
        self.clock = SeenClock(self, self.sample, interval_ms=INTERVAL_MS, wound=True)

    def take(self, snapshot: EngineSnapshot) -> None:
        self._snapshot = snapshot
        self.gpus.take(snapshot)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self.gpus.begin()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 (Qt's own name)
        super().hideEvent(event)
        self._expected = None
        self.vitals.pause()

    def sample(self) -> None:
        """Measure and draw. How late the clock rings is how busy the event loop is."""
        now = self._now()
        late = 0.0 if self._expected is None else max(0.0, (now - self._expected) * 1000)
        self._expected = now + INTERVAL_MS / 1000
        snapshot = self._snapshot
        self.vitals.sample(
            delay_ms=late,
            slots=snapshot.tasks_in_flight,
            sdk=snapshot.sdk,
            pid=snapshot.pid,
            charge=self.desk.charge(),
        )
        self.draw()

    def draw(self) -> None:
        vitals, health = self.vitals, self._snapshot.health
        self._draw("cpu", ("cpu", tr("processor"), "accent"))
        self._draw("memory", ("memory", tr("memory"), "accent"))
        self._draw("network", ("received", tr("in"), "accent"), ("sent", tr("out"), "success"))
        self._draw("disk", ("disk_read", tr("read"), "accent"), ("disk_write", tr("written"), "success"))
        self._draw("process", ("process", tr("memory"), "accent"))
        self._draw("delay", ("delay", tr("delay"), "warning"))
        self._draw("slots", ("slots", tr("running"), "accent"))
        self._draw("sdk", ("activity_slots", tr("calls"), "accent"), ("workflow_slots", tr("workflows"), "success"))
        self._draw("polls", ("polls", tr("answers"), "accent"), ("polls_empty", tr("without a task"), "warning"))
        self._draw("cached", ("cached", tr("workflows"), "accent"))
        self._draw("requests", ("requests", tr("requests"), "accent"), ("failures", tr("failed"), "danger"))
        self._draw("wait", ("wait", tr("wait"), "warning"))
        busy = vitals.last("cpu")
        self._gauges["cpu"].say("–" if busy is None else f"{busy:.0f} %")
        used = (vitals.last("memory") or 0) / 100 * vitals.memory_total
        self._gauges["memory"].say(
            f"{vitals.last('memory') or 0:.0f} %",
            tr("{used} of {total}", used=size_text(used), total=size_text(vitals.memory_total)),
        )
        for key, parts in {"network": ("received", "sent"), "disk": ("disk_read", "disk_write")}.items():
            total = sum(vitals.last(part) or 0 for part in parts)
            self._gauges[key].say(tr("{size}/s", size=size_text(total)))
        if health is not None:
            free = size_text(health.disk_total_bytes - health.disk_used_bytes)
            self._gauges["disk"].say(self._gauges["disk"]._value.text(), tr("{free} free", free=free))
        self._gauges["process"].say(size_text(vitals.last("process") or 0))
        self._gauges["delay"].say(milliseconds_text(vitals.last("delay") or 0))
        limit = self._snapshot.executions_limit
        self._gauges["slots"].say(f"{vitals.last('slots') or 0:.0f}", tr("of {n}", n=limit) if limit else "")
        sdk = self._snapshot.sdk
        places = sdk.slots_used + sdk.slots_available
        self._gauges["sdk"].say(str(sdk.slots_used), tr("of {n}", n=places) if places else "")
        pollers = tr("1 poller") if sdk.pollers == 1 else tr("{n} pollers", n=sdk.pollers)
        self._gauges["polls"].say(rate_text(vitals.last("polls") or 0), pollers if sdk.pollers else "")
        self._gauges["cached"].say(str(sdk.cached_workflows))
        failed = tr("{n} failed", n=sdk.failures) if sdk.failures else ""
        self._gauges["requests"].say(rate_text(vitals.last("requests") or 0), failed)
        waited = milliseconds_text(sdk.wait_ms) if sdk.wait_ms is not None else "–"
        self._gauges["wait"].say(waited, tr("mean of the newest calls") if sdk.wait_ms is not None else "")
        elsewhere = self._snapshot.pid not in {0, os.getpid()}
        self._gauges["process"].rename(tr("Memory of the worker service") if elsewhere else tr("This program's memory"))
        self._gauges["delay"].rename(tr("Delay of this window's loop") if elsewhere else tr("Delay of the event loop"))
        battery = vitals.battery
        self._gauges["battery"].setVisible(battery.percent is not None)
        if battery.percent is not None:
            how = {True: tr("on battery"), False: tr("plugged in"), None: ""}[battery.used_up]
            self._gauges["battery"].say(f"{battery.percent:.0f} %", how)

    def _draw(self, gauge: str, *lines: tuple[str, str, Tone]) -> None:
        self._gauges[gauge].chart.set_series(
            *(Series(name=name, values=tuple(self.vitals.history[key]), tone=tone) for key, name, tone in lines)
        )


def _grid(gauges: Sequence[Gauge]) -> QGridLayout:
    """Two side by side."""
    made = QGridLayout()
    made.setSpacing(Space.L)
    for place, gauge in enumerate(gauges):
        made.addWidget(gauge, place // 2, place % 2)
    made.setColumnStretch(0, 1)
    made.setColumnStretch(1, 1)
    return made
