"""Notices over restarts: one JSON object a line, in a file of the user's own. What cannot be kept is only shown."""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any

from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice
from desktop.notices.notifications import HISTORY, Notifications
from worker_core.paths import private_directory

log = logging.getLogger(__name__)

_ACTIONS = {one.value: one for one in Action}
"""A notice of another version may wish for what this one cannot do: it is shown all the same."""

LONGEST = 2_000
"""Characters of a title or a body that are kept."""


class NoticeFile:
    """Appends; begins anew with the newest where it has grown to twice of what is shown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = 0
        self._complained = False

    def keep(self, notifications: Notifications) -> None:
        """Give back what was said before, and keep all that is said, or forgotten, from now on."""
        history = notifications.history
        notifications.remember(self.read())
        notifications.listen(lambda notice: self.add(notice, history))
        notifications.count(lambda: None if history else self.write(history))

    def read(self) -> list[Notice]:
        """The newest, oldest first. Lines that are no notices are passed over."""
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                newest = deque(file, maxlen=HISTORY)
        except OSError:
            return []
        self._lines = len(newest)
        return [notice for line in newest if (notice := _notice(line)) is not None]

    def add(self, notice: Notice, history: deque[Notice]) -> None:
        """Keep one more; `history` is all that is shown, this one among it."""
        if self._lines >= 2 * HISTORY:
            self.write(history)
        else:
            self._put([notice], os.O_APPEND)
            self._lines += 1

    def write(self, history: deque[Notice]) -> None:
        """Keep these alone."""
        self._put(list(history), os.O_TRUNC)
        self._lines = len(history)

    def _put(self, notices: list[Notice], how: int) -> None:
        text = "".join(json.dumps(_fields(one), ensure_ascii=False) + "\n" for one in notices)
        try:
            private_directory(self._path.parent)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | how, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
        except OSError as error:
            if not self._complained:
                log.warning("Notifications cannot be kept over a restart (%s).", error.strerror or error)
            self._complained = True


def _fields(notice: Notice) -> dict[str, Any]:
    return {
        "title": notice.title[:LONGEST],
        "body": notice.body[:LONGEST],
        "level": notice.level.name,
        "wish": notice.action.value,
        "target": notice.target,
        "about": notice.about or notice.key,
        "stands": notice.stands,
        "at": notice.at.isoformat(),
    }


def _notice(line: str) -> Notice | None:
    try:
        said = json.loads(line)
        at = datetime.fromisoformat(said["at"])
        return Notice(
            title=str(said["title"]),
            body=str(said["body"]),
            level=Level.__members__.get(said["level"], Level.NEWS),
            action=_ACTIONS.get(said["wish"], Action.NOTHING),
            target=str(said["target"]),
            about=str(said.get("about", "")),
            stands=said.get("stands", said["level"] == Level.QUESTION.name) is True,
            at=at if at.tzinfo is not None else at.astimezone(),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
