"""Questions in the notification servers that people have: seen, clicked on their buttons, closed when they are over.

Each is its Debian package, on an X server and a bus of its own; `make test-desktops` runs this, too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection
from pytestqt.qtbot import QtBot

from desktop.system.platforms.notice_picture import notice_picture
from tests.desktop.notices.rig import Rig, asking, question
from tests.support.notice_on_screen import NoticeScreen
from tests.support.notification_server import NAME
from tests.support.tray_host import LIMIT_SECONDS, desktop_environment, private_bus, private_display, until
from tests.support.window_manager import openbox

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 and D-Bus are Linux's")

SERVERS = (
    "dunst", "xfce4-notifyd", "mate-notification-daemon", "lxqt-notificationd", "notification-daemon", "awesome",
)  # fmt: skip
"""Debian packages, and the program in each."""

MANAGES_WINDOWS = "awesome"
LIMIT_MS = int(LIMIT_SECONDS * 1000)
PLACES = ("bin/{name}", "libexec/{name}", "lib/{name}/{name}", "lib/*/{name}", "lib/*/xfce4/notifyd/{name}")
"""Below /usr."""

CONFIGURATIONS = {
    "dunst": "[global]\n    font = DejaVu Sans 10\n    mouse_left_click = context\n    dmenu = {menu}\n",
    "awesome": 'require("naughty")\n',
}
"""dunst's buttons are in a menu, drawn by a program that the configuration names: here it picks what is said below."""


def program(name: str) -> str:
    """Skips where it is missing."""
    for place in PLACES:
        for found in Path("/usr").glob(place.format(name=name)):
            if found.is_file() and os.access(found, os.X_OK):
                return str(found)
    pytest.skip(f"{name} is missing: install the Debian package of this name")


@dataclass(frozen=True, slots=True)
class Desk:
    """A screen with a bus, and what is told to dunst's menu."""

    environment: dict[str, str]
    home: Path
    bus: str

    @property
    def pick(self) -> Path:
        return self.home / "pick"

    @contextlib.contextmanager
    def shows(self, name: str) -> Iterator[None]:
        """A server, from when it has the name until it has ended."""
        started = [program(name)]
        if name in CONFIGURATIONS:
            configuration = self.home / f"{name}.conf"
            configuration.write_text(CONFIGURATIONS[name].format(menu=self._menu()))
            started += ["-conf" if name == "dunst" else "-c", str(configuration)]
        running = subprocess.Popen(
            started, cwd=self.home, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until(self._owner, what=f"{name} on the bus")
            yield
        finally:
            running.terminate()
            running.wait(LIMIT_SECONDS)

    def _menu(self) -> Path:
        menu = self.home / "menu"
        menu.write_text(f'#!/bin/sh\nexec grep -i "$(cat {self.pick})"\n')
        menu.chmod(0o755)
        return menu

    def _owner(self) -> bool:
        bus = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
        with open_dbus_connection(self.bus) as connection:
            asked = new_method_call(bus, "NameHasOwner", "s", (NAME,))
            return bool(connection.send_and_get_reply(asked, timeout=LIMIT_SECONDS).body[0])


@pytest.fixture
def desk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for needed in ("openbox", "xdotool"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is missing: install the Debian package of this name")
    with (
        private_display() as display,
        private_bus(starts_services=False) as bus,
        contextlib.ExitStack() as running,
    ):
        environment = desktop_environment(tmp_path, display=display, bus=bus) | {"GSETTINGS_BACKEND": "memory"}
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
        if MANAGES_WINDOWS not in request.node.name:
            running.enter_context(openbox(environment))
        yield Desk(environment, tmp_path, bus)


@pytest.fixture
def rig(desk: Desk) -> Iterator[Rig]:
    made = Rig()
    made.picture = notice_picture("ai.kubiya.worker", {"XDG_DATA_HOME": str(desk.home), "XDG_DATA_DIRS": "/nowhere"})
    yield made
    made.bubbles.close()


@pytest.mark.parametrize("name", SERVERS)
def test_a_question_is_answered_by_the_buttons_that_are_seen(desk: Desk, rig: Rig, qtbot: QtBot, name: str) -> None:
    with desk.shows(name):
        screen = NoticeScreen(desk.environment)
        for number, allow in enumerate((True, False)):
            rig.bubbles.show(question("shell: rm -rf build", target=f"a{number}"))
            press(desk, screen, allow=allow, name=name)
            qtbot.waitUntil(lambda: len(rig.answers) > number, timeout=LIMIT_MS)  # noqa: B023 - it is called here
            until(screen.is_empty, what="an answered question goes from the screen")
        assert rig.answers == [("a0", True), ("a1", False)]
        rig.bubbles.show(question("shell: make", target="a2"))
        until(lambda: not screen.is_empty(), what="a question")
        rig.bubbles.look(asking())
        until(screen.is_empty, what="a question that was answered elsewhere goes from the screen")
        assert (len(rig.answers), rig.followed, rig.messages) == (2, [], [])


def press(desk: Desk, screen: NoticeScreen, *, allow: bool, name: str) -> None:
    """The button; of dunst, the notification, and the button in its menu."""
    desk.pick.write_text("allow" if allow else "deny")
    screen.click(screen.text() if name == "dunst" else screen.buttons()[0 if allow else 1])


PAIRS = [
    (first, second) for first, second in pairwise([*SERVERS, SERVERS[0]]) if MANAGES_WINDOWS not in (first, second)
]


@pytest.mark.parametrize(("name", "second"), PAIRS)
def test_a_question_goes_over_to_the_server_that_comes_next(
    desk: Desk, rig: Rig, qtbot: QtBot, name: str, second: str
) -> None:
    screen = NoticeScreen(desk.environment)
    program(second)
    with desk.shows(name):
        rig.bubbles.show(question("shell: make", target="a1"))
        rig.bubbles.show(question("shell: rm -rf build", target="a2"))
        until(lambda: not screen.is_empty(), what="a question")
        rig.bubbles.look(asking("a2"))
        screen.text()
    until(screen.is_empty, what="the first server has gone")
    with desk.shows(second):
        qtbot.waitUntil(lambda: not screen.is_empty(), timeout=LIMIT_MS)
        press(desk, screen, allow=True, name=second)
        qtbot.waitUntil(lambda: rig.answers == [("a2", True)], timeout=LIMIT_MS)
        until(screen.is_empty, what="an answered question goes from the screen")


def test_where_there_are_no_buttons_no_dialog_comes_that_looks_like_some(desk: Desk, rig: Rig) -> None:
    """Canonical's NotifyOSD makes a window with "OK" and "Cancel" of what asks for buttons, or is to stay."""
    with desk.shows("notify-osd"):
        screen = NoticeScreen(desk.environment)
        rig.bubbles.show(question("shell: rm -rf build"))
        until(lambda: screen.windows("--class", "^Notify-osd$"), what="the question")
        assert not screen.windows("--name", "^Kubiya Worker$")
