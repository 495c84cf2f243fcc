"""The window measured from inside, as a program of its own: prints one JSON object.

python -m bench.window

Input is worth as much at any moment, so stalls are weighed by time: a probe arrives each millisecond, and waits until
the event loop is free. `p99` is over these probes.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self
from unittest.mock import create_autospec

import psutil
from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QTimer
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QWidget

from desktop.models.conversation_items import Message
from desktop.notices.notifications import Notifications
from desktop.notices.updates import UpdateState, UpdateWatch
from desktop.popover.popover import Popover
from desktop.settings.policy_store import PolicyStore
from desktop.settings.store import SettingsStore
from desktop.shell.bridge import Bridge
from desktop.shell.garbage import GarbageKeeper
from desktop.system.diagnosis import Diagnosis
from desktop.system.files_left import FilesLeft
from desktop.system.open_elsewhere import Outside
from desktop.system.platforms.ports import Charge
from desktop.system.usage_kept import UsageKept
from desktop.system.working_copies import WorkingCopies
from desktop.tray.facts import TrayFacts
from desktop.windows.background import Background
from desktop.windows.desk import Desk
from desktop.windows.main import MainWindow
from desktop.worker.face import WorkerFace
from worker_core.budgets.usage import DailyUsage
from worker_core.control_plane.models import ExecutionRecord
from worker_core.events import EventBus, ExecutionEventPublished
from worker_core.logs.ring import LogLine, LogRing
from worker_core.paths import Paths
from worker_core.snapshot import EngineSnapshot, EngineState, ExecutionView, Health, QueueView

BULK_LINES = 100_000
LINES_A_SECOND = 2_000
SUSTAINED_SECONDS = 5
SAMPLES = 40
CHUNKS = 5_000
STREAMED_MEANWHILE = 10_000
REST_SECONDS = 10
PAINTS = 5
EXECUTIONS, QUEUES, MESSAGES, LINES = 10_000, 30, 300, 5_000
"""Of a worker that has much to show; the lines are those of one tool call, and as many again are in the log."""

PAGES = ("executions", "queues", "logs", "health", "usage", "approvals", "notifications", "settings", "overview")
AT = datetime(2026, 1, 1, tzinfo=UTC)
EXECUTION = "e-1"


def a_worker() -> Any:
    """A worker that says what the bench wants it to say."""
    made = create_autospec(WorkerFace, instance=True)
    made.events, made.attached, made.paused_until = EventBus(), False, None
    running = ExecutionView(execution_id=EXECUTION, queue_id="q", turn=1, status="running", step="model", started_at=AT)
    made.snapshot = EngineSnapshot(state=EngineState.RUNNING, reason="Running.", executions=(running,))
    made.get_execution.side_effect = lambda execution_id: ExecutionRecord(id=execution_id)
    made.load_session.return_value = None
    made.queue_executions.return_value = {}
    made.gpus.return_value = None
    return made


async def _sample() -> Health:
    return Health(
        cpu_percent=1,
        memory_percent=1,
        memory_total_bytes=1,
        memory_used_bytes=1,
        disk_percent=1,
        disk_total_bytes=1,
        disk_used_bytes=1,
        process_rss_bytes=1,
        sampled_at=AT,
    )


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Nothing here waits for anything."""
    with contextlib.suppress(StopIteration):
        work.send(None)


def _nothing_used() -> Any:
    kept = create_autospec(UsageKept, instance=True)
    kept.read.return_value = DailyUsage(first=AT.date(), last=AT.date(), agents={}, queues={})
    return kept


