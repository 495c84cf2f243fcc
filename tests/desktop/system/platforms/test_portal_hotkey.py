"""Keys from a desktop's portal, on a real bus: asked for, given, pressed, taken back, and let go."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

if not sys.platform.startswith("linux"):
    pytest.skip("portals are Linux's", allow_module_level=True)

from desktop.system.platforms.combination import Combination
from desktop.system.platforms.portal_hotkey import PortalHotkey
from desktop.system.platforms.ports import HotkeyState
from tests.support.shortcuts_portal import CANCELLED, DONE, OTHER, ShortcutsPortal
from tests.support.tray_host import private_bus

LIMIT_MS = 60_000


@pytest.fixture
def hotkey(bus: str) -> Iterator[PortalHotkey]:
    made = PortalHotkey(app_id="ai.kubiya.worker")
    yield made
    made.release()


def wish(hotkey: PortalHotkey, keys: str = "Ctrl+Alt+Space") -> None:
    combination = Combination.of(keys)
    assert combination is not None
    hotkey.take(combination, purpose="Open a new task")


def portal_on(address: str, **ways: Any) -> AbstractContextManager[ShortcutsPortal]:
    return contextlib.closing(ShortcutsPortal(address, **ways))


def becomes(qtbot: QtBot, hotkey: PortalHotkey, state: HotkeyState) -> None:
    qtbot.waitUntil(lambda: hotkey.state is state, timeout=LIMIT_MS)


def presses(hotkey: PortalHotkey) -> list[str]:
    heard: list[str] = []
    hotkey.pressed.connect(heard.append)
    return heard


def waits_for(qtbot: QtBot, condition: Callable[[], Any]) -> None:
    qtbot.waitUntil(lambda: bool(condition()), timeout=LIMIT_MS)


def test_they_are_given_and_pressed(qtbot: QtBot, bus: str, hotkey: PortalHotkey) -> None:
    heard = presses(hotkey)
    with portal_on(bus) as portal:
        wish(hotkey)
        becomes(qtbot, hotkey, HotkeyState.ON)
        assert hotkey.assigned == "Press CTRL+ALT+space"
        assert portal.names == ["ai.kubiya.worker"]
        assert portal.calls[0] == "Register", "before any other call"
        [(name, said)] = portal.shortcuts
        assert (name, said["description"]) == ("new-task", ("s", "Open a new task"))
        portal.press(session="/org/freedesktop/portal/desktop/session/1_1/other")
        portal.press(shortcut="another")
        portal.press(token="a-token")
        portal.press()
        waits_for(qtbot, lambda: len(heard) == 2)
        assert heard == ["a-token", ""]
        portal.change("Press <Super>n")
        waits_for(qtbot, lambda: hotkey.assigned == "Press <Super>n")


def test_let_go_the_desktop_has_them_back(qtbot: QtBot, bus: str, hotkey: PortalHotkey) -> None:
    heard = presses(hotkey)
    with portal_on(bus) as portal:
        wish(hotkey)
        becomes(qtbot, hotkey, HotkeyState.ON)
        portal.press(token="too late")
        hotkey.release()
        assert (hotkey.state, hotkey.assigned) == (HotkeyState.OFF, "")
        waits_for(qtbot, lambda: not portal.open)
        wish(hotkey, "Meta+N")
        becomes(qtbot, hotkey, HotkeyState.ON)
        assert hotkey.assigned == "Press LOGO+n"
        assert heard == []


def test_the_person_is_asked(qtbot: QtBot, bus: str, hotkey: PortalHotkey) -> None:
    with portal_on(bus, waits=True) as portal:
        wish(hotkey)
        assert hotkey.state is HotkeyState.ASKING
        waits_for(qtbot, lambda: portal.asks)
        portal.decide(CANCELLED)
        becomes(qtbot, hotkey, HotkeyState.REFUSED)
        hotkey.release()
        wish(hotkey)
        waits_for(qtbot, lambda: portal.asks)
        portal.decide(DONE)
        becomes(qtbot, hotkey, HotkeyState.ON)
        portal.take_back()
        becomes(qtbot, hotkey, HotkeyState.REFUSED)


def test_whoever_is_still_asked_does_not_hold_up(qtbot: QtBot, bus: str, hotkey: PortalHotkey) -> None:
    with portal_on(bus, waits=True) as portal:
        wish(hotkey)
        waits_for(qtbot, lambda: portal.asks)
        hotkey.release()
        waits_for(qtbot, lambda: not portal.open)
        assert hotkey.state is HotkeyState.OFF


@pytest.mark.parametrize("ways", [{"response": OTHER}, {"gives_none": True}])
def test_no_is_an_answer(qtbot: QtBot, bus: str, hotkey: PortalHotkey, ways: dict[str, Any]) -> None:
    with portal_on(bus, **ways):
        wish(hotkey)
        becomes(qtbot, hotkey, HotkeyState.REFUSED)


def test_a_portal_that_takes_no_names(qtbot: QtBot, bus: str, hotkey: PortalHotkey) -> None:
    with portal_on(bus, knows_names=False):
        wish(hotkey)
        becomes(qtbot, hotkey, HotkeyState.ON)


def test_a_desktop_without_shortcuts(qtbot: QtBot, bus: str, hotkey: PortalHotkey) -> None:
    with portal_on(bus, has_shortcuts=False):
        wish(hotkey)
        becomes(qtbot, hotkey, HotkeyState.UNSUPPORTED)


def test_a_portal_that_comes_later_and_anew(qtbot: QtBot, bus: str, hotkey: PortalHotkey) -> None:
    wish(hotkey)
    becomes(qtbot, hotkey, HotkeyState.UNSUPPORTED)
    heard = presses(hotkey)
    for _ in range(2):
        with portal_on(bus) as portal:
            becomes(qtbot, hotkey, HotkeyState.ON)
            assert len(portal.sessions) == 1
            before = len(heard)
            portal.press()
            waits_for(qtbot, lambda before=before: len(heard) > before)
        becomes(qtbot, hotkey, HotkeyState.UNSUPPORTED)


def test_without_a_bus(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    hotkey = PortalHotkey(app_id="ai.kubiya.worker")
    wish(hotkey)
    becomes(qtbot, hotkey, HotkeyState.UNSUPPORTED)
    hotkey.release()
    assert hotkey.state is HotkeyState.OFF


def test_a_bus_that_goes_away(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    hotkey = PortalHotkey(app_id="ai.kubiya.worker")
    with private_bus() as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        with portal_on(address):
            wish(hotkey)
            becomes(qtbot, hotkey, HotkeyState.ON)
    becomes(qtbot, hotkey, HotkeyState.UNSUPPORTED)
    hotkey.release()
