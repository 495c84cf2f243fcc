"""The icon in panels that people have: seen, clicked for the popover and the window, its menu picked from by key.

`make test-desktops` says what is missing, and keeps the pictures.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageGrab

from desktop.settings.store import SettingsStore
from tests.desktop.first_run import FirstRun, allow, notifications_of, unlocked_keyring
from tests.desktop.panels import PANELS, shown, skip_without
from tests.desktop.session import Session
from tests.desktop.x_keyboard import Keyboard
from tests.support.engine import home
from tests.support.playground import running_playground
from tests.support.tray_host import LIMIT_SECONDS, desktop_environment, private_bus, private_display, until
from tests.support.window_manager import openbox

PICTURES = os.environ.get("KUBIYA_DESKTOP_PICTURES", "")
"""A folder for what each panel looked like."""


@pytest.fixture
def session(tmp_path: Path, panel: str) -> Iterator[Session]:
    if not sys.platform.startswith("linux"):
        pytest.skip("X11 and its panels are Linux's")
    for program in ("openbox", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: install the Debian package of this name")
    with private_display() as display:
        environment = desktop_environment(tmp_path, display=display, bus="") | {"GSETTINGS_BACKEND": "memory"}
        environment |= PANELS[panel].environment
        with private_bus(**environment) as bus:  # what it starts writes into this home, too
            environment |= {"DBUS_SESSION_BUS_ADDRESS": bus, "DBUS_SYSTEM_BUS_ADDRESS": bus}
            session = Session(bus, tmp_path, environment)
            with openbox(environment):
                yield session


class Screen:
    """What is to be seen, and a pointer and keys on it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def look(self) -> Image.Image:
        return ImageGrab.grab(xdisplay=self._session.environment["DISPLAY"]).convert("RGB")

    def rested(self) -> Image.Image:
        """Once something is there, and stays as it is."""
        seen = self.look()

        def rests() -> Image.Image | None:
            nonlocal seen
            self.do("sleep", "1")
            before, seen = seen, self.look()
            return seen if seen == before and seen.getbbox() else None

        found = until(rests, what="a screen that rests")
        assert isinstance(found, Image.Image)
        return found

    def icons(self, before: Image.Image) -> list[tuple[int, int]]:
        """Middles of what is new and no larger than an icon: it, and the digits of a clock."""
        difference = ImageChops.difference(before, self.look()).convert("L").point(lambda value: 255 * (value > 0))
        found, at = [], 0
        columns = [bool(difference.crop((x, 0, x + 1, difference.height)).getbbox()) for x in range(difference.width)]
        while at < len(columns):
            end = next((x for x in range(at, len(columns)) if not any(columns[x : x + 3])), len(columns))
            box = difference.crop((at, 0, end, difference.height)).getbbox()
            if box and 12 <= end - at <= 40 and 12 <= box[3] - box[1] <= 40:
                found.append(((at + end) // 2, (box[1] + box[3]) // 2))
            at = end + 1
        return found

    def click(self, place: tuple[int, int], button: int = 1) -> None:
        self.do("mousemove", *map(str, place))
        self.do("click", str(button))

    def leave(self) -> None:
        """Off the icon, whose tooltip goes."""
        self.do("mousemove", "600", "400")

    def window(self) -> str:
        return self.do("search", "--onlyvisible", "--name", "^Kubiya Worker")

    def close(self) -> None:
        """The window, by its own key."""
        found = until(self.window)
        until(lambda: self.do("windowactivate", "--sync", found) or self.focus() == found, what="the focus")
        self.do("key", "ctrl+w")
        until(lambda: not self.window(), what="a window that is closed")
        self.leave()

    def popover(self) -> str:
        """Its title says the state."""
        return self.do("search", "--onlyvisible", "--name", "^Stopped")

    def focus(self) -> str:
        """Which window has the keyboard."""
        return self.do("getwindowfocus")

    def place(self, window: str) -> tuple[int, int, int, int]:
        """Left, top, width and height."""
        said = dict(line.split("=") for line in self.do("getwindowgeometry", "--shell", window).splitlines())
        return int(said["X"]), int(said["Y"]), int(said["WIDTH"]), int(said["HEIGHT"])

    def do(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments], env=self._session.environment, capture_output=True, text=True, timeout=20,
            check=False,
        )  # fmt: skip
        return done.stdout.strip()


def find(screen: Screen, before: Image.Image) -> tuple[int, int]:
    """The icon: what is new, and opens the popover when it is clicked."""
    places: list[tuple[int, int]] = until(lambda: screen.icons(before), what="an icon in the panel")
    for place in places:
        screen.click(place)
        with contextlib.suppress(AssertionError):
            until(screen.popover, limit=10)
            return place
    raise AssertionError("no new part of the panel opens the popover")


@pytest.mark.parametrize("panel", PANELS)
def test_the_icon_is_there_opens_popover_and_window_and_has_its_menu(session: Session, panel: str) -> None:
    if not PICTURES:
        pytest.skip("`make test-desktops` runs this")
    skip_without(panel)
    SettingsStore(home(session.home / "worker")).prefer(start_worker=False)
    session.environment["QUEUE_ID"] = "11111111-2222-4333-8444-555555555555"
    screen = Screen(session)
    with shown(session, panel):
        empty = screen.rested()
        with session.started("--at-login") as program:
            place = find(screen, empty)
            popover = screen.popover()
            until(lambda: screen.focus() == popover, what="a popover with the keyboard")
            left, top, width, height = screen.place(popover)
            aside = max(left - place[0], place[0] - left - width, 0)
            away = max(top - place[1], place[1] - top - height, 0)
            assert aside + away > 0, "it does not cover the icon"
            assert max(aside, away) < 60, "and is beside it"
            screen.leave()
            beside_it = (
                min(left, place[0]),
                min(top, place[1]),
                max(left + width, place[0]),
                max(top + height, place[1]),
            )
            keep(f"{panel}-popover", screen.rested(), beside_it)
            screen.click(place)
            until(lambda: not screen.popover(), what="a popover that a second click closes")
            screen.rested()  # two clicks at once are a double click
            screen.click(place)
            until(screen.popover, what="a popover that comes again")
            until(lambda: screen.focus() == popover)
            screen.do("key", "Escape")
            until(lambda: not screen.popover(), what="a popover that Escape closes")
            screen.click(place, button=2)
            until(screen.window, what="the window, by a middle click")
            screen.close()
            with_icon = screen.rested()
            screen.click(place, button=3)
            until(lambda: screen.look() != with_icon, what="its menu")
            seen = screen.rested()
            keep(panel, seen, ImageChops.difference(seen, empty).getbbox() or (0, 0, *seen.size))
            screen.do("key", "Up")
            screen.do("key", "Return")
            assert program.wait(LIMIT_SECONDS) == 0
        until(lambda: place not in screen.icons(empty), what="a panel without the icon")


@pytest.mark.parametrize("panel", PANELS)
def test_first_run_to_quit(session: Session, panel: str, tmp_path: Path) -> None:
    if not PICTURES:
        pytest.skip("`make test-desktops` runs this")
    skip_without(panel)
    if shutil.which("gnome-keyring-daemon") is None:
        pytest.skip("gnome-keyring-daemon is missing: install the Debian package gnome-keyring")
    del session.environment["PYTHON_KEYRING_BACKEND"]
    screen = Screen(session)
    with (
        unlocked_keyring(session.environment),
        notifications_of(session) as notifications,
        running_playground(tmp_path / "playground") as stage,
        shown(session, panel),
    ):
        empty = screen.rested()
        first_run = FirstRun(session, Keyboard(session.environment), stage)
        with session.started() as program:
            first_run.give_key()
            first_run.choose_queue()
            first_run.task(lambda: allow(notifications))
            screen.close()
            place: tuple[int, int] = until(lambda: opens(screen, empty), what="an icon that opens the window")
            screen.close()
            before = screen.rested()
            screen.click(place, button=3)
            until(lambda: screen.look() != before, what="its menu")
            screen.rested()
            screen.do("key", "Up")
            screen.do("key", "Return")
            assert program.wait(LIMIT_SECONDS) == 0
        first_run.leaves_no_key()


def opens(screen: Screen, before: Image.Image) -> tuple[int, int] | None:
    """The icon: what is new, and opens the window when its middle button is pressed on it."""
    for place in screen.icons(before):
        screen.click(place, button=2)
        with contextlib.suppress(AssertionError):
            until(screen.window, limit=10)
            return place
    return None


def keep(name: str, seen: Image.Image, part: tuple[int, int, int, int]) -> None:
    """A part of the screen, and what is around it."""
    left, top, right, bottom = part
    around = (max(left - 60, 0), max(top - 20, 0), min(right + 120, seen.width), min(bottom + 40, seen.height))
    seen.crop(around).save(Path(PICTURES, f"{name}.png"), optimize=True)