def a_desk(worker: WorkerFace, folder: Path) -> Desk:
    paths = Paths.from_environment({"KUBIYA_WORKER_HOME": str(folder)})
    settings = SettingsStore(paths, environ={})
    return Desk(
        worker=worker,
        settings=settings,
        policy=PolicyStore(paths.policy_file),
        notices=Notifications(level=lambda: "all"),
        updates=create_autospec(UpdateWatch, instance=True, state=UpdateState(), page=""),
        diagnosis=create_autospec(Diagnosis, instance=True),
        outside=Outside(workspaces=paths.workspaces),
        copies=WorkingCopies(paths=paths, settings=settings.settings),
        files_left=FilesLeft(workspaces=paths.workspaces),
        usage=_nothing_used(),
        keys=None,
        autostart=None,
        sample=_sample,
        charge=Charge,
        follow=lambda _: None,
        background=Background(run=_at_once),
    )


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


def line(number: int) -> LogLine:
    level = ("INFO", "INFO", "INFO", "WARNING", "DEBUG")[number % 5]
    return LogLine(
        at=AT, level=level, logger="bench", message=f"Execution {number % 40:08x}: line {number} of the bench."
    )


class Stage:
    def __init__(self, app: QApplication, folder: Path) -> None:
        self.app = app
        self.garbage = GarbageKeeper()  # as the tray's loop has it
        self.worker = a_worker()
        self.ring = LogRing(20_000)
        self.bridge = Bridge(self.worker, self.ring)
        desk = a_desk(self.worker, folder)
        began = time.perf_counter()
        self.window = MainWindow(desk)
        self.bridge.snapshot_changed.connect(self.window.take)
        self.bridge.events_arrived.connect(self.window.apply)
        self.bridge.logs_arrived.connect(self.window.add_lines)
        self.window.show()
        self.garbage.settle()
        self.settle()
        self.seconds_to_window = time.perf_counter() - began

    def settle(self, seconds: float = 0.3) -> None:
        self.until(lambda: False, seconds=seconds)

    def until(self, condition: Callable[[], bool], *, seconds: float = 60.0) -> bool:
        """Let events through until the condition holds."""
        end = time.perf_counter() + seconds
        with self.garbage:
            while not (held := condition()) and time.perf_counter() < end:
                self.app.processEvents()
                self.garbage.look()
                time.sleep(0.0002)
        return held

    # --- pages ----------------------------------------------------------------------------------------------

    def opened_ms(self, show: Callable[[], object]) -> float:
        """Until what somebody wants to see is painted."""
        began = time.perf_counter()
        show()
        self.app.processEvents()
        return (time.perf_counter() - began) * 1000

    def fill(self) -> None:
        """Give the window much to show."""
        records = (
            ExecutionRecord(
                id=f"execution-{number}", status="completed", prompt=f"Task number {number}",
                created_at=(AT + timedelta(minutes=number)).isoformat(),
            )
            for number in range(EXECUTIONS)
        )  # fmt: skip
        self.window.desk.executions.remember("q-0", records)
        queues = tuple(QueueView(queue_id=f"q-{n}", queue_name=f"queue-{n}", polling=True) for n in range(QUEUES))
        self.worker.snapshot = replace(self.worker.snapshot, queues=queues)
        self.bridge.snapshot_changed.emit(self.worker.snapshot)
        self.bridge.logs_arrived.emit([line(number) for number in range(LINES)])
        self.settle(2)

    def talk(self) -> None:
        """A conversation that went on for long."""
        for number in range(MESSAGES):
            self.say(f"Message {number} has **some** words and `code`.", f"full-{number}")
        output = "".join(f"line {number} of what a program said\n" for number in range(LINES))
        ran = {"tool_name": "shell", "tool_execution_id": "t-1", "tool_arguments": {"command": "make"}}
        for kind, payload in (("tool_started", ran), ("tool_completed", {**ran, "tool_output": output})):
            self.worker.events.publish(
                ExecutionEventPublished(
                    execution_id=EXECUTION, type=kind, payload=payload, sequence=1, at=datetime.now(UTC)
                )
            )
        self.settle(2)

    def full_ms(self) -> dict[str, float]:
        """Each page with much to show, the conversation, and the popover: opened from another page."""
        self.fill()
        found = {}
        for name in PAGES:
            self.window.show_page("queues" if name != "queues" else "logs")
            self.settle()
            found[name] = self.opened_ms(partial(self.window.show_page, name))
            self.settle()
        self.window.show_page("overview")
        self.talk()
        found["conversation"] = self.opened_ms(partial(self.window.show_page, "executions", EXECUTION))
        self.settle()
        popover = Popover(self.window.desk, pointer=lambda: QPoint(600, 780))
        for name in ("popover, the first time", "popover"):
            found[name] = self.opened_ms(
                lambda: popover.open_at(QRect(590, 776, 22, 22), TrayFacts(snapshot=self.worker.snapshot))
            )
            self.settle()
            popover.hide()
        return found

    # --- logs -----------------------------------------------------------------------------------------------

    def bulk(self) -> dict[str, float]:
        self.window.show_page("logs")
        self.settle()
        lines = [line(number) for number in range(BULK_LINES)]
        with Pulse() as pulse:
            began = time.perf_counter()
            self.bridge.logs_arrived.emit(lines)
            self.until(lambda: self.window.logs.model.total >= BULK_LINES)
            seconds = time.perf_counter() - began
            self.settle()
        return {"seconds": seconds, **pulse.result()}

    def bulk_plain(self) -> dict[str, float]:
        """The baseline: a text field, a thousand lines a turn."""
        field = QPlainTextEdit()
        field.setMaximumBlockCount(BULK_LINES)
        field.resize(900, 600)
        field.show()
        self.settle()
        texts = [str(line(number)) for number in range(BULK_LINES)]
        with Pulse() as pulse:
            began = time.perf_counter()
            for first in range(0, BULK_LINES, 1000):
                for text in texts[first : first + 1000]:
                    field.appendPlainText(text)
                self.app.processEvents()
            seconds = time.perf_counter() - began
        field.close()
        return {"seconds": seconds, **pulse.result()}

    def sustained(self) -> dict[str, float]:
        """Through the ring, from another thread, as the worker's loggers do it."""
        self.window.show_page("logs")
        self.settle()
        wanted = LINES_A_SECOND * SUSTAINED_SECONDS

        def write() -> None:
            began = time.perf_counter()
            for number in range(wanted):
                self.ring.append(line(number))
                if number % 20 == 0:
                    time.sleep(max(0.0, began + number / LINES_A_SECOND - time.perf_counter()))

        writer = threading.Thread(target=write)
        with Pulse() as pulse:
            writer.start()
            self.until(lambda: not writer.is_alive(), seconds=SUSTAINED_SECONDS * 4)
            self.settle()
        writer.join()
        return pulse.result()

    # --- events ---------------------------------------------------------------------------------------------

    def say(self, text: str, message_id: str) -> None:
        self.worker.events.publish(
            ExecutionEventPublished(
                execution_id=EXECUTION, type="message_chunk", payload={"content": text, "message_id": message_id},
                sequence=1, at=datetime.now(UTC),
            )
        )  # fmt: skip

    def event_to_pixel(self, message_id: str = "m-1") -> dict[str, float]:
        """From the engine's bus to the end of the paint that shows it."""
        self.window.show_page("executions", EXECUTION)
        self.settle()
        watcher = PaintWatcher(self.window.executions.detail.conversation.viewport())
        self.app.installEventFilter(watcher)
        seconds: list[float] = []
        for number in range(SAMPLES):
            marker = f"marker {number} of {message_id} is on the screen. "
            began = time.perf_counter()
            self.say(marker, message_id)
            if self.until(partial(self._is_painted, marker, watcher, began), seconds=5):
                seconds.append(time.perf_counter() - began)
            self.settle(0.03 + 0.13 * (number * 0.618 % 1))
        self.app.removeEventFilter(watcher)
        if len(seconds) < SAMPLES:
            raise RuntimeError(f"only {len(seconds)} of {SAMPLES} events were painted")
        ordered = sorted(seconds)
        return {"p50_ms": statistics.median(ordered) * 1000, "p95_ms": ordered[int(len(ordered) * 0.95)] * 1000}

    def event_to_pixel_streaming(self) -> dict[str, float]:
        """The same in a message that grows by 1 000 chunks a second meanwhile, 10 000 at most."""
        sent = 0
        began = time.perf_counter()

        def more() -> None:
            nonlocal sent
            while sent < STREAMED_MEANWHILE and sent < (time.perf_counter() - began) * 1000:
                self.say("Some words ", "m-3")
                sent += 1

        timer = QTimer()
        timer.setInterval(5)
        timer.timeout.connect(more)
        timer.start()
        found = self.event_to_pixel("m-3")
        timer.stop()
        return {**found, "chunks": sent}

    def _is_painted(self, marker: str, watcher: PaintWatcher, began: float) -> bool:
        if not watcher.painted_since(began):
            return False
        one = self.window.desk.executions.get(EXECUTION)
        said = [item for item in one.conversation.items if isinstance(item, Message)] if one is not None else []
        return bool(said) and marker in said[-1].text

    def streaming(self) -> dict[str, float]:
        """A model that says 5 000 chunks, 1 000 a second, with code and lists."""
        self.window.show_page("executions", EXECUTION)
        self.settle()
        pieces = [
            "Some words ",
            "and **more** of ",
            "them.\n",
            "\n- a point\n",
            "`code` ",
            "\n\n```python\nx = 1\n```\n\n",
        ]
        sent = 0
        began = time.perf_counter()
        with Pulse() as pulse:

            def more() -> None:
                nonlocal sent
                while sent < CHUNKS and sent < (time.perf_counter() - began) * 1000:
                    self.say(pieces[sent % len(pieces)] if sent % 40 > 33 else pieces[0], "m-2")
                    sent += 1

            timer = QTimer()
            timer.setInterval(5)
            timer.timeout.connect(more)
            timer.start()
            self.until(lambda: sent >= CHUNKS, seconds=60)
            timer.stop()
            self.settle()
        return pulse.result()

    # --- paint and rest -------------------------------------------------------------------------------------

    def paint_ms(self, scale: int) -> float:
        """Of the whole window at its first size, of the page that is shown, without what the first paint caches."""
        times: list[float] = []
        for _ in range(PAINTS + 1):
            picture = QPixmap(self.window.size() * scale)
            picture.setDevicePixelRatio(scale)
            began = time.perf_counter()
            self.window.render(picture)
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times[1:])

    def switches_when_closed(self) -> int:
        """Voluntary context switches of this thread in ten seconds with the window closed; the clock's end is one."""
        self.window.close()
        self.settle()
        before = _switches()
        QTimer.singleShot(REST_SECONDS * 1000, self.app.quit)
        self.app.exec()
        return _switches() - before


