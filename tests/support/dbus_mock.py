"""Services of the system as python-dbusmock's templates know them.

Each is a process of the system's own Python, on a private bus.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

pytest.importorskip("jeepney", reason="D-Bus is Linux's: jeepney is not installed")

from jeepney import DBusAddress, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from tests.support.tray_host import LIMIT_SECONDS, until

PYTHON: Final = "/usr/bin/python3"
"""Debian's, which has dbus-python; a virtual environment's has not."""

MOCK: Final = "org.freedesktop.DBus.Mock"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"


@functools.cache
def _is_there() -> bool:
    try:
        asked = subprocess.run(
            [PYTHON, "-I", "-c", "import dbusmock"], capture_output=True, timeout=LIMIT_SECONDS, check=False
        )
    except OSError:
        return False
    return asked.returncode == 0


class Template:
    """One service, from `begin` to `close`; it may come and go in between, and has forgotten all then."""

    template = ""
    name = ""
    path = ""
    interface = ""

    def __init__(self, address: str) -> None:
        if not _is_there():
            pytest.skip("python-dbusmock (Debian: python3-dbusmock) is not installed for the system's Python")
        self._address = address
        self._connection: DBusConnection = open_dbus_connection(address)
        self._process: subprocess.Popen[bytes] | None = None
        self.begin()

    def begin(self) -> None:
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "DBUS_SYSTEM_BUS_ADDRESS": self._address}
        self._process = subprocess.Popen(
            [PYTHON, "-I", "-m", "dbusmock", "--system", "--template", self.template],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        # It owns its name before it has loaded its template.
        until(self._is_loaded, what=f"{self.name} on the bus")
        self.furnish()

    def furnish(self) -> None:
        """Put into it what a machine has."""

    def end(self) -> None:
        """It leaves the bus."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(LIMIT_SECONDS)

    def close(self) -> None:
        self.end()
        self._connection.close()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """It answers when this is over."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def ask(
        self, method: str, signature: str = "", *body: Any, interface: str = MOCK, path: str | None = None
    ) -> tuple[Any, ...]:
        where = DBusAddress(path or self.path, bus_name=self.name, interface=interface)
        call = new_method_call(where, method, signature or None, body)
        answer = self._connection.send_and_get_reply(call, timeout=LIMIT_SECONDS)
        assert answer.header.message_type is MessageType.method_return, answer.body
        return tuple(answer.body)

    def change(self, path: str, interface: str, **properties: tuple[str, Any]) -> None:
        """As the service itself does it: the new values come with a `PropertiesChanged`."""
        self.ask("UpdateProperties", "sa{sv}", interface, properties, path=path)

    def _is_loaded(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the template has ended"
        owned = self._connection.send_and_get_reply(message_bus.NameHasOwner(self.name), timeout=LIMIT_SECONDS)
        if owned.body != (True,):
            return False
        where = DBusAddress(self.path, bus_name=self.name, interface=PROPERTIES)
        call = new_method_call(where, "GetAll", "s", (self.interface,))
        answer = self._connection.send_and_get_reply(call, timeout=LIMIT_SECONDS)
        return answer.header.message_type is MessageType.method_return and bool(answer.body[0])


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """Held for as long as the program keeps its end of a pipe open."""

    what: str
    who: str
    why: str
    mode: str


class Logind(Template):
    """With a session of the person's own."""

    template = "logind"
    name = "org.freedesktop.login1"
    path = "/org/freedesktop/login1"
    interface = "org.freedesktop.login1.Manager"

    session = "/org/freedesktop/login1/session/auto"

    def furnish(self) -> None:
        self.ask("AddSession", "ssusb", "auto", "seat0", 1000, "anna", True)

    def held(self, mode: str) -> list[Inhibitor]:
        (found,) = self.ask("ListInhibitors", interface=self.interface)
        return [
            one for what, who, why, how, _uid, _pid in found if (one := Inhibitor(what, who, why, how)).mode == mode
        ]

    def prepare_for_sleep(self, *, begins: bool) -> None:
        self.ask("EmitSignal", "sssav", self.interface, "PrepareForSleep", "b", [("b", begins)])

    def lock(self, *, locked: bool) -> None:
        """As a screen locker says it."""
        self.ask("SetLockedHint", "b", locked, interface="org.freedesktop.login1.Session", path=self.session)


class UPower(Template):
    template = "upower"
    name = "org.freedesktop.UPower"
    path = "/org/freedesktop/UPower"
    interface = "org.freedesktop.UPower"

    display = "/org/freedesktop/UPower/devices/DisplayDevice"

    def battery(self, percent: float, *, present: bool = True) -> None:
        """All batteries of the machine, taken together."""
        changed = {"Type": ("u", 2), "IsPresent": ("b", present), "Percentage": ("d", percent)}
        self.ask("SetDeviceProperties", "oa{sv}", self.display, changed)

    def plug(self, *, on_battery: bool) -> None:
        self.change(self.path, self.interface, OnBattery=("b", on_battery))

    def lid(self, *, closed: bool) -> None:
        self.change(self.path, self.interface, LidIsClosed=("b", closed))


class NetworkManager(Template):
    """The template has no `Metered`, which NetworkManager has had since 1.2: it is added."""

    template = "networkmanager"
    name = "org.freedesktop.NetworkManager"
    path = "/org/freedesktop/NetworkManager"
    interface = "org.freedesktop.NetworkManager"

    def furnish(self) -> None:
        self.ask("AddProperty", "ssv", self.interface, "Metered", ("u", 2))

    def meter(self, *, metered: bool) -> None:
        """NM_METERED_YES and NM_METERED_NO."""
        self.change(self.path, self.interface, Metered=("u", 1 if metered else 2))
