"""The program on a real Wayland compositor, sway, with the icon in waybar: first run, a task, closed, opened, left.

`make test-desktops` says what is missing, and keeps the pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageColor

from desktop.look.tokens import DARK, LIGHT, Palette
from desktop.system.platforms import APP_ID
from tests.desktop.first_run import (
    FirstRun,
    allow,
    beside,
    notifications_of,
    question,
    status_of,
    unlocked_keyring,
)
from tests.desktop.session import ROOT
from tests.desktop.wayland import Desk, wayland_desk
from tests.support.dbus_mock import Logind
from tests.support.playground import running_playground
from tests.support.settings_portal import DARK as DARK_PREFERRED
from tests.support.settings_portal import LIGHT as LIGHT_PREFERRED
from tests.support.settings_portal import SettingsPortal
from tests.support.tray_host import LIMIT_SECONDS, until
from tests.support.wayland import RIGHT

PICTURES = os.environ.get("KUBIYA_DESKTOP_PICTURES", "")
"""A folder for what it looked like."""

MAIN = "Kubiya Worker"
LAST_ROW = 19
"""From the lower edge of the shadow of GTK's menu to the middle of its last row, in pixels."""


PERSON = Path("/home/ada")
"""Whose home is in the pictures, where it can be made."""


@pytest.fixture
def home_folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / PERSON.name
    if PICTURES and os.access(PERSON.parent, os.W_OK) and not PERSON.exists():
        made = PERSON
    made.mkdir()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def scale() -> str:
    return "1"


@pytest.fixture
def desk(home_folder: Path, scale: str) -> Iterator[Desk]:
    if not sys.platform.startswith("linux"):
        pytest.skip("Wayland is Linux's")
    with wayland_desk(home_folder, scale=scale) as desk:
        yield desk


def keep(name: str, desk: Desk, box: tuple[int, int, int, int] | None = None) -> None:
    if PICTURES:
        desk.rested().crop(box).save(Path(PICTURES, f"{name}.png"), optimize=True)


def changed_box(seen: Image.Image, before: Image.Image) -> tuple[int, ...]:
    """What was not there before: left, top, right, bottom; empty: nothing."""
    return ImageChops.difference(seen, before).getbbox() or ()


def test_first_run_to_quit(desk: Desk, tmp_path: Path) -> None:
    session = desk.session
    if shutil.which("gnome-keyring-daemon") is None:
        pytest.skip("gnome-keyring-daemon is missing: install the Debian package gnome-keyring")
    del session.environment["PYTHON_KEYRING_BACKEND"]
    with unlocked_keyring(session.environment), running_playground(tmp_path / "playground") as stage:
        first_run = FirstRun(session, desk, stage)
        with notifications_of(session) as notifications, session.started() as program, desk.icon() as icon:
            until(lambda: "Not set up yet" in icon.tooltip)
            first_run.give_key()
            keep("sway-first-run", desk)
            first_run.choose_queue()
            until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
            desk.close(MAIN)
            icon.click("Open Kubiya Worker")
            assert desk.window(MAIN)["app_id"] == APP_ID

            first_run.task(lambda: allow(notifications))

            def allow_in_the_window() -> None:
                """It is on another workspace; a compositor lets a window come to the front by a token alone."""
                desk.window(MAIN)
                desk.press("ctrl+4")  # a page without a button like that
                desk.sway.do("workspace elsewhere")
                until(lambda: not desk.sway.window(MAIN)["visible"], what="another workspace")
                asked = question(notifications)
                notifications.give_token(asked.id, desk.hands.activation_token())
                notifications.pick(asked.id, "default")
                until(lambda: desk.sway.window(MAIN)["focused"], what="the window comes")
                desk.window(MAIN)  # sway 1.7 shows the workspace of what it focused with its next change alone
                keep("sway-question", desk)
                desk.hands.click(*desk.primary_button())

            first_run.task(allow_in_the_window)
            desk.window(MAIN)
            desk.press("ctrl+2")
            first_run.ask_for_task()
            until(lambda: "Waiting for work" in icon.tooltip)
            keep("sway-executions", desk)
            icon.click("Quit")
            assert program.wait(LIMIT_SECONDS) == 0
        first_run.leaves_no_key()


