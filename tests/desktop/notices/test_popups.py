"""Notifications of the system: questions with buttons, on a real session bus; messages of the tray elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtDBus import QDBusConnection
from pytestqt.qtbot import QtBot

from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice
from desktop.system.platforms.notice_picture import notice_picture
from desktop.system.platforms.session_lock import SessionLock
from tests.desktop.notices.rig import NEWS, QUESTION, Rig, asking, question
from tests.support.dbus_mock import Logind
from tests.support.notification_server import NotificationServer
from tests.support.tray_host import private_bus

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="D-Bus is Linux's")


@pytest.mark.parametrize(("button", "allow"), [("allow", True), ("deny", False)])
def test_a_question_is_answered_with_a_button(
    rig: Rig, server: NotificationServer, qtbot: QtBot, button: str, allow: bool
) -> None:
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: len(server.shown) == 1)
    shown = server.shown[0]
    assert shown.actions == {"default": "Open", "allow": "Allow once", "deny": "Deny"}
    assert (shown.urgency, shown.expires_ms) == (2, 0), "it stays until it is dealt with"
    server.pick(shown.id, button)
    qtbot.waitUntil(lambda: rig.answers == [("a1", allow)])
    qtbot.waitUntil(lambda: server.closed == [shown.id])
    server.pick(shown.id, button)
    rig.bubbles.show(NEWS)
    qtbot.waitUntil(lambda: len(server.shown) == 2)
    assert rig.answers == [("a1", allow)], "once"


def test_what_is_put_off_goes_from_the_screen_and_nothing_else_does(
    rig: Rig, server: NotificationServer, qtbot: QtBot
) -> None:
    rig.bubbles.show(NEWS)
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: len(server.shown) == 2)
    rig.bubbles.take_back(QUESTION.thing)
    qtbot.waitUntil(lambda: server.closed == [server.shown[1].id])
    rig.bubbles.take_back("something else")
    server.pick(server.shown[0].id, "default")
    qtbot.waitUntil(lambda: rig.followed == [NEWS])


def test_a_click_leads_to_what_it_is_about(rig: Rig, server: NotificationServer, qtbot: QtBot) -> None:
    rig.bubbles.show(NEWS)
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: len(server.shown) == 2)
    assert server.shown[0].actions == {"default": "Open"}
    assert server.shown[0].urgency == 0
    for shown in server.shown:
        server.pick(shown.id, "default")
    qtbot.waitUntil(lambda: rig.followed == [NEWS, QUESTION])
    assert rig.answers == []


def test_a_question_that_is_over_goes_from_the_screen(rig: Rig, server: NotificationServer, qtbot: QtBot) -> None:
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: len(server.shown) == 1)
    rig.bubbles.look(asking("a1", "a2"))
    rig.bubbles.look(asking("a2"))
    qtbot.waitUntil(lambda: server.closed == [1])
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: len(server.shown) == 2)
    assert server.shown[1].replaces == 0


def test_the_same_question_takes_its_own_place(rig: Rig, server: NotificationServer, qtbot: QtBot) -> None:
    rig.bubbles.show(QUESTION)
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: len(server.shown) == 2)
    assert server.shown[1].replaces == server.shown[0].id


@pytest.fixture
def no_thread_dies() -> Iterator[None]:
    """What nobody catches in a thread is shown to the user as a crash."""
    died: list[object] = []
    before, threading.excepthook = threading.excepthook, died.append
    yield
    threading.excepthook = before
    assert died == []


def test_a_server_that_answers_twice_gives_its_buttons(bus: str, rig: Rig, qtbot: QtBot, no_thread_dies: None) -> None:
    """mako 1.7.1 and 1.10.0: the capabilities, then an error for the same call."""
    server = NotificationServer(bus, answers_twice=True)
    try:
        for number in range(5):
            rig.bubbles.show(question(f"shell: rm {number}", target=f"a{number}"))
        qtbot.waitUntil(lambda: len(server.shown) == 5)
        assert all("allow" in one.actions for one in server.shown)
        server.pick(server.shown[4].id, "deny")
        qtbot.waitUntil(lambda: rig.answers == [("a4", False)])
        assert rig.messages == []
    finally:
        server.close()


def test_a_server_that_refuses_to_close_what_is_gone_loses_nothing(
    bus: str, rig: Rig, qtbot: QtBot, no_thread_dies: None
) -> None:
    """notification-daemon 3.20 and fnott 1.7."""
    server = NotificationServer(bus, knows_closed=False)
    try:
        rig.bubbles.show(QUESTION)
        rig.bubbles.show(question("shell: other", target="a2"))
        qtbot.waitUntil(lambda: len(server.shown) == 2)
        rig.bubbles.look(asking("a2"))
        server.pick(server.shown[1].id, "allow")
        qtbot.waitUntil(lambda: rig.answers == [("a2", True)])
    finally:
        server.close()


def test_a_server_that_leaves_what_is_closed_on_the_screen_lets_it_expire(bus: str, rig: Rig, qtbot: QtBot) -> None:
    """notification-daemon 3.20: it says that one was closed, and goes on showing it."""
    server = NotificationServer(bus, is_called="Notification Daemon")
    try:
        rig.bubbles.show(QUESTION)
        qtbot.waitUntil(lambda: len(server.shown) == 1)
        rig.bubbles.look(asking())
        qtbot.waitUntil(lambda: len(server.shown) == 2)
        over = server.shown[1]
        assert (over.replaces, over.actions, over.body, over.expires_ms) == (1, {}, "", 1)
        assert server.closed == []
    finally:
        server.close()


def test_the_window_comes_forward_by_the_leave_that_the_server_gave(
    rig: Rig, server: NotificationServer, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plasma and swaync give one; on Wayland no window comes forward without."""
    leave: list[str] = []
    monkeypatch.setattr("desktop.notices.popups.come_by", leave.append)
    rig.bubbles.show(NEWS)
    rig.bubbles.show(replace(NEWS, target="e2"))
    qtbot.waitUntil(lambda: len(server.shown) == 2)
    server.give_token(server.shown[0].id, "one")
    server.pick(server.shown[0].id, "default")
    server.give_token(server.shown[0].id, "another's")
    server.pick(server.shown[1].id, "default")
    qtbot.waitUntil(lambda: len(rig.followed) == 2)
    assert leave == ["one", ""]


