"""Servers of notifications that can less, come late, go, or are slow; and systems without one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from desktop.notices.notice import Notice
from desktop.notices.popups import Popups
from tests.desktop.notices.rig import NEWS, QUESTION, Rig, asking, question
from tests.support.notification_server import NotificationServer
from tests.support.tray_host import LIMIT_SECONDS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="D-Bus is Linux's")


def test_servers_that_can_less_get_less(bus: str, qtbot: QtBot) -> None:
    server = NotificationServer(bus, can=("body",))
    rig = Rig()
    try:
        rig.bubbles.show(question("a < b & c"))
        qtbot.waitUntil(lambda: len(server.shown) == 1)
        assert (server.shown[0].actions, server.shown[0].body) == ({}, "a < b & c")
        assert server.shown[0].expires_ms == -1, "what stays is a dialog with its own OK in notify-osd"
    finally:
        rig.bubbles.close()
        server.close()


def test_without_a_server_the_tray_says_it_and_a_later_server_is_found(rig: Rig, bus: str, qtbot: QtBot) -> None:
    rig.bubbles.show(NEWS)
    qtbot.waitUntil(lambda: rig.messages == [NEWS], timeout=15_000)
    server = NotificationServer(bus)
    try:
        rig.bubbles.show(QUESTION)
        qtbot.waitUntil(lambda: len(server.shown) == 1)
    finally:
        server.close()
    rig.bubbles.show(NEWS)
    qtbot.waitUntil(lambda: rig.messages == [NEWS, NEWS], timeout=15_000)


def test_what_waits_goes_up_at_the_server_that_takes_anothers_place(rig: Rig, bus: str, qtbot: QtBot) -> None:
    """Numbers are a server's own: those of the first mean nothing to the second."""
    first = NotificationServer(bus)
    rig.bubbles.show(NEWS)
    for number in (1, 2):
        rig.bubbles.show(question(f"shell: rm {number}", target=f"a{number}"))
    qtbot.waitUntil(lambda: len(first.shown) == 3)
    rig.bubbles.look(asking("a2"))
    qtbot.waitUntil(lambda: first.closed == [2])
    first.close()
    second = NotificationServer(bus)
    try:
        qtbot.waitUntil(lambda: bool(second.shown))
        assert [(one.id, one.replaces, one.body) for one in second.shown] == [(1, 0, "shell: rm 2")]
        second.pick(3, "deny")
        second.pick(1, "allow")
        qtbot.waitUntil(lambda: rig.answers == [("a2", True)])
        qtbot.waitUntil(lambda: second.closed == [1])
        assert len(second.shown) == 1
        assert rig.messages == []
    finally:
        second.close()


@pytest.mark.parametrize("answered", [0, 1])
def test_what_two_servers_show_is_answered_at_either(rig: Rig, bus: str, qtbot: QtBot, answered: int) -> None:
    """The first gives its name to the second, and still shows what it showed."""
    servers = [NotificationServer(bus)]
    try:
        rig.bubbles.show(NEWS)
        rig.bubbles.show(QUESTION)
        qtbot.waitUntil(lambda: len(servers[0].shown) == 2)
        servers[0].give_up_name()
        servers.append(NotificationServer(bus))
        qtbot.waitUntil(lambda: len(servers[1].shown) == 1)
        numbers = [servers[0].shown[-1].id, servers[1].shown[-1].id]
        assert numbers == [2, 1]
        servers[answered].pick(numbers[1 - answered], "allow")  # another program's
        servers[answered].pick(numbers[answered], "allow")
        qtbot.waitUntil(lambda: rig.answers == [("a1", True)])
        qtbot.waitUntil(lambda: [server.closed for server in servers] == [[2], [1]])
    finally:
        for server in servers:
            server.close()


def test_two_programs_on_one_bus_hear_of_their_own_questions(
    rig: Rig, server: NotificationServer, qtbot: QtBot
) -> None:
    other = Rig()
    try:
        rig.bubbles.show(question("shell: make", target="mine"))
        qtbot.waitUntil(lambda: len(server.shown) == 1)
        other.bubbles.show(question("shell: make", target="its"))
        qtbot.waitUntil(lambda: len(server.shown) == 2)
        server.pick(2, "deny")
        qtbot.waitUntil(lambda: server.closed == [2])
        server.pick(1, "allow")
        qtbot.waitUntil(lambda: server.closed == [2, 1])
        qtbot.waitUntil(lambda: (rig.answers, other.answers) == ([("mine", True)], [("its", False)]))
    finally:
        other.bubbles.close()


def test_a_question_goes_up_at_the_first_server_that_comes(rig: Rig, bus: str, qtbot: QtBot) -> None:
    rig.bubbles.show(QUESTION)
    rig.bubbles.show(NEWS)
    qtbot.waitUntil(lambda: rig.messages == [QUESTION, NEWS], timeout=15_000)
    server = NotificationServer(bus)
    try:
        qtbot.waitUntil(lambda: bool(server.shown))
        server.pick(1, "deny")
        qtbot.waitUntil(lambda: rig.answers == [("a1", False)])
        qtbot.waitUntil(lambda: server.closed == [1])
        assert [one.title for one in server.shown] == [QUESTION.title]
    finally:
        server.close()


