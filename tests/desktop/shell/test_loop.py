"""What the tray's event loop promises beyond asyncio's contract (which tests/engine runs on it as well)."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from desktop.shell.loop import LONGEST_TIMER_MS, WorkerLoop
from tests.support.imports import ROOT
from tests.support.loops import run_on


def run(work: Any) -> Any:
    return run_on("qasync", work)


def the_loop() -> WorkerLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, WorkerLoop)
    return loop


def test_a_cancelled_timer_is_gone_at_once() -> None:
    async def live() -> None:
        loop = the_loop()
        before = loop.pending_timers
        for _ in range(500):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)
            await asyncio.wait_for(asyncio.sleep(0), 3600)
        assert loop.pending_timers == before
        handle = loop.call_later(3600, print)
        assert loop.pending_timers == before + 1
        handle.cancel()
        handle.cancel()
        assert loop.pending_timers == before

    run(live())


def test_no_timer_fires_early_and_later_ones_come_later() -> None:
    async def live() -> None:
        loop = the_loop()
        fired: list[tuple[float, float]] = []
        over = asyncio.Event()
        for delay in (0.12, 0.03, 0.0, 0.051):
            when = loop.time() + delay
            loop.call_at(when, lambda when=when: fired.append((when, loop.time())))
        loop.call_later(0.2, over.set)
        await over.wait()
        assert [when for when, _ in fired] == sorted(when for when, _ in fired)
        assert all(at >= when for when, at in fired)

    run(live())


def test_a_timer_may_be_months_away() -> None:
    async def live() -> None:
        loop = the_loop()
        before = loop.pending_timers
        handle = loop.call_later(LONGEST_TIMER_MS / 1000 * 3, print)
        assert handle.when() > loop.time() + LONGEST_TIMER_MS / 1000
        assert loop.pending_timers == before + 1
        handle.cancel()

    run(live())


def test_callbacks_run_in_order_in_their_contexts_and_can_be_cancelled() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")

    async def live() -> list[str]:
        loop = the_loop()
        said: list[str] = []
        context = contextvars.copy_context()
        context.run(variable.set, "inside")
        loop.call_soon(said.append, "1")
        loop.call_soon(lambda: said.append(variable.get()), context=context)
        loop.call_soon(said.append, "never").cancel()
        loop.call_soon(lambda: loop.call_soon(said.append, "last"))
        loop.call_soon(said.append, "2")
        while "last" not in said:
            await asyncio.sleep(0)
        return said

    assert run(live()) == ["1", "inside", "2", "last"]


def test_a_callback_that_fails_does_not_stop_the_others() -> None:
    async def live() -> list[Any]:
        loop = the_loop()
        heard: list[Any] = []
        loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
        loop.call_soon(lambda: 1 / 0)
        loop.call_soon(heard.append, "next")
        await asyncio.sleep(0.01)
        loop.set_exception_handler(None)
        return heard

    first, second = run(live())
    assert isinstance(first, ZeroDivisionError)
    assert second == "next"


def test_a_busy_task_does_not_starve_threads_and_timers() -> None:
    async def live() -> None:
        loop = the_loop()
        over = asyncio.Event()
        loop.call_later(0.02, over.set)
        answer = asyncio.ensure_future(asyncio.to_thread(time.monotonic))
        while not (over.is_set() and answer.done()):
            await asyncio.sleep(0)

    run(asyncio.wait_for(live(), 30))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' loops take no signal handlers")
def test_threads_are_started_when_they_are_needed() -> None:
    async def live() -> None:
        before = threading.active_count()
        for _ in range(3):
            await asyncio.to_thread(time.monotonic)
        assert threading.active_count() <= before + 3
        gates = [threading.Event() for _ in range(5)]
        waiting = [asyncio.ensure_future(asyncio.to_thread(gate.wait)) for gate in gates]
        await asyncio.sleep(0)
        for gate in reversed(gates):
            gate.set()
        assert await asyncio.gather(*waiting) == [True] * 5

    run(live())


def test_signals_are_heard() -> None:
    async def live() -> None:
        heard = asyncio.Event()
        the_loop().add_signal_handler(signal.SIGUSR1, heard.set)
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            await heard.wait()
        finally:
            the_loop().remove_signal_handler(signal.SIGUSR1)

    run(asyncio.wait_for(live(), 30))


QUITS = """
import asyncio, os
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from PySide6.QtCore import QCoreApplication, QTimer
from desktop.shell.loop import Application, WorkerLoop

async def live():
    asked = asyncio.Event()
    app.on_quit = asked.set
    asyncio.get_running_loop().call_soon(QCoreApplication.quit)
    await asked.wait()
    await asyncio.sleep(0.01)
    print("cleaned up", app.heard)

class Counted(Application):
    heard = 0
    def event(self, event):
        Counted.heard += event.type() == event.Type.Quit
        return super().event(event)

app = Counted(["x"])
loop = WorkerLoop(app)
asyncio.set_event_loop(loop)
loop.run_until_complete(live())
app.on_quit = None
QTimer.singleShot(0, app.quit)
print(app.exec())
os._exit(0)
"""


def test_quit_lets_tasks_clean_up_where_somebody_asked_for_it() -> None:
    done = subprocess.run([sys.executable, "-uc", QUITS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["cleaned up 1", "0"]


MEETS_ITS_FIRST_EVENTS = """
import enum, os
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox
from desktop.shell.loop import Application

app, box = Application(["x"]), QComboBox()
def known(kind=enum.Enum):
    return sum(1 + known(one) for one in type.__subclasses__(kind))
before = known()
box.show()
QTimer.singleShot(0, app.quit)
app.exec()
print(known() - before)
os._exit(0)
"""


def test_events_of_objects_that_are_nobodys_are_not_shown_to_python() -> None:
    """Of an object that Qt has for itself PySide asks which class it is, and makes each that it may be: 170 enums."""
    done = subprocess.run(
        [sys.executable, "-uc", MEETS_ITS_FIRST_EVENTS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) <= 15


def test_the_parts_of_qasync_that_are_replaced_are_still_there() -> None:
    """Fails loudly when another qasync changes what `WorkerLoop` builds on."""
    import qasync

    assert qasync.QEventLoop.__init__
    for name in ("call_soon", "call_later", "call_at", "_add_callback", "call_soon_threadsafe"):
        assert callable(getattr(qasync.QEventLoop, name)), name
    assert {"add_callback", "stop", "set_debug"} <= set(dir(qasync._SimpleTimer))


def test_what_another_thread_schedules_by_mistake_still_runs() -> None:
    async def live() -> None:
        loop, heard = the_loop(), asyncio.Event()
        thread = threading.Thread(target=lambda: loop.call_soon(heard.set))
        loop.call_later(0.01, thread.start)
        await heard.wait()
        thread.join()

    run(asyncio.wait_for(live(), 30))
