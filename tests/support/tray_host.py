"""A desktop session for tests: a private X server, a private D-Bus, and a panel that takes tray icons over D-Bus."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jeepney", reason="D-Bus is Linux's: jeepney is not installed")

from jeepney import DBusAddress, HeaderFields, Message, MessageType, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from tests.support.bus_service import BusService

LIMIT_SECONDS = 60.0
STARTS_NOTHING = """\
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
"""A session's bus (Debian's session.conf) without the services that happen to be installed."""

WATCHER = "org.kde.StatusNotifierWatcher"
ITEM = "org.kde.StatusNotifierItem"
MENU = "com.canonical.dbusmenu"
PROPERTIES = "org.freedesktop.DBus.Properties"


def until(condition: Callable[[], Any], *, limit: float = LIMIT_SECONDS, what: str = "") -> Any:
    """Ask until the answer is truthy: what is asked is another program."""
    end = time.monotonic() + limit
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {limit} s: {what or condition}"
        time.sleep(0.02)
    return answer


@contextlib.contextmanager
def private_bus(*, starts_services: bool = True, services: Path | None = None, **environ: str) -> Iterator[str]:
    """A session bus of our own; its address. With `environ` as well, for the services that it starts: those that are
    installed, or those of the folder `services` alone, or none.
    """
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon (Debian: dbus) is not installed")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        folder = f"  <servicedir>{services}</servicedir>\n" if services is not None else ""
        file.write(STARTS_NOTHING.replace("</busconfig>", f"{folder}</busconfig>"))
        file.flush()
        configuration = "--session" if starts_services and services is None else f"--config-file={file.name}"
        process = subprocess.Popen(
            ["dbus-daemon", configuration, "--nofork", "--nopidfile", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | environ,
        )
        assert process.stdout is not None
        address = process.stdout.readline().strip()
    try:
        yield address
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)
        process.stdout.close()


@contextlib.contextmanager
def private_display(*options: str) -> Iterator[str]:
    """An X server of our own; its name. `options` are Xvfb's."""
    with killable_display(*options) as (name, _):
        yield name


