"""Notices as the program shows them, and what came of it: on the session bus that the environment names."""

from __future__ import annotations

from datetime import UTC, datetime

from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice
from desktop.notices.popups import Popups
from desktop.system.platforms.notice_picture import Picture
from desktop.system.platforms.ports import ScreenLock
from tests.support.questions import view
from worker_core.snapshot import EngineSnapshot

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def question(body: str, *, title: str = "An agent asks for approval", target: str = "a1") -> Notice:
    return Notice(title=title, body=body, level=Level.QUESTION, action=Action.OPEN_APPROVAL, target=target)


QUESTION = question("shell: rm -rf build")
NEWS = Notice(
    title="Execution finished", body="All is well.", level=Level.NEWS, action=Action.OPEN_EXECUTION, target="e1"
)


def asking(*ids: str) -> EngineSnapshot:
    return EngineSnapshot(approvals=tuple(view(one, at=NOW, command="rm") for one in ids))


class Rig:
    def __init__(self, *, screen_lock: ScreenLock | None = None) -> None:
        from desktop.system.platforms.dbus_notifier import DBusNotifier

        self.messages: list[Notice] = []
        self.answers: list[tuple[str, bool]] = []
        self.followed: list[Notice] = []
        self.picture: Picture | None = None
        self.bubbles = Popups(
            notifier=DBusNotifier(
                application="Kubiya Worker", desktop_entry="ai.kubiya.worker", picture=lambda: self.picture
            ),
            message=self.messages.append,
            answer=lambda approval_id, allow: self.answers.append((approval_id, allow)),
            follow=self.followed.append,
            screen_lock=screen_lock,
        )
