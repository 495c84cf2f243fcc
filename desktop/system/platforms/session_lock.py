"""Whether the screen is locked, as logind knows it: lockers of GNOME, KDE and others set the session's `LockedHint`."""

from __future__ import annotations

import logging
from typing import Final

from PySide6.QtCore import SLOT, QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusObjectPath, QDBusVariant

log = logging.getLogger(__name__)

SERVICE: Final = "org.freedesktop.login1"
MANAGER_PATH: Final = "/org/freedesktop/login1"
MANAGER: Final = "org.freedesktop.login1.Manager"
SESSION: Final = "org.freedesktop.login1.Session"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
CALL_LIMIT_MS: Final = 1000


class SessionLock(QObject):
    """Implements `ports.ScreenLock`. Asks nothing before it is asked. Where nobody knows, the screen is not locked."""

    unlocked = Signal()

    def __init__(self, bus: QDBusConnection | None = None) -> None:
        super().__init__()
        self._bus = bus
        self._session: str | None = None
        """Its path; empty: there is none."""

        self._locked = False

    def is_locked(self) -> bool:
        if self._session is None:
            self._session = self._find()
            self._read()
        return self._locked

    @Slot()
    def look(self) -> None:
        """Something of the session has changed."""
        before = self._locked
        self._read()
        if before and not self._locked:
            self.unlocked.emit()

    def _find(self) -> str:
        self._bus = self._bus or QDBusConnection.systemBus()
        if not self._bus.isConnected():
            return ""
        # Also where a user's service starts this program, outside of any session (systemd 243).
        found = self._ask(MANAGER_PATH, MANAGER, "GetSession", "auto")
        path = found.path() if isinstance(found, QDBusObjectPath) else ""
        if path:
            slot = SLOT("look()")  # a str, whatever PySide's stubs say
            self._bus.connect(SERVICE, path, PROPERTIES, "PropertiesChanged", self, slot)  # type: ignore[call-overload]
        return path

    def _read(self) -> None:
        if not self._session:
            return
        found = self._ask(self._session, PROPERTIES, "Get", SESSION, "LockedHint")
        said = found.variant() if isinstance(found, QDBusVariant) else found
        self._locked = said is True

    def _ask(self, path: str, interface: str, method: str, *given: str) -> object:
        assert self._bus is not None
        call = QDBusMessage.createMethodCall(SERVICE, path, interface, method)
        call.setArguments(list(given))
        answer = self._bus.call(call, timeout=CALL_LIMIT_MS)
        if answer.type() is not QDBusMessage.MessageType.ReplyMessage or not answer.arguments():
            log.info("Whether the screen is locked is not known: %s", answer.errorMessage())
            return None
        return answer.arguments()[0]