def test_the_icon_in_the_bar_opens_the_window_and_has_its_menu(desk: Desk) -> None:
    empty = desk.rested()
    with desk.session.started("--at-login") as program, desk.icon() as icon:
        until(lambda: "Not set up yet" in icon.tooltip)
        assert not desk.sway.windows(), "at login it comes without a window"
        left, top, right, bottom = until(lambda: changed_box(desk.look(), empty), what="the icon")
        place = (left + right) // 2, (top + bottom) // 2
        desk.hands.click(*place)
        until(lambda: desk.sway.window(MAIN), what="the window")
        desk.close(MAIN)
        desk.hands.click(*place, RIGHT)
        until(lambda: changed_box(desk.look(), empty)[3:] > (100,), what="its menu")
        seen = desk.rested()
        keep("sway-waybar", desk, (700, 0, 1280, 300))
        desk.hands.click(place[0] - 100, changed_box(seen, empty)[3] - LAST_ROW)
        assert program.wait(LIMIT_SECONDS) == 0


def test_a_question_is_allowed_from_mako(desk: Desk, tmp_path: Path) -> None:
    session = desk.session
    for needed, package in {"mako": "mako-notifier", "gnome-keyring-daemon": "gnome-keyring"}.items():
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is missing: install the Debian package {package}")
    del session.environment["PYTHON_KEYRING_BACKEND"]

    def told_mako(*command: str) -> str:
        return subprocess.run(
            ["makoctl", *command], env=session.environment, capture_output=True, text=True, timeout=LIMIT_SECONDS,
            check=False,
        ).stdout  # fmt: skip

    def shown() -> list[Any]:
        said = told_mako("list")
        listed = json.loads(said)["data"][0] if said else []
        return [one for one in listed if "allow" in one["actions"]["data"]]

    def allow_there() -> None:
        (asked,) = until(shown, what="a question on the screen")
        keep("sway-mako", desk, (700, 0, 1280, 300))
        told_mako("invoke", "-n", str(asked["id"]["data"]), "allow")
        until(lambda: not shown(), what="an answered question goes from the screen")

    with (
        unlocked_keyring(session.environment),
        running_playground(tmp_path / "playground") as stage,
        beside(["mako"], session.environment),
    ):
        first_run = FirstRun(session, desk, stage)
        with session.started() as program, desk.icon() as icon:
            first_run.give_key()
            first_run.choose_queue()
            until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
            desk.close(MAIN)
            first_run.task(allow_there)
            until(lambda: "Waiting for work" in icon.tooltip)
            icon.click("Quit")
            assert program.wait(LIMIT_SECONDS) == 0


def test_it_is_dark_where_the_portal_says_so(desk: Desk) -> None:
    """On sway Qt 6.11 does not ask for it."""

    def is_of(palette: Palette) -> bool:
        window = desk.sway.window(MAIN)["rect"]
        return desk.look().getpixel((window["x"] + 8, window["y"] + 8)) == ImageColor.getrgb(palette.window)

    with (
        contextlib.closing(SettingsPortal(desk.session.bus, DARK_PREFERRED)) as portal,
        desk.session.started() as program,
        desk.icon() as icon,
    ):
        desk.window(MAIN)
        until(lambda: is_of(DARK), what="a dark window")
        keep("sway-dark", desk)
        portal.prefer(LIGHT_PREFERRED)
        until(lambda: is_of(LIGHT), what="a light window")
        icon.click("Quit")
        assert program.wait(LIMIT_SECONDS) == 0


def test_a_second_start_brings_the_window_from_another_workspace(desk: Desk) -> None:
    with desk.session.started() as program, desk.icon() as icon:
        desk.window(MAIN)
        desk.sway.do("workspace elsewhere")
        until(lambda: not desk.sway.window(MAIN)["visible"], what="another workspace")
        desk.session.environment["XDG_ACTIVATION_TOKEN"] = desk.hands.activation_token()
        second = desk.session.start()
        assert second.wait(LIMIT_SECONDS) == 0
        second.communicate()
        until(lambda: desk.sway.window(MAIN)["focused"], what="the window comes")
        icon.click("Quit")
        assert program.wait(LIMIT_SECONDS) == 0


LOGICAL = {"width": 853, "height": 533}
"""The screen of 1280x800 pixels at 1.5, as windows are placed on it."""

COPY, COMPOSER = (1170, 153), (850, 752)
"""Pixels of the page of executions: the button that copies the conversation, and the field below it."""

LOCKED = "102030"
VEILED = "Unlock the screen to read it."


