"""The window measured from inside, as a program of its own: prints one JSON object.

python -m bench.window

Input is worth as much at any moment, so stalls are weighed by time: a probe arrives each millisecond, and waits until
the event loop is free. `p99` is over these probes.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, QTimer
from PySide6.QtWidgets import QApplication, QPlainTextEdit

from bench.window_desk import AT, EXECUTION, a_desk, a_worker
from bench.window_probes import PaintWatcher, Pulse, memory_mb, own_picture, switches
from desktop.models.conversation_items import Message
from desktop.popover.popover import Popover
from desktop.shell.bridge import Bridge
from desktop.shell.garbage import GarbageKeeper
from desktop.tray.facts import TrayFacts
from desktop.windows.main import MainWindow
from worker_core.control_plane.models import ExecutionRecord
from worker_core.events import ExecutionEventPublished
from worker_core.logs.ring import LogLine, LogRing
from worker_core.snapshot import QueueView

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
            with own_picture(self.window.size() * scale) as picture:
                picture.setDevicePixelRatio(scale)
                began = time.perf_counter()
                self.window.render(picture)
                times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times[1:])

    def switches_when_closed(self) -> int:
        """Voluntary context switches of this thread in ten seconds with the window closed; the clock's end is one."""
        self.window.close()
        self.settle()
        before = switches()
        QTimer.singleShot(REST_SECONDS * 1000, self.app.quit)
        self.app.exec()
        return switches() - before


def main() -> int:
    app = QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory(prefix="kubiya-bench-") as folder:
        stage = Stage(app, Path(folder))
        app.setQuitOnLastWindowClosed(False)
        pages, paints, memory = {}, {}, {"window": memory_mb()}
        for name in PAGES:
            pages[name] = stage.opened_ms(partial(stage.window.show_page, name))
            stage.settle()
            memory[name] = memory_mb()
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
            "memory_after_bulk_mb": memory_mb(),
            "full_ms": stage.full_ms(),
            "bulk_plain": stage.bulk_plain(),
        }
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
