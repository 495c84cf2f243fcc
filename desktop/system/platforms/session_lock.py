"""Whether the screen is locked, as logind knows it: lockers of GNOME, KDE and others set the session's `LockedHint`."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import SLOT, QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusObjectPath, QDBusVariant

from desktop.system.platforms.late_answers import ask
from desktop.system.platforms.services import watch

SERVICE: Final = "org.freedesktop.login1"
MANAGER_PATH: Final = "/org/freedesktop/login1"
MANAGER: Final = "org.freedesktop.login1.Manager"
SESSION: Final = "org.freedesktop.login1.Session"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"


class SessionLock(QObject):
    """Implements `ports.ScreenLock`. As long as nobody has said so, the screen is not locked."""

    unlocked = Signal()

    def __init__(self, bus: QDBusConnection | None = None) -> None:
        super().__init__()
        self._bus = bus or QDBusConnection.systemBus()
        self._session = ""
        self._locked = False
        if self._bus.isConnected():
            watch(SERVICE, self._bus, parent=self, came=self._find)
            self._find()

    def is_locked(self) -> bool:
        return self._locked

    @Slot()
    def look(self) -> None:
        """Something of the session has changed."""
        self._ask(self._session, PROPERTIES, "Get", [SESSION, "LockedHint"], self._told)

    def _find(self) -> None:
        # Also where a user's service starts this program, outside of any session (systemd 243).
        self._ask(MANAGER_PATH, MANAGER, "GetSession", ["auto"], self._found)

    def _found(self, path: Any) -> None:
        if not isinstance(path, QDBusObjectPath):
            return
        if path.path() != self._session:
            slot = SLOT("look()")  # a str, whatever PySide's stubs say
            where = PROPERTIES, "PropertiesChanged", self, slot
            if self._session:
                self._bus.disconnect(SERVICE, self._session, *where)  # type: ignore[call-overload]
            self._session = path.path()
            self._bus.connect(SERVICE, self._session, *where)  # type: ignore[call-overload]
        self.look()

    def _told(self, hint: Any) -> None:
        if hint is None:
            return  # what was known last holds
        before, said = self._locked, hint.variant() if isinstance(hint, QDBusVariant) else hint
        self._locked = said is True
        if before and not self._locked:
            self.unlocked.emit()

    def _ask(self, path: str, interface: str, method: str, given: list[str], then: Any) -> None:
        call = QDBusMessage.createMethodCall(SERVICE, path, interface, method)
        call.setArguments(given)
        ask(self._bus, call, parent=self, then=then, wish="A look at the screen's lock")