@pytest.mark.parametrize("scale", ["1.5"])
def test_at_one_and_a_half_copied_pasted_dropped_locked_and_slept(desk: Desk, tmp_path: Path) -> None:
    session, sway, hands = desk.session, desk.sway, desk.hands
    for needed in {"wl-copy": "wl-clipboard", "swaylock": "swaylock", "gnome-keyring-daemon": "gnome-keyring"}.items():
        if shutil.which(needed[0]) is None:
            pytest.skip(f"{needed[0]} is missing: install the Debian package {needed[1]}")
    del session.environment["PYTHON_KEYRING_BACKEND"]

    def clipboard(*command: str) -> str:
        """wl-copy stays behind, with what it was given."""
        return subprocess.run(
            command, env=session.environment, stdout=subprocess.DEVNULL if command[0] == "wl-copy" else subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, timeout=LIMIT_SECONDS, check=False,
        ).stdout  # fmt: skip

    def waits(words: str) -> bool:
        return asyncio.run(status_of(stage, words)) == "waiting_for_input"

    def fits(title: str) -> bool:
        place = sway.window(title)["rect"]
        return place["x"] + place["width"] <= LOGICAL["width"] and place["y"] + place["height"] <= LOGICAL["height"]

    def drag_to_the_dialog() -> bool:
        """Whether it is dragged over it: a window that is busy when it is pressed begins no drag."""
        hands.move(100, 110, **LOGICAL)
        hands.button(down=True)
        hands.move(110, 115, **LOGICAL)
        there = itertools.cycle((490, 500))

        def is_over_it() -> bool:
            hands.move(next(there), 150, **LOGICAL)
            return bool(sway.window("New task")["focused"])

        with contextlib.suppress(AssertionError):
            until(is_over_it, limit=5)
            return True
        hands.button(down=False)
        return False

    with (
        unlocked_keyring(session.environment),
        running_playground(tmp_path / "playground") as stage,
        contextlib.closing(Logind(session.bus)) as logind,
        notifications_of(session) as notifications,
    ):
        first_run = FirstRun(session, desk, stage)
        with session.started() as program, desk.icon() as icon:
            first_run.give_key()
            first_run.choose_queue()
            until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
            first_run.ask_for_task()
            desk.window(MAIN)
            assert fits(MAIN)
            desk.press("ctrl+2", "Return")
            desk.rested()
            keep("sway-at-1.5", desk)

            hands.click(*COPY)
            until(lambda: "## You" in clipboard("wl-paste", "--no-newline"), what="the conversation, copied")
            assert "asked from the window !say Gladly." in clipboard("wl-paste")
            clipboard("wl-copy", "pasted into it")
            hands.click(*COMPOSER)
            desk.press("ctrl+v", "ctrl+a", "ctrl+x")
            until(lambda: clipboard("wl-paste", "--no-newline") == "pasted into it", what="what was pasted, cut again")

            notes = session.home / "notes.md"
            notes.write_text("what was dragged", encoding="utf-8")
            source = [sys.executable, str(ROOT / "tests" / "support" / "drag_source.py"), str(notes)]
            with beside(source, session.environment):
                second = session.start("--ask")
                assert second.wait(LIMIT_SECONDS) == 0
                second.communicate()
                for title, width, height, place in (("New task", 580, 320, "250 60"), ("Files", 200, 120, "20 60")):
                    until(lambda title=title: sway.window(title), what=title)
                    for wish in ("floating enable", f"resize set {width} {height}", f"move absolute position {place}"):
                        sway.do(f'[title="^{title}"] {wish}')
                    until(
                        lambda title=title, width=width: sway.window(title)["rect"]["width"] == width, what="its size"
                    )
                desk.rested()
                until(drag_to_the_dialog, what="what is dragged over it")
                hands.button(down=False)
                desk.rested()
                keep("sway-dropped", desk)
            desk.window("New task")
            desk.type("asked about a file !say Read.")
            until(lambda: desk.sent("New task"), what="a task that was begun")
            until(lambda: waits("what was dragged"), what="an answer about what was dropped")

            locker = subprocess.Popen(["swaylock", "--color", LOCKED, "--no-unlock-indicator"], env=session.environment)
            until(lambda: desk.look().getcolors(1), what="a locked screen")
            logind.lock(locked=True)  # as swayidle does it where it is asked to: swaylock itself tells nobody

            def unlock_and_allow() -> None:
                until(lambda: notifications.shown and notifications.shown[-1].body == VEILED, what="a veiled question")
                assert [one for _, one in desk.look().getcolors(1) or ()] == [ImageColor.getrgb(f"#{LOCKED}")]
                locker.send_signal(signal.SIGUSR1)  # as its password does
                assert locker.wait(LIMIT_SECONDS) == 0
                logind.lock(locked=False)
                allow(notifications)

            try:
                first_run.task(unlock_and_allow)
            finally:
                locker.kill()
                locker.wait(LIMIT_SECONDS)

            logind.prepare_for_sleep(begins=True)
            until(lambda: "about to sleep" in icon.tooltip, what="nothing new is taken")
            until(lambda: not logind.held("delay"), what="the machine may sleep")
            logind.prepare_for_sleep(begins=False)
            until(lambda: "about to sleep" not in icon.tooltip, what="it goes on")
            icon.click("Quit")
            assert program.wait(LIMIT_SECONDS) == 0
