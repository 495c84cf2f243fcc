"""Carries out what the user picks in the tray. A failure becomes a notice with its sentence."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop.look.language import fact, tr
from desktop.look.wording import pause_reason, tomorrow_morning
from desktop.notices.action import PAGE_OF, Action
from desktop.notices.notice import Level, Notice
from desktop.notices.notifications import Notifications
from desktop.system.platforms.ports import Autostart, AutostartEntry, autostart_state, set_autostart
from desktop.worker.face import WorkerFace
from worker_core.basics.tasks import TaskKeeper
from worker_core.errors import KubiyaError
from worker_core.snapshot import StopMode

log = logging.getLogger(__name__)


class Actions(QObject):
    """One for the life of the tray."""

    window_wanted = Signal(str, str)
    """A page, and what to show on it; both may be empty."""

    task_wanted = Signal()
    """A new task is to be written."""

    leave_wanted = Signal(object)
    """A `StopMode`."""

    done = Signal()
    """Something was carried out: what is drawn may be different now."""

    def __init__(self, *, worker: WorkerFace, notifications: Notifications, autostart: AutostartEntry | None) -> None:
        super().__init__()
        self._worker = worker
        self._notifications = notifications
        self._autostart = autostart
        self._tasks = TaskKeeper()

    def carry_out(self, action: Action, target: str = "") -> None:
        now = datetime.now(UTC)
        match action:
            case Action.START:
                self._do(self._worker.start())
            case Action.STOP:
                self._do(self._worker.stop(StopMode.DRAIN))
            case Action.CANCEL_WORK:
                self._do(self._worker.stop(StopMode.CANCEL))
            case Action.PAUSE_30_MINUTES:
                self._pause(now + timedelta(minutes=30))
            case Action.PAUSE_HOUR:
                self._pause(now + timedelta(hours=1))
            case Action.PAUSE_UNTIL_TOMORROW:
                self._pause(tomorrow_morning(now))
            case Action.PAUSE:
                self._pause(None)
            case Action.RESUME:
                self._do(self._worker.resume())
            case Action.CANCEL_EXECUTION:
                self._do(self._worker.cancel_execution(target))
            case Action.OPEN:
                self.window_wanted.emit("", "")
            case Action.NEW_TASK:
                self.task_wanted.emit()
            case _ if page := PAGE_OF.get(action):
                self.window_wanted.emit(page, target)
            case Action.SNOOZE_30_MINUTES:
                self._notifications.snooze(now + timedelta(minutes=30))
            case Action.SNOOZE_HOUR:
                self._notifications.snooze(now + timedelta(hours=1))
            case Action.SNOOZE_UNTIL_TOMORROW:
                self._notifications.snooze(tomorrow_morning(now))
            case Action.UNSNOOZE:
                self._notifications.snooze(None)
            case Action.TOGGLE_AUTOSTART:
                self._toggle_autostart()
            case Action.QUIT_DRAINED:
                self.leave_wanted.emit(StopMode.DRAIN)
            case Action.QUIT_NOW:
                self.leave_wanted.emit(StopMode.CANCEL)
            case _:
                return
        self.done.emit()

    def follow(self, notice: Notice | None) -> None:
        """Open what a notice is about; None: the window."""
        if notice is None:
            self.carry_out(Action.OPEN)
        else:
            self.carry_out(notice.action, notice.target)

    def answer(self, approval_id: str, allow: bool) -> None:
        """Answer a question, for this one call."""
        self._do(self._worker.answer_approval(approval_id, allow=allow, scope="once"))

    def _pause(self, until: datetime | None) -> None:
        self._do(self._worker.pause(reason=pause_reason(until, datetime.now(UTC)), until=until))

    def _toggle_autostart(self) -> None:
        try:
            set_autostart(self._autostart, on=autostart_state(self._autostart) is not Autostart.ON)
        except OSError as error:
            self._complain(tr("Start at login could not be changed: {reason}.", reason=error.strerror or error))

    def _do(self, command: Awaitable[Any]) -> None:
        async def run() -> None:
            try:
                await command
            except KubiyaError as error:
                self._complain(fact(error))
            self.done.emit()

        self._tasks.start(run())

    def _complain(self, sentence: str) -> None:
        log.warning("%s", sentence)
        self._notifications.say(Notice(title=tr("That did not work"), body=sentence, level=Level.PROBLEM))