def _switches() -> int:
    status = Path(f"/proc/self/task/{os.getpid()}/status").read_text(encoding="ascii")
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


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


def main() -> int:
    app = QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory(prefix="kubiya-bench-") as folder:
        stage = Stage(app, Path(folder))
        app.setQuitOnLastWindowClosed(False)
        pages, paints, memory = {}, {}, {"window": _memory_mb()}
        for name in PAGES:
            pages[name] = stage.opened_ms(partial(stage.window.show_page, name))
            stage.settle()
            memory[name] = _memory_mb()
            paints[name] = stage.paint_ms(2)
        closed = stage.switches_when_closed()
        stage.window.show()
        found = {
            "window_seconds": stage.seconds_to_window,
            "slowest_page_ms": max(pages.values()),
            "pages_ms": pages,
            "paint_2x_ms": paints,
            "memory_mb": memory,
            "switches_when_closed": closed,
            "event_to_pixel": stage.event_to_pixel(),
            "event_to_pixel_streaming": stage.event_to_pixel_streaming(),
            "streaming": stage.streaming(),
            "sustained": stage.sustained(),
            "bulk": stage.bulk(),
            "memory_after_bulk_mb": _memory_mb(),
            "full_ms": stage.full_ms(),
            "bulk_plain": stage.bulk_plain(),
        }
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
