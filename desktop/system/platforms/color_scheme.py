"""Whether the desktop wants programs dark, as its portal knows it (org.freedesktop.portal.Settings).

Qt 6.11 asks it on some desktops alone: on sway and other small compositors, LXQt, and Plasma without a file of its own
it does not know; with GTK's theme (GNOME, Xfce, MATE, Cinnamon) it is told, and says light until that changes.
"""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import SLOT, QObject, Qt, Signal, Slot
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusVariant

from desktop.system.platforms.late_answers import ask
from desktop.system.platforms.services import watch

SERVICE: Final = "org.freedesktop.portal.Desktop"
PATH: Final = "/org/freedesktop/portal/desktop"
SETTINGS: Final = "org.freedesktop.portal.Settings"
WHICH: Final = ["org.freedesktop.appearance", "color-scheme"]
SCHEMES: Final = {1: Qt.ColorScheme.Dark, 2: Qt.ColorScheme.Light}
"""0 and all others: no preference."""


class PortalColorScheme(QObject):
    """Implements `ports.ColorPreference`."""

    changed = Signal()

    def __init__(self, bus: QDBusConnection | None = None) -> None:
        super().__init__()
        self._bus = bus or QDBusConnection.sessionBus()
        self._scheme = Qt.ColorScheme.Unknown
        if self._bus.isConnected():
            watch(SERVICE, self._bus, parent=self, came=self.look)
            slot = SLOT("look()")  # a str, whatever PySide's stubs say
            self._bus.connect(SERVICE, PATH, SETTINGS, "SettingChanged", self, slot)  # type: ignore[call-overload]
            self.look()

    def scheme(self) -> Qt.ColorScheme:
        return self._scheme

    @Slot()
    def look(self) -> None:
        """Some setting has changed, or there is another portal."""
        # Not `ReadOne`, which portals have from version 2 of the interface on. Whoever is not there is not started: the
        # portal says when it comes.
        call = QDBusMessage.createMethodCall(SERVICE, PATH, SETTINGS, "Read")
        call.setArguments(WHICH)
        call.setAutoStartService(False)
        ask(self._bus, call, parent=self, then=self._told, wish="A look at the desktop's colours")

    def _told(self, said: Any) -> None:
        while isinstance(said, QDBusVariant):  # one in another
            said = said.variant()
        before, self._scheme = self._scheme, SCHEMES.get(said, Qt.ColorScheme.Unknown)
        if self._scheme is not before:
            self.changed.emit()
