"""The one event loop: Qt's, with asyncio on top.

Differs from `qasync.QEventLoop` (0.28) in seven ways, each tested:

* A cancelled timer is gone at once. qasync leaves its Qt timer alive until it fires: one leak per `asyncio.timeout`.
* Timers never fire early, and far ones do not overflow.
* Callbacks of one turn run together, not through a Qt timer each.
* `QEvent.Quit` does not tear the loop from below running tasks: it asks `Application.on_quit`.
* A display that goes away is a way to leave: what runs is signed off all the same.
* Cyclic garbage is collected in this thread alone, see `garbage.py`.
* What may block runs in threads that are started when they are needed, as asyncio's; qasync starts ten with the first.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

os.environ.setdefault("QT_API", "pyside6")

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimerEvent, Signal, Slot, qInstallMessageHandler
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from desktop.shell.garbage import GarbageKeeper

log = logging.getLogger(__name__)

LONGEST_TIMER_MS: Final = 2**31 - 1
"""What Qt takes: 24.8 days. A timer that is farther away looks at the clock then, and goes on."""

CUT_OFF_LIMIT: Final = timedelta(seconds=20)
"""For signing off once the display is gone; a session that ends gives less."""

_CUT_OFF_TURN_SECONDS: Final = 0.005
_COARSE_FROM_MS: Final = 2000
"""From here on Qt may gather timers with others, which saves wake-ups."""


class CutOff(Exception):
    """The display is gone, and not everything could be signed off in time."""


class _Handle(asyncio.TimerHandle):
    """Knows the Qt timer that will fire it."""

    __slots__ = ("timer_id",)
    timer_id: int


class _Timers(QObject):
    """Takes the place of qasync's timer object, whose interface is `add_callback`, `stop`, `set_debug`."""

    _nudged = Signal()

    def __init__(self, loop: WorkerLoop, parent: QObject) -> None:
        super().__init__(parent)  # without a parent, PySide 6.8 and later may crash at exit (PYSIDE-3165)
        self._loop = loop
        self._waiting: dict[int, _Handle] = {}
        self._ready: deque[asyncio.Handle] = deque()
        self._turn = 0
        self._thread = threading.get_ident()
        self._nudged.connect(self._begin_turn, Qt.ConnectionType.QueuedConnection)

    def __len__(self) -> int:
        return len(self._waiting)

    def soon(self, handle: asyncio.Handle) -> None:
        self._ready.append(handle)
        if not self._turn:
            if threading.get_ident() == self._thread:
                self._begin_turn()
            else:  # asyncio forbids it, yet what a collector finalises in another thread may cancel a task
                self._nudged.emit()

    @Slot()
    def _begin_turn(self) -> None:
        if self._ready and not self._turn:
            self._turn = self.startTimer(0)

    def add_callback(self, handle: asyncio.Handle, delay: float = 0) -> asyncio.Handle:
        if not isinstance(handle, _Handle):  # asyncio's own way in, for signals
            self.soon(handle)
            return handle
        milliseconds = min(math.ceil(max(0.0, delay) * 1000), LONGEST_TIMER_MS)
        kind = Qt.TimerType.PreciseTimer if milliseconds < _COARSE_FROM_MS else Qt.TimerType.CoarseTimer
        handle.timer_id = self.startTimer(milliseconds, kind)
        self._waiting[handle.timer_id] = handle
        return handle

    def cancel(self, handle: _Handle) -> None:
        if self._waiting.pop(handle.timer_id, None) is not None:
            self.killTimer(handle.timer_id)

    def stop(self) -> None:
        """Forget everything: the loop is closed."""
        for timer_id in (*self._waiting, *filter(None, [self._turn])):
            self.killTimer(timer_id)
        self._waiting.clear()
        self._ready.clear()
        self._turn = 0

    def turn(self) -> None:
        """What is due, without Qt's timers."""
        for timer_id, waiting in list(self._waiting.items()):
            if waiting.when() <= self._loop.time() and self._waiting.pop(timer_id, None) is not None:
                self.killTimer(timer_id)
                self._ready.append(waiting)
        for _ in range(len(self._ready)):
            if self._ready and not (handle := self._ready.popleft()).cancelled():
                handle._run()

    def set_debug(self, enabled: bool) -> None:
        pass

    def timerEvent(self, event: QTimerEvent) -> None:  # noqa: N802 - Qt's name
        timer_id = event.timerId()
        if timer_id == self._turn:
            # Qt's zero timers repeat: this one goes on while there is something to run, and no longer.
            for _ in range(len(self._ready)):
                if not self._ready:  # a callback closed the loop
                    return
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            if not self._ready and self._turn:
                self.killTimer(self._turn)
                self._turn = 0
            self._loop.garbage.look()
            return
        self.killTimer(timer_id)
        waiting = self._waiting.pop(timer_id, None)
        if waiting is None or waiting.cancelled():
            return
        if (left := waiting.when() - self._loop.time()) > 0:
            self.add_callback(waiting, left)  # coarse timers are up to 5 % early
        else:
            waiting._run()