def test_it_brings_its_picture_where_no_desktop_file_names_it(bus: str, qtbot: QtBot, tmp_path: Path) -> None:
    server, rig = NotificationServer(bus), Rig()
    entry = tmp_path / "share" / "applications" / "ai.kubiya.worker.desktop"
    homes = {"XDG_DATA_HOME": str(tmp_path / "share"), "XDG_DATA_DIRS": str(tmp_path / "none")}
    try:
        rig.picture = notice_picture("ai.kubiya.worker", homes)
        rig.bubbles.show(NEWS)
        qtbot.waitUntil(lambda: len(server.shown) == 1)
        picture = server.shown[0].picture
        assert picture is not None
        width, height, row, *_, pixels = picture
        assert (width, height, row, len(bytes(pixels))) == (64, 64, 256, 64 * 256)
        assert len(set(bytes(pixels))) > 10, "something is drawn"
    finally:
        rig.bubbles.close()
        server.close()
    entry.parent.mkdir(parents=True)
    entry.touch()
    assert notice_picture("ai.kubiya.worker", homes) is None


def test_on_a_locked_screen_nothing_is_read_and_nothing_allowed(
    bus: str, server: NotificationServer, qtbot: QtBot
) -> None:
    """The screen is logind's, as lockers tell it: on a bus of its own."""
    with private_bus() as system:
        logind = Logind(system)
        connection = QDBusConnection.connectToBus(system, "a system bus")
        lock = SessionLock(connection)
        rig = Rig(screen_lock=lock)
        try:
            rig.bubbles.show(QUESTION)
            qtbot.waitUntil(lambda: len(server.shown) == 1)
            logind.lock(locked=True)
            qtbot.waitUntil(lock.is_locked)
            server.pick(server.shown[0].id, "allow")
            rig.bubbles.show(question("shell: cat secret", target="a2"))
            qtbot.waitUntil(lambda: len(server.shown) == 2)
            veiled = server.shown[1]
            assert (veiled.body, veiled.actions) == ("Unlock the screen to read it.", {"default": "Open"})
            assert rig.answers == []
            logind.lock(locked=False)
            qtbot.waitUntil(lambda: len(server.shown) == 4)
            again = {one.body: one for one in server.shown[2:]}
            assert again["shell: cat secret"].replaces == veiled.id
            assert set(again["shell: rm -rf build"].actions) == {"default", "allow", "deny"}
            server.pick(again["shell: cat secret"].id, "allow")
            qtbot.waitUntil(lambda: rig.answers == [("a2", True)])
        finally:
            rig.bubbles.close()
            QDBusConnection.disconnectFromBus("a system bus")
            logind.close()


