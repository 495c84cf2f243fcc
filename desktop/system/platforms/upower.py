"""The power supply of the whole machine, as UPower knows it: several batteries count as one, a mouse's does not."""

from __future__ import annotations

from typing import Final

from PySide6.QtDBus import QDBusConnection

from desktop.system.platforms.ports import Charge
from desktop.system.platforms.properties import Properties, Property

SERVICE: Final = "org.freedesktop.UPower"
DISPLAY_PATH: Final = "/org/freedesktop/UPower/devices/DisplayDevice"
"""All batteries, and a UPS, that feed this machine, taken together."""

_ASKED: Final = (
    Property("/org/freedesktop/UPower", "org.freedesktop.UPower", "OnBattery"),
    Property(DISPLAY_PATH, "org.freedesktop.UPower.Device", "IsPresent"),
    Property(DISPLAY_PATH, "org.freedesktop.UPower.Device", "Percentage"),
)


class UPower:
    """Implements `ports.PowerSupply`."""

    def __init__(self, bus: QDBusConnection | None = None) -> None:
        self._properties = Properties(SERVICE, _ASKED, bus=bus, start=True)
        self.changed = self._properties.changed

    def charge(self) -> Charge | None:
        match self._properties.read():
            case {"OnBattery": bool(used), "IsPresent": bool(present), "Percentage": float(percent)}:
                return Charge(percent=percent if present else None, used_up=used)
            case None:
                return None
            case _:
                return Charge()
