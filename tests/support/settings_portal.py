"""The desktop's portal as far as its settings go: a preference of dark or light (org.freedesktop.portal.Settings)."""

from __future__ import annotations

from typing import Final

import pytest

pytest.importorskip("jeepney", reason="D-Bus is Linux's: jeepney is not installed")

from jeepney import DBusAddress, HeaderFields, Message

from tests.support.bus_service import BusService

SETTINGS: Final = "org.freedesktop.portal.Settings"
WHICH: Final = ("org.freedesktop.appearance", "color-scheme")
NONE, DARK, LIGHT = 0, 1, 2


class SettingsPortal(BusService):
    """Owns the name until `close`."""

    name = "org.freedesktop.portal.Desktop"

    def __init__(self, address: str, preference: int = NONE) -> None:
        self._preference = preference
        super().__init__(address)

    def prefer(self, preference: int) -> None:
        self._preference = preference
        emitter = DBusAddress("/org/freedesktop/portal/desktop", interface=SETTINGS)
        self.signal(emitter, "SettingChanged", "ssv", (*WHICH, ("u", preference)))

    def answer(self, message: Message) -> None:
        fields = message.header.fields
        match fields.get(HeaderFields.interface), fields.get(HeaderFields.member):
            case "org.freedesktop.portal.Settings", "Read" if message.body == WHICH:
                self.reply(message, "v", (("v", ("u", self._preference)),))
            case "org.freedesktop.portal.Settings", "ReadAll":
                known = {WHICH[0]: {WHICH[1]: ("u", self._preference)}}
                self.reply(message, "a{sa{sv}}", (known,))
            case _:
                self.refuse(message, "org.freedesktop.DBus.Error.UnknownMethod")
