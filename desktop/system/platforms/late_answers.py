"""Calls over QtDBus whose answers come later: while one waits there, PySide lets no thread of the program go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import QObject
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusPendingCallWatcher

log = logging.getLogger(__name__)

LIMIT_MS: Final = 10_000


def ask(
    bus: QDBusConnection, message: QDBusMessage, *, parent: QObject, then: Callable[[Any], None], wish: str
) -> None:
    """Send a call.

    Args:
        bus: where.
        message: what.
        parent: who asks; an answer that comes after its end is nobody's.
        then: takes the answer's first value, in the GUI's thread; None: there is none.
        wish: what it is for, for the log.
    """
    watcher = QDBusPendingCallWatcher(bus.asyncCall(message, LIMIT_MS), parent)

    def answered() -> None:
        answer = watcher.reply()
        watcher.deleteLater()
        given = answer.arguments()
        if answer.type() is QDBusMessage.MessageType.ReplyMessage and given:
            then(given[0])
            return
        log.info("%s is not possible: %s", wish, answer.errorMessage())
        then(None)

    watcher.finished.connect(answered)
