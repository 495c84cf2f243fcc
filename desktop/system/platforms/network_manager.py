"""Whether the network is metered, as NetworkManager knows it.

Qt's own (`QNetworkInformation`, 6.11) waits for answers in the GUI's thread, hears nothing of a NetworkManager that
came after the program, and keeps an old one's word for the new one's: the same answer as before is then no change.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtDBus import QDBusConnection

from desktop.system.platforms.properties import Properties, Property

SERVICE: Final = "org.freedesktop.NetworkManager"

METERED: Final = frozenset({1, 3})
"""NMMetered: 0 unknown, 1 yes, 2 no, 3 guessed yes, 4 guessed no."""


class NetworkManager:
    """Implements `ports.NetworkCost`."""

    def __init__(self, bus: QDBusConnection | None = None) -> None:
        asked = Property("/org/freedesktop/NetworkManager", SERVICE, "Metered")
        self._properties = Properties(SERVICE, (asked,), bus=bus)
        self.changed = self._properties.changed

    def is_metered(self) -> bool | None:
        match self._properties.read():
            case {"Metered": int(said)}:
                return said in METERED
            case _:
                return None
