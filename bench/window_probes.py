"""What looks at a window while it is measured: how long its loop was away, when it painted, what it took."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
from PySide6.QtCore import QEvent, QObject, QSize, QTimer
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget


class Pulse(QObject):
    """How long the event loop was away, each time."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps_ms: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Self:
        self.gaps_ms.clear()
        self._last = time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps_ms.append((now - self._last) * 1000)
        self._last = now

    def result(self) -> dict[str, float]:
        waits = sorted(wait for gap in self.gaps_ms for wait in _waits(gap))
        return {"longest_ms": max(self.gaps_ms), "p99_ms": waits[int(len(waits) * 0.99)]}


def _waits(gap_ms: float) -> list[float]:
    """Of probes that arrive each millisecond of a gap."""
    return [gap_ms - since for since in range(int(gap_ms) + 1)]


class PaintWatcher(QObject):
    """When a widget, or one inside it, was painted last."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__()
        self._widget = widget
        self._at = 0.0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if event.type() is QEvent.Type.Paint and isinstance(watched, QWidget):
            inside = watched is self._widget or self._widget.isAncestorOf(watched)
            self._at = time.perf_counter() if inside else self._at
        return False

    def painted_since(self, moment: float) -> bool:
        return self._at > moment


def switches() -> int:
    status = Path(f"/proc/self/task/{os.getpid()}/status").read_text(encoding="ascii")
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


@contextlib.contextmanager
def own_picture(size: QSize) -> Iterator[QImage]:
    """To paint into, of the kind that a window paints into, and not from the heap: of two that came one after the other
    malloc kept one or both for good, which was 15 or 30 MB of what the window was said to take."""
    line = size.width() * 4
    with mmap.mmap(-1, line * size.height()) as mapped, memoryview(mapped) as memory:
        picture = QImage(memory, size.width(), size.height(), line, QImage.Format.Format_RGB32)
        picture.fill(0)  # the system gives memory with the first touch, which is not part of a paint
        yield picture
        del picture