class WorkerLoop(QEventLoop):  # type: ignore[misc]
    """qasync's loop with timers of its own."""

    _timer: _Timers
    garbage: GarbageKeeper

    def __init__(self, app: QCoreApplication) -> None:
        super().__init__(app)
        self._timer.deleteLater()
        self._timer = _Timers(self, app)
        self.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
        self.garbage = GarbageKeeper()
        self.on_cut_off: Callable[[], None] = lambda: None
        """Called where Qt ended the loop from below: the display is gone."""

    def run_until_complete(self, future: Any) -> Any:
        """As asyncio's. Without a display it goes on without windows, for CUT_OFF_LIMIT at most.

        Qt (6.11, xcb and wayland) ends `exec` with the connection; what is to be signed off and flushed is not done
        then. `exec` would end at once again: its loop is turned by hand.
        """
        task = asyncio.ensure_future(future, loop=self)

        def stop(_: object) -> None:
            self.stop()

        task.add_done_callback(stop)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(stop)
        if task.done():
            QCoreApplication.processEvents()
        else:
            self._go_on_without_windows(task)
        return task.result()

    def _go_on_without_windows(self, task: asyncio.Future[Any]) -> None:
        log.warning("The display is gone; the program leaves.")
        qInstallMessageHandler(lambda *_: None)  # Qt says so at each turn
        self.on_cut_off()
        deadline = self.time() + CUT_OFF_LIMIT.total_seconds()
        asyncio.events._set_running_loop(self)
        try:
            while not task.done() and self.time() < deadline:
                QCoreApplication.processEvents()
                self._timer.turn()
                time.sleep(_CUT_OFF_TURN_SECONDS)
        finally:
            asyncio.events._set_running_loop(None)
        if not task.done():
            raise CutOff

    def run_forever(self) -> Any:
        with self.garbage:
            return super().run_forever()

    @property
    def pending_timers(self) -> int:
        return len(self._timer)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._timer.soon(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = _Handle(when, callback, args, self, context)
        self._timer.add_callback(handle, when - self.time())
        return handle

    def _timer_handle_cancelled(self, handle: _Handle) -> None:
        self._timer.cancel(handle)  # asyncio calls this from TimerHandle.cancel()


class Application(QApplication):
    """Turns `QEvent.Quit` (app.quit(), Cmd-Q, the last window on some systems) into a call.

    A filter would do so too, and be shown each event of each object: a call of Python's each time, and for the first
    object that is Qt's own PySide makes all classes that it may be of, which is a tenth of a start and 4 MB.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__(arguments)
        self.on_quit: Callable[[], object] | None = None
        """None: Qt's own way, which ends the loop."""

    def event(self, event: QEvent) -> bool:
        if event.type() != QEvent.Type.Quit or self.on_quit is None:
            return super().event(event)
        event.ignore()
        self.on_quit()
        return True