@contextlib.contextmanager
def killable_display(*options: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """An X server of our own: its name, and what ends it at once."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb (Debian: xvfb) is not installed")
    reading, writing = os.pipe()
    # It would begin anew when its only client leaves, and turn away who comes meanwhile: a window manager, say.
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset", *options],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}", process.kill
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)


class Panel(BusService):
    """The watcher that icons register with, as GNOME's extension or KDE's panel have it. Runs until `close`."""

    name = WATCHER

    def __init__(self, address: str) -> None:
        self.items: list[str] = []
        super().__init__(address)

    def answer(self, message: Message) -> None:
        fields = message.header.fields
        match fields.get(HeaderFields.member), message.body:
            case "RegisterStatusNotifierItem", (service,):
                sender = fields[HeaderFields.sender]
                self.items.append(sender if service.startswith("/") else service)
                self.reply(message)
                emitter = DBusAddress("/StatusNotifierWatcher", interface=WATCHER)
                self.signal(emitter, "StatusNotifierItemRegistered", "s", (service,))
            case "Get", (_, "IsStatusNotifierHostRegistered"):
                self.reply(message, "v", (("b", True),))
            case "Get", (_, "RegisteredStatusNotifierItems"):
                self.reply(message, "v", (("as", self.items),))
            case "Get", (_, "ProtocolVersion"):
                self.reply(message, "v", (("i", 0),))
            case "GetAll", _:
                known = {
                    "IsStatusNotifierHostRegistered": ("b", True),
                    "RegisteredStatusNotifierItems": ("as", self.items),
                    "ProtocolVersion": ("i", 0),
                }
                self.reply(message, "a{sv}", (known,))
            case _:
                self.reply(message)


class WatchedPanel:
    """A real panel, that runs already and has the watcher: the icons that it knows of."""

    def __init__(self, address: str) -> None:
        self._connection: DBusConnection = open_dbus_connection(address)

    def close(self) -> None:
        self._connection.close()

    @property
    def items(self) -> list[str]:
        """Services of those that have the usual path; none as long as nobody watches."""
        where = DBusAddress("/StatusNotifierWatcher", bus_name=WATCHER, interface=PROPERTIES)
        asked = new_method_call(where, "Get", "ss", (WATCHER, "RegisteredStatusNotifierItems"))
        answer = self._connection.send_and_get_reply(asked, timeout=LIMIT_SECONDS)
        if answer.header.message_type is not MessageType.method_return:
            return []
        return [str(item).removesuffix("/StatusNotifierItem") for item in answer.body[0][1]]


@dataclass(frozen=True, slots=True)
class MenuItem:
    id: int
    label: str
    enabled: bool
    checked: bool
    children: tuple[MenuItem, ...]


UNKNOWN_SERVICE = "org.freedesktop.DBus.Error.ServiceUnknown"
LEFT_IN_MID_CALL = "org.freedesktop.DBus.Error.NoReply"


class TrayIcon:
    """The icon that registered last, looked at and clicked over D-Bus as a panel does it.

    A program that starts together with its panel may take its icon back at once, and put another one in its place.
    """

    def __init__(self, address: str, panel: Panel | WatchedPanel) -> None:
        self._connection: DBusConnection = open_dbus_connection(address)
        self._panel = panel

    def close(self) -> None:
        self._connection.close()

    @property
    def tooltip(self) -> str:
        _, _, title, body = self._property("ToolTip")
        return f"{title}{body}"

    @property
    def title(self) -> str:
        """What lists of icons call it."""
        return str(self._property("Title"))

    @property
    def pixels(self) -> bytes:
        """The largest icon, ARGB."""
        return bytes(max(self._property("IconPixmap"), key=lambda one: one[0])[2])

    def menu(self) -> tuple[MenuItem, ...]:
        path = self._property("Menu")
        self._call(path, MENU, "AboutToShow", "i", (0,))
        _, layout = self._call(path, MENU, "GetLayout", "iias", (0, -1, []))
        return _item(layout).children

    def labels(self) -> list[str]:
        return [item.label for item in self.menu() if item.label]

    def click(self, *labels: str) -> None:
        """Pick an item, once it is there: a menu follows what happens. Several labels lead through submenus."""
        item = until(lambda: self._item(labels), what=f"an item {labels}")
        assert item.enabled, f"{labels} cannot be picked"
        path = self._property("Menu")
        self._call(path, MENU, "Event", "isvu", (item.id, "clicked", ("i", 0), 0))

    def _item(self, labels: Sequence[str]) -> MenuItem | None:
        items = self.menu()
        for label in labels[:-1]:
            items = next((item.children for item in items if item.label == label), ())
        return next((item for item in items if item.label == labels[-1]), None)

    def _property(self, name: str) -> Any:
        return self._call("/StatusNotifierItem", PROPERTIES, "Get", "ss", (ITEM, name))[0][1]

    def _call(self, path: str, interface: str, method: str, signature: str, body: tuple[Any, ...]) -> Any:
        end = time.monotonic() + LIMIT_SECONDS
        while True:
            service = until(lambda: self._panel.items, what="an icon")[-1]
            where = DBusAddress(path, bus_name=service, interface=interface)
            answer = self._connection.send_and_get_reply(
                new_method_call(where, method, signature, body), timeout=LIMIT_SECONDS
            )
            # An icon that is made anew has another name, which the panel learns a moment later.
            if answer.header.fields.get(HeaderFields.error_name) not in {UNKNOWN_SERVICE, LEFT_IN_MID_CALL}:
                break
            assert time.monotonic() < end, f"not within {LIMIT_SECONDS} s: an icon that answers ({answer.body})"
            time.sleep(0.02)
        assert answer.header.message_type is MessageType.method_return, answer.body
        return answer.body


def shown(label: str) -> str:
    """What a panel draws of a label (com.canonical.dbusmenu): `__` is `_`, any other `_` marks a key."""
    return re.sub(r"__|_", lambda found: "_" if found.group() == "__" else "", label)


def _item(node: Any) -> MenuItem:
    number, properties, children = node
    said = {name: value[1] for name, value in properties.items()}
    return MenuItem(
        id=number,
        label=shown(str(said.get("label", ""))),
        enabled=bool(said.get("enabled", True)),
        checked=said.get("toggle-state") == 1,
        children=tuple(_item(child[1]) for child in children),
    )


def desktop_environment(home: Path, *, display: str, bus: str) -> dict[str, str]:
    """What the tray finds in its environment: nothing of the real session, and no keys."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("KUBIYA", "XDG", "QT", "LITELLM"))
    }
    for name in ("QUEUE_ID", "CONTROL_PLANE_URL", "WAYLAND_DISPLAY"):
        kept.pop(name, None)
    runtime = home / "xdg-runtime"
    runtime.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "xdg-config"),
        "XDG_DATA_HOME": str(home / "xdg-data"),
        "XDG_RUNTIME_DIR": str(runtime),
        "KUBIYA_WORKER_HOME": str(home / "worker"),
        "KUBIYA_WORKER_REQUIRE_SANDBOX": "never",  # where the machine has walls, they are used all the same
        "DISPLAY": display,
        "DBUS_SESSION_BUS_ADDRESS": bus,
        "DBUS_SYSTEM_BUS_ADDRESS": bus,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "QT_QPA_PLATFORM": "xcb",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
