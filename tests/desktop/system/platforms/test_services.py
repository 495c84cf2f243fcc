"""logind, UPower and NetworkManager as python-dbusmock's templates know them: late, restarted, not there at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtDBus import QDBusConnection
from pytestqt.qtbot import QtBot

from desktop.system import conditions
from desktop.system.platforms.color_scheme import PortalColorScheme
from desktop.system.platforms.linux import Logind as LogindOfLinux
from desktop.system.platforms.network_manager import NetworkManager as Network
from desktop.system.platforms.ports import Charge
from desktop.system.platforms.session_lock import SessionLock
from desktop.system.platforms.upower import UPower as Supply
from tests.support.dbus_mock import Inhibitor, Logind, NetworkManager, UPower
from tests.support.settings_portal import DARK, LIGHT, NONE, SettingsPortal
from tests.support.tray_host import private_bus

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="D-Bus is Linux's")

DELAY = Inhibitor("sleep", "Kubiya Worker", "Finishing what runs", "delay")
BLOCK = Inhibitor("sleep:idle", "Kubiya Worker", "An agent is working", "block")


@pytest.fixture
def address() -> Iterator[str]:
    with private_bus() as address:
        yield address


@pytest.fixture
def bus(address: str) -> Iterator[QDBusConnection]:
    """Of the program."""
    yield QDBusConnection.connectToBus(address, address)
    QDBusConnection.disconnectFromBus(address)


@pytest.fixture
def logind(address: str) -> Iterator[Logind]:
    service = Logind(address)
    yield service
    service.close()


@pytest.fixture
def upower(address: str) -> Iterator[UPower]:
    service = UPower(address)
    yield service
    service.close()


@pytest.fixture
def keeper(bus: QDBusConnection) -> Iterator[LogindOfLinux]:
    keeper = LogindOfLinux(bus)
    yield keeper
    keeper.close()


def until_heard(qtbot: QtBot, heard: list[str], *, say: Callable[[], None], what: str) -> None:
    say()
    qtbot.waitUntil(lambda: heard[-1:] == [what])


# --- sleep --------------------------------------------------------------------------------------------------


def test_sleep_is_held_up_until_all_is_ready(logind: Logind, keeper: LogindOfLinux, qtbot: QtBot) -> None:
    heard: list[str] = []
    assert keeper.listen(on_sleep=lambda: heard.append("sleeps"), on_wake=lambda: heard.append("wakes"))
    qtbot.waitUntil(lambda: logind.held("delay") == [DELAY])
    assert logind.held("block") == []
    logind.prepare_for_sleep(begins=True)
    qtbot.waitUntil(lambda: heard == ["sleeps"])
    assert logind.held("delay") == [DELAY], "what runs is put in order first"
    keeper.ready_to_sleep()
    qtbot.waitUntil(lambda: logind.held("delay") == [])
    logind.prepare_for_sleep(begins=False)
    qtbot.waitUntil(lambda: heard == ["sleeps", "wakes"])
    qtbot.waitUntil(lambda: logind.held("delay") == [DELAY])
    keeper.close()
    qtbot.waitUntil(lambda: logind.held("delay") == [])


def test_a_login_manager_that_answers_late_holds_nobody_up(logind: Logind, keeper: LogindOfLinux, qtbot: QtBot) -> None:
    """PySide lets no thread go on while one waits for QtDBus; what is not wished any more is let go when it comes."""
    with logind.silent():
        keeper.hold("Another is working")
        keeper.release()
        keeper.hold(BLOCK.why)
    qtbot.waitUntil(lambda: logind.held("block") == [BLOCK])
    keeper.release()
    qtbot.waitUntil(lambda: logind.held("block") == [])


def test_a_login_manager_that_was_restarted_is_told_anew(logind: Logind, keeper: LogindOfLinux, qtbot: QtBot) -> None:
    heard: list[str] = []
    keeper.listen(on_sleep=lambda: heard.append("sleeps"), on_wake=lambda: heard.append("wakes"))
    keeper.hold(BLOCK.why)
    keeper.release()
    keeper.hold(BLOCK.why)
    qtbot.waitUntil(lambda: (logind.held("delay"), logind.held("block")) == ([DELAY], [BLOCK]))
    logind.end()
    logind.begin()
    qtbot.waitUntil(lambda: (logind.held("delay"), logind.held("block")) == ([DELAY], [BLOCK]))
    until_heard(qtbot, heard, say=lambda: logind.prepare_for_sleep(begins=True), what="sleeps")
    keeper.ready_to_sleep()
    keeper.release()
    qtbot.waitUntil(lambda: logind.held("delay") == logind.held("block") == [])
    logind.end()
    logind.begin()
    until_heard(qtbot, heard, say=lambda: logind.prepare_for_sleep(begins=False), what="wakes")
    qtbot.waitUntil(lambda: logind.held("delay") == [DELAY])
    assert logind.held("block") == [], "what was let go is not asked for again"


def test_a_login_manager_that_comes_after_the_program_is_told_as_well(
    address: str, keeper: LogindOfLinux, bus: QDBusConnection, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    heard: list[str] = []
    keeper.listen(on_sleep=lambda: heard.append("sleeps"), on_wake=lambda: heard.append("wakes"))
    lock = SessionLock(bus)
    qtbot.waitUntil(lambda: "Holding up sleep is not possible" in caplog.text)
    qtbot.waitUntil(lambda: "A look at the screen's lock is not possible" in caplog.text)
    assert not lock.is_locked()
    logind = Logind(address)
    try:
        qtbot.waitUntil(lambda: logind.held("delay") == [DELAY])
        until_heard(qtbot, heard, say=lambda: logind.prepare_for_sleep(begins=True), what="sleeps")
    finally:
        logind.close()


# --- the screen's lock --------------------------------------------------------------------------------------


def test_the_lock_is_known_across_a_restart(logind: Logind, bus: QDBusConnection, qtbot: QtBot) -> None:
    """While nobody tells, what was known last holds: a screen that was locked stays so."""
    lock = SessionLock(bus)
    unlocked: list[str] = []
    lock.unlocked.connect(lambda: unlocked.append("unlocked"))
    logind.lock(locked=True)
    qtbot.waitUntil(lock.is_locked)
    logind.end()
    assert lock.is_locked()
    logind.begin()
    qtbot.waitUntil(lambda: not lock.is_locked())  # as the new one knows it
    assert unlocked == ["unlocked"]
    logind.lock(locked=True)
    qtbot.waitUntil(lock.is_locked)
    logind.lock(locked=False)
    qtbot.waitUntil(lambda: unlocked == ["unlocked"] * 2)


# --- batteries ----------------------------------------------------------------------------------------------


def test_batteries_are_told_as_they_change(upower: UPower, bus: QDBusConnection, qtbot: QtBot) -> None:
    upower.battery(80.0)
    supply = Supply(bus)
    said: list[Charge | None] = []
    supply.changed.connect(lambda: said.append(supply.charge()))
    assert supply.charge() == Charge(), "not known yet, and nobody waits for it"
    qtbot.waitUntil(lambda: said == [Charge(percent=80, used_up=False)])
    upower.plug(on_battery=True)
    qtbot.waitUntil(lambda: said[1:] == [Charge(percent=80, used_up=True)])
    upower.lid(closed=True)  # is logind's: it sleeps, or goes on with a screen outside
    upower.battery(9.5)
    qtbot.waitUntil(lambda: supply.charge() == Charge(percent=9.5, used_up=True))
    upower.plug(on_battery=False)
    qtbot.waitUntil(lambda: said[2:] == [Charge(percent=9.5, used_up=True), Charge(percent=9.5, used_up=False)])


def test_the_battery_of_a_mouse_is_not_the_machines(upower: UPower, bus: QDBusConnection, qtbot: QtBot) -> None:
    """psutil would take it, where it is the only one."""
    upower.ask("AddDischargingBattery", "ssdx", "mouse_hid", "Mouse", 4.0, 600)
    supply = Supply(bus)
    supply.charge()
    qtbot.waitUntil(lambda: supply.charge() == Charge(percent=None, used_up=False))


def test_where_nobody_tells_of_batteries_psutil_is_asked(upower: UPower, bus: QDBusConnection, qtbot: QtBot) -> None:
    upower.battery(50.0)
    supply = Supply(bus)
    supply.charge()
    qtbot.waitUntil(lambda: supply.charge() == Charge(percent=50, used_up=False))
    upower.end()
    qtbot.waitUntil(lambda: supply.charge() is None)
    upower.begin()
    upower.battery(49.0)
    qtbot.waitUntil(lambda: supply.charge() == Charge(percent=49, used_up=False))
    upower.end()
    never = Supply(bus)
    assert never.charge() == Charge()
    qtbot.waitUntil(lambda: never.charge() is None)
    assert Supply(QDBusConnection.connectToBus("unix:path=/nowhere/at/all", "nowhere")).charge() is None


# --- metered networks ---------------------------------------------------------------------------------------


def test_a_metered_network_is_known_from_the_beginning_and_across_a_restart(
    address: str, bus: QDBusConnection, qtbot: QtBot
) -> None:
    """The new one says the same as the last: a change is one from "not known"."""
    service = NetworkManager(address)
    try:
        service.meter(metered=True)
        network = Network(bus)
        said: list[bool | None] = []
        network.changed.connect(lambda: said.append(network.is_metered()))
        assert network.is_metered() is None
        qtbot.waitUntil(lambda: said == [True])
        service.meter(metered=False)
        qtbot.waitUntil(lambda: said == [True, False])
        service.meter(metered=True)
        qtbot.waitUntil(lambda: said == [True, False, True])
        service.end()
        qtbot.waitUntil(lambda: said == [True, False, True, None])
        service.begin()
        service.meter(metered=True)
        qtbot.waitUntil(lambda: network.is_metered() is True)
    finally:
        service.close()


def test_a_network_manager_that_comes_after_the_program_is_heard(
    address: str, bus: QDBusConnection, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    network = Network(bus)
    assert network.is_metered() is None
    qtbot.waitUntil(lambda: "A look at org.freedesktop.NetworkManager is not possible" in caplog.text)
    assert network.is_metered() is None
    service = NetworkManager(address)
    try:
        service.change(service.path, service.interface, Metered=("u", 3))  # guessed: a telephone's
        qtbot.waitUntil(lambda: network.is_metered() is True)
        service.change(service.path, service.interface, Metered=("u", 4))
        qtbot.waitUntil(lambda: network.is_metered() is False)
    finally:
        service.close()


def test_what_psutil_says_of_a_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, meant in (
        (None, Charge()),
        ((42, 600, False), Charge(percent=42, used_up=True)),
        ((42, -2, True), Charge(percent=42, used_up=False)),
        ((42, -1, None), Charge(percent=42, used_up=None)),
    ):
        answer = (
            None
            if found is None
            else SimpleNamespace(**dict(zip(("percent", "secsleft", "power_plugged"), found, strict=True)))
        )
        monkeypatch.setattr(psutil, "sensors_battery", lambda answer=answer: answer, raising=False)
        assert conditions.battery() == meant


# --- dark or light --------------------------------------------------------------------------------------------


def test_the_portal_tells_of_dark_and_light_whenever_it_is_there(
    address: str, bus: QDBusConnection, qtbot: QtBot
) -> None:
    colors = PortalColorScheme(bus)
    heard: list[Qt.ColorScheme] = []
    colors.changed.connect(lambda: heard.append(colors.scheme()))
    schemes = Qt.ColorScheme
    assert colors.scheme() is schemes.Unknown
    portal = SettingsPortal(address, DARK)
    qtbot.waitUntil(lambda: heard == [schemes.Dark])
    portal.prefer(LIGHT)
    qtbot.waitUntil(lambda: heard[1:] == [schemes.Light])
    portal.prefer(NONE)
    qtbot.waitUntil(lambda: heard[2:] == [schemes.Unknown])
    portal.close()
    portal = SettingsPortal(address, DARK)
    qtbot.waitUntil(lambda: heard[3:] == [schemes.Dark])
    portal.close()
    again = PortalColorScheme(bus)
    assert again.scheme() is schemes.Unknown
