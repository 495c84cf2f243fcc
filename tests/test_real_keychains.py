"""The API key in the keychains that people have: stored, read, locked, unlocked by hand, replaced and deleted.

Each is its Debian package, on an X server and a bus of its own; `make test-desktops` runs this, too.
"""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.keychains import Caller, Desk, GnomeKeyring, KeePassXC, Keychain, KWallet, keychain_desk
from tests.support.tray_host import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the Secret Service is Linux's")

TRIES = 3
AT_ONCE = 0.5
"""Seconds, of a wish to which a person answers."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with keychain_desk(tmp_path) as desk:
        yield desk


def ask_by_hand(desk: Desk, caller: Caller, *wish: str, by_hand: Callable[[], None]) -> None:
    """Something that a person allows. What types for the test mistypes now and then on a busy machine: it is asked
    anew where nobody answered.
    """
    troubles: list[object] = []
    for _ in range(TRIES):
        assert caller.ask(*wish, limit_seconds=AT_ONCE) == "KeychainTimeout"
        try:
            by_hand()
        except AssertionError as error:
            troubles.append(error)
        said = answer(caller)
        if said is None:
            troubles.append(desk.windows())
            said = until(lambda: given_up(desk, caller), what="an end of it")
        else:
            assert said == "answered True", troubles
        if said == "answered True":
            return
    raise AssertionError(f"nobody answered: {troubles}")


def given_up(desk: Desk, caller: Caller) -> str | None:
    desk.type("<Escape>")
    return answer(caller, within_seconds=1)


def answer(caller: Caller, *, within_seconds: float = 20) -> str | None:
    try:
        return caller.later(limit_seconds=within_seconds)
    except queue.Empty:
        return None


@pytest.mark.timeout(600)  # what hangs, on a busy machine
@pytest.mark.parametrize("keychain", [GnomeKeyring(), KWallet(), KeePassXC()], ids=lambda one: one.name)
def test_a_key_is_stored_read_locked_unlocked_replaced_and_deleted(desk: Desk, keychain: Keychain) -> None:
    keychain.need()
    keychain.start(desk)
    until(desk.owned, what=keychain.name)
    caller = desk.caller()

    def by_hand(*wish: str, steps: Callable[[], None]) -> None:
        ask_by_hand(desk, caller, *wish, by_hand=steps)

    assert caller.ask("name") == keychain.name
    assert caller.ask("get") == "None", "and no assistant comes"
    assert caller.ask("delete") == "False"
    if desk.has_place():
        assert caller.ask("set", "key-1") == "None"
    else:
        by_hand("set", "key-1", steps=lambda: keychain.make_place(desk))
    assert caller.ask("get") == "key-1"

    keychain.lock(desk)
    until(desk.is_locked, what="a locked keychain")
    by_hand("get", steps=lambda: keychain.unlock(desk))
    assert caller.ask("get") == "key-1"

    keychain.lock(desk)
    until(desk.is_locked, what="a locked keychain")
    assert caller.ask("get", limit_seconds=AT_ONCE) == "KeychainTimeout"
    desk.focus(keychain.asks_for_password)
    desk.type("<Escape>")
    assert caller.later() == "KeychainLocked"

    def unlock_and_confirm() -> None:
        keychain.unlock(desk)
        keychain.confirm(desk)

    by_hand("set", "key-2", steps=unlock_and_confirm)
    assert caller.ask("get") == "key-2"
    assert caller.ask("delete") == "True"
    assert caller.ask("delete") == "False"
    assert caller.ask("get") == "None"


def test_keepassxc_without_an_open_database_says_so_and_shows_no_assistant(desk: Desk) -> None:
    keychain = KeePassXC()
    keychain.need()
    keychain.start(desk, opened=False)
    until(desk.owned, what=keychain.name)
    caller = desk.caller()
    assert caller.ask("name") == "KeePassXC"
    assert caller.ask("get").startswith("KeychainLocked: KeePassXC has no database open that it shares")


@pytest.mark.timeout(600)  # what hangs, on a busy machine
@pytest.mark.parametrize(
    ("second", "holds"), [(GnomeKeyring(), "key-1"), (KeePassXC(), "None")], ids=["itself again", "KeePassXC"]
)
def test_a_keychain_that_ends_while_it_asks_leaves_the_next_one_free(desk: Desk, second: Keychain, holds: str) -> None:
    """Nobody ever answers the prompt of one that has ended."""
    first = GnomeKeyring()
    first.need()
    second.need()
    caller = desk.caller()
    assert caller.ask("name").startswith("NoKeychain")
    running = first.start(desk)
    until(desk.owned, what=first.name)
    assert caller.ask("name") == first.name, "it came after the first look"
    assert caller.ask("set", "key-1") == "None"
    first.lock(desk)
    until(desk.is_locked, what="a locked keychain")
    assert caller.ask("get", limit_seconds=AT_ONCE) == "KeychainTimeout"
    desk.focus(first.asks_for_password)
    running.kill()
    assert caller.later() == "answered False"
    second.start(desk)
    until(desk.is_open, what=second.name)
    assert caller.ask("name") == second.name
    assert caller.ask("get") == holds
    assert caller.ask("set", "key-2") == "None"
    assert caller.ask("get") == "key-2"


def test_of_two_keychains_the_one_that_has_the_name_is_asked(desk: Desk) -> None:
    """The one that came second waits for the name, and gets it when the first leaves."""
    first, second = KWallet(), GnomeKeyring()
    first.need()
    second.need()
    leaving = first.start(desk)
    until(desk.owned, what=first.name)
    second.start(desk)
    until(desk.waits, what=f"{second.name} in line")
    caller = desk.caller()
    assert caller.ask("name") == first.name
    leaving.terminate()
    leaving.wait()
    until(desk.owned, what=second.name)
    assert caller.ask("name") == second.name
    assert caller.ask("set", "key-1") == "None"
    assert caller.ask("get") == "key-1"