@pytest.mark.parametrize("is_over", [False, True])
def test_a_server_that_is_late_is_answered_all_the_same(
    rig: Rig, server: NotificationServer, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, is_over: bool
) -> None:
    """The bus starts one at the first notification, and at a login that takes its time."""
    server.is_slow = True
    with monkeypatch.context() as patched:
        patched.setattr("desktop.system.platforms.notification_bus.LIMIT_SECONDS", 0.2)
        rig.bubbles.show(QUESTION)
        qtbot.waitUntil(lambda: rig.messages == [QUESTION])
    if is_over:
        rig.bubbles.look(asking())
    server.answer_all()
    if is_over:
        qtbot.waitUntil(lambda: server.closed == [1])
        return
    server.pick(1, "allow")
    qtbot.waitUntil(lambda: rig.answers == [("a1", True)])


LIMIT = "desktop.system.platforms.notification_bus.LIMIT_SECONDS"


@pytest.fixture
def slow(rig: Rig, server: NotificationServer, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> NotificationServer:
    """It shows, and answers when it is told to, which is past the limit; one was quick, and is gone."""
    rig.bubbles.show(NEWS)
    qtbot.waitUntil(lambda: len(server.shown) == 1)
    server.pick(1, "default")
    qtbot.waitUntil(lambda: (server.closed, rig.followed) == ([1], [NEWS]))
    rig.followed.clear()
    server.is_slow = True
    monkeypatch.setattr(LIMIT, 0.2)
    return server


@pytest.mark.parametrize(("button", "allow"), [("allow", True), ("deny", False)])
def test_an_answer_that_comes_before_the_servers_own_is_kept(
    rig: Rig, slow: NotificationServer, qtbot: QtBot, button: str, allow: bool
) -> None:
    """It shows the question, is clicked on, and says only then which number it has."""
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: rig.messages == [QUESTION])
    slow.pick(77, "allow")  # another program's
    slow.pick(2, button)
    slow.answer_all()
    qtbot.waitUntil(lambda: rig.answers == [("a1", allow)])
    qtbot.waitUntil(lambda: slow.closed == [1, 2])
    assert rig.answers == [("a1", allow)], "once"


def test_a_click_that_comes_before_the_servers_answer_leads_there_by_its_leave(
    rig: Rig, slow: NotificationServer, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave: list[str] = []
    monkeypatch.setattr("desktop.notices.popups.come_by", leave.append)
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: rig.messages == [QUESTION])
    slow.give_token(2, "one")
    slow.pick(2, "default")
    slow.dismiss(2)
    slow.give_token(77, "another's")
    slow.answer_all()
    qtbot.waitUntil(lambda: rig.followed == [QUESTION])
    assert leave == ["one"]


def test_one_that_was_closed_before_the_servers_answer_is_not_put_up_elsewhere(
    rig: Rig, slow: NotificationServer, bus: str, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 3):
        rig.bubbles.show(question(f"shell: rm {number}", target=f"a{number}"))
    qtbot.waitUntil(lambda: len(rig.messages) == 2)
    slow.dismiss(2)
    slow.answer_all()
    monkeypatch.setattr(LIMIT, LIMIT_SECONDS)
    slow.give_up_name()
    other = NotificationServer(bus)
    try:
        qtbot.waitUntil(lambda: bool(other.shown))
        other.pick(1, "deny")
        qtbot.waitUntil(lambda: rig.answers == [("a3", False)])
        assert [one.body for one in other.shown] == ["shell: rm 3"]
    finally:
        other.close()


def test_of_two_that_a_slow_server_shows_the_newer_stays(rig: Rig, slow: NotificationServer, qtbot: QtBot) -> None:
    rig.bubbles.show(question("shell: old"))
    qtbot.waitUntil(lambda: len(rig.messages) == 1)
    rig.bubbles.show(question("shell: new"))
    qtbot.waitUntil(lambda: len(rig.messages) == 2)
    slow.answer_all(newest_first=True)
    qtbot.waitUntil(lambda: slow.closed == [1, 2])
    slow.pick(3, "allow")
    qtbot.waitUntil(lambda: rig.answers == [("a1", True)])


def test_a_server_that_refuses_one_loses_no_other(rig: Rig, server: NotificationServer, qtbot: QtBot) -> None:
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: len(server.shown) == 1)
    server.refuses = True
    rig.bubbles.show(NEWS)
    qtbot.waitUntil(lambda: rig.messages == [NEWS])
    server.pick(1, "allow")
    qtbot.waitUntil(lambda: rig.answers == [("a1", True)])
    qtbot.waitUntil(lambda: server.closed == [1])


def test_without_a_bus_the_tray_says_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qtbot: QtBot) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    rig = Rig()
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: rig.messages == [QUESTION])
    rig.bubbles.close()


def test_leaving_takes_questions_from_the_screen_and_leaves_news(bus: str, qtbot: QtBot) -> None:
    server = NotificationServer(bus)
    rig = Rig()
    rig.bubbles.show(NEWS)
    rig.bubbles.show(QUESTION)
    qtbot.waitUntil(lambda: len(server.shown) == 2)
    rig.bubbles.close()
    assert server.closed == [2]
    server.close()


def test_systems_without_buttons_get_the_trays_message() -> None:
    messages: list[Notice] = []
    bubbles = Popups(notifier=None, message=messages.append, answer=lambda *_: None, follow=lambda _: None)
    bubbles.show(QUESTION)
    bubbles.look(asking())
    bubbles.close()
    assert messages == [QUESTION]