def test_a_server_that_comes_while_the_screen_is_locked_shows_no_question(bus: str, qtbot: QtBot) -> None:
    with private_bus() as system:
        logind, servers = Logind(system), [NotificationServer(bus)]
        lock = SessionLock(QDBusConnection.connectToBus(system, "a system bus"))
        rig = Rig(screen_lock=lock)
        try:
            rig.bubbles.show(QUESTION)
            qtbot.waitUntil(lambda: len(servers[0].shown) == 1)
            logind.lock(locked=True)
            qtbot.waitUntil(lock.is_locked)
            servers.pop().close()
            servers.append(NotificationServer(bus))
            qtbot.waitUntil(lambda: len(servers[0].shown) == 1)
            veiled = servers[0].shown[0]
            assert (veiled.body, veiled.actions) == ("Unlock the screen to read it.", {"default": "Open"})
            logind.lock(locked=False)
            qtbot.waitUntil(lambda: len(servers[0].shown) == 2)
            servers[0].pick(veiled.id, "allow")
            qtbot.waitUntil(lambda: rig.answers == [("a1", True)])
        finally:
            rig.bubbles.close()
            QDBusConnection.disconnectFromBus("a system bus")
            servers[0].close()
            logind.close()


def test_where_nobody_knows_of_a_lock_there_is_none(bus: str, qtbot: QtBot, caplog: pytest.LogCaptureFixture) -> None:
    """A bus without logind, and none at all."""
    caplog.set_level("INFO")
    for address in (bus, "unix:path=/nowhere/at/all"):
        lock = SessionLock(QDBusConnection.connectToBus(address, address))
        if address == bus:
            qtbot.waitUntil(lambda: "A look at the screen's lock is not possible" in caplog.text)
        assert not lock.is_locked()
        QDBusConnection.disconnectFromBus(address)


def test_a_bundle_takes_the_place_of_what_it_counts(rig: Rig, server: NotificationServer, qtbot: QtBot) -> None:
    rig.bubbles.show(replace(NEWS, key="execution e1"))
    for count in (3, 4):
        body = f"{count} tasks wait for you."
        rig.bubbles.show(replace(NEWS, body=body, key="all that wait", replaces=("execution e1",)))
    qtbot.waitUntil(lambda: len(server.shown) == 3)
    assert server.closed == [server.shown[0].id]
    assert server.shown[2].replaces == server.shown[1].id


def test_what_was_opened_goes_from_the_screen(rig: Rig, server: NotificationServer, qtbot: QtBot) -> None:
    """lxqt-notificationd leaves it there."""
    rig.bubbles.show(NEWS)
    qtbot.waitUntil(lambda: len(server.shown) == 1)
    server.pick(server.shown[0].id, "default")
    qtbot.waitUntil(lambda: server.closed == [server.shown[0].id])
    qtbot.waitUntil(lambda: bool(rig.followed))  # told by another thread than the one that took it down
    assert rig.followed == [NEWS]


def test_hostile_texts_are_no_markup_and_no_buttons(rig: Rig, server: NotificationServer, qtbot: QtBot) -> None:
    body = "shell: <a href='http://x'>Allow</a> \x1b[31m\u202egnp\n\nDeny & go " + "y" * 5000
    rig.bubbles.show(
        Notice(title="<b>t</b>\n" * 200, body=body, level=Level.QUESTION, action=Action.OPEN_APPROVAL, target="a")
    )
    qtbot.waitUntil(lambda: len(server.shown) == 1)
    shown = server.shown[0]
    assert "<" not in shown.body
    assert "&lt;a href" in shown.body
    assert not set("\x1b\u202e\n") & set(shown.body + shown.title)
    assert "&lt;U+202E&gt;gnp&lt;U+000A&gt;" in shown.body
    assert len(shown.body) < 600
    assert len(shown.title) <= 100
    assert shown.actions == {"default": "Open", "deny": "Deny"}, "nothing is allowed that cannot be read here"


def test_what_the_snapshot_leaves_out_is_not_allowed_from_a_notification(
    rig: Rig, server: NotificationServer, qtbot: QtBot
) -> None:
    rig.bubbles.show(replace(QUESTION, is_whole=False))
    qtbot.waitUntil(lambda: len(server.shown) == 1)
    assert server.shown[0].actions == {"default": "Open", "deny": "Deny"}
    assert "Open it to read all of it." in server.shown[0].body
    server.pick(server.shown[0].id, "allow")
    server.pick(server.shown[0].id, "deny")
    qtbot.waitUntil(lambda: rig.answers == [("a1", False)])
