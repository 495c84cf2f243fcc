"""A GPU: how busy it is and what of its memory is used, now and over the last two minutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout

from desktop.look.language import number_text, tr
from desktop.look.tokens import Space
from desktop.look.wording import size_text
from desktop.models.gpu_history import LOOKS, SECONDS_A_LOOK, GpuCourse
from desktop.widgets.charts import AreaChart, Series
from desktop.widgets.layouts import column, row
from desktop.widgets.surfaces import Card, Icon
from desktop.widgets.text import ElidedLabel, Label

if TYPE_CHECKING:
    from worker_core.machine.gpu_use import GpuInUse

NOT_KNOWN = "–"
_CHART_HEIGHT = 88


class GpuCard(Card):
    """`name` is of one GPU; another gets another card."""

    def __init__(self, gpu: GpuInUse, *, alone: bool) -> None:
        """`alone`: the machine has no other, so that its number says nothing."""
        super().__init__()
        name = gpu.gpu.name if alone else tr("GPU {n}: {name}", n=str(gpu.gpu.index), name=gpu.gpu.name)
        self.setAccessibleName(name)
        self._now = Label("", role="small", tone="muted")
        self.body.addLayout(row(Icon("gpu", size=16), ElidedLabel(name, role="medium"), self._now, gap=Space.S))
        self._parts = ElidedLabel("", role="small", tone="muted")
        self.body.addWidget(self._parts)
        self._busy, self._busy_chart = (
            Label(NOT_KNOWN, role="heading"),
            _chart(tr("Utilisation"), percent_text, ceiling=100),
        )
        total = gpu.gpu.memory_bytes
        self._memory, self._of = Label(NOT_KNOWN, role="heading"), Label("", role="small", tone="muted")
        self._memory_chart = _chart(tr("GPU memory"), size_text, ceiling=float(total) if total else None)
        left = _half(tr("Utilisation"), None, self._busy, self._busy_chart)
        right = _half(tr("GPU memory"), self._of, self._memory, self._memory_chart)
        halves = row(left, right, gap=Space.XL)
        halves.setStretch(0, 1)
        halves.setStretch(1, 1)
        self.body.addLayout(halves)

    def show_use(self, one: GpuInUse, course: GpuCourse) -> None:
        gpu = one.gpu
        warm = None if gpu.celsius is None else f"{number_text(gpu.celsius)} °C"
        power = None if gpu.watts is None else f"{number_text(gpu.watts)} W"
        self._now.setText("  ·  ".join((warm or NOT_KNOWN, power or NOT_KNOWN)))
        parts = ", ".join(one.parts)
        self._parts.setText(tr("Divided (MIG): {parts}", parts=parts) if parts else tr("Divided (MIG)"))
        self._parts.setVisible(gpu.is_divided)
        self._busy.setText(NOT_KNOWN if gpu.busy_percent is None else percent_text(gpu.busy_percent))
        used, total = gpu.used_bytes, gpu.memory_bytes
        self._memory.setText(NOT_KNOWN if used is None else size_text(used))
        self._of.setText("" if total is None else size_text(total))
        if used is not None and total:
            self._memory.setText(percent_text(min(100.0, 100 * used / total)))
            self._of.setText(tr("{used} of {total}", used=size_text(used), total=size_text(total)))
        self._busy_chart.set_series(Series(name=tr("Utilisation"), values=tuple(course.busy)))
        self._memory_chart.set_series(Series(name=tr("GPU memory"), values=tuple(course.memory), tone="success"))


def percent_text(value: float) -> str:
    return f"{number_text(value)} %"


def _chart(name: str, said: Callable[[float], str], *, ceiling: float | None) -> AreaChart:
    return AreaChart(
        name,
        said=said,
        capacity=LOOKS,
        ceiling=ceiling,
        least=1e9,
        height=_CHART_HEIGHT,
        seconds_a_value=SECONDS_A_LOOK,
    )


def _half(name: str, note: Label | None, value: Label, chart: AreaChart) -> QVBoxLayout:
    parts = [ElidedLabel(name, role="small", tone="muted"), *([value] if note is None else [note, value])]
    head = row(*parts, gap=Space.S)
    return column(head, chart, gap=Space.XS)
