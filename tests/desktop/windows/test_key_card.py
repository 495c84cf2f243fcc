"""The API key in Settings: where it is, another one, none; the control plane is real, the keychain is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtTest import QSignalSpy
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from desktop.notices.action import Action
from desktop.settings.keys import Keys
from desktop.settings.store import SettingsStore
from desktop.tray.facts import TrayFacts
from desktop.tray.menu import menu
from desktop.windows.background import Background
from desktop.windows.key_card import KeyCard
from desktop.windows.main import MainWindow
from tests.desktop.keys import token
from tests.desktop.windows.keychain import Keychain
from tests.desktop.windows.stand_ins import shown_window
from tests.support.engine import home
from tests.support.finding import button, click, seen
from tests.support.playground import Stage
from worker_core.errors import ExitCode
from worker_core.secrets import KeychainError, KeychainLocked, KeychainTimeout, NoKeychain, Secret, account_of
from worker_core.snapshot import EngineSnapshot, EngineState


class Rig:
    def __init__(self, stage: Stage, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.url = stage.info.control_plane_url
        self.good = stage.info.api_key
        self.store = SettingsStore(home(folder), environ={"CONTROL_PLANE_URL": self.url})
        self.keychain, self.used = Keychain(), list[Secret]()
        self.keys = Keys(store=self.store, keychain=self.keychain, environ=environ, use_key=self.used.append)  # type: ignore[arg-type]
        self.wanted: list[Any] = []

    def card(self, qtbot: QtBot) -> KeyCard:
        made = KeyCard(self.keys, Background(run=self.wanted.append))
        qtbot.addWidget(made)
        made.show()
        self.settle()
        return made

    def window(self, qtbot: QtBot, snapshot: EngineSnapshot) -> MainWindow:
        background = Background(run=self.wanted.append)
        made = shown_window(qtbot, self.folder, snapshot=snapshot, keys=self.keys, background=background)
        self.settle()
        return made

    def settle(self) -> None:
        while self.wanted:
            asyncio.run(self.wanted.pop(0))

    @property
    def kept(self) -> str:
        found = self.keychain.kept.get(account_of(self.url))
        return found.reveal() if found is not None else ""


@pytest.fixture
def rig(stage: Stage, tmp_path: Path, qtbot: QtBot) -> Iterator[Rig]:
    made = Rig(stage, tmp_path)
    yield made
    made.settle()  # while its widgets are there: what was wished for late is asked, too


def test_a_key_that_is_kept_is_said_with_its_end_and_can_be_forgotten(rig: Rig, qtbot: QtBot) -> None:
    rig.keychain.kept[account_of(rig.url)] = token(exp=1_900_000_000)
    card = rig.card(qtbot)
    assert card.said.text() == "It is in A keyring."
    assert card.note.text().startswith("It ends on 2030-03-17")
    assert (card.replace.text(), card.forget.isVisible(), card.again.isVisible()) == ("Replace…", True, False)
    card.forget.click()
    rig.settle()
    assert rig.kept == ""
    assert card.said.text() == "A keyring holds no key for this control plane."
    assert (card.replace.text(), card.forget.isVisible()) == ("Enter a key…", False)


def test_a_new_key_is_checked_kept_and_wiped_from_the_field(rig: Rig, qtbot: QtBot) -> None:
    card = rig.card(qtbot)
    replaced = QSignalSpy(card.replaced)
    card.replace.click()
    assert card.key.echoMode() is QLineEdit.EchoMode.Password
    card.key.setText("kb-not-a-key-of-this-plane")
    card.check.click()
    assert not card.check.isEnabled(), "while it is asked"
    rig.settle()
    assert card.trouble.isVisible()
    assert (rig.kept, replaced.count()) == ("", 0)
    card.key.setText("two words")
    card.check.click()
    rig.settle()
    assert card.trouble.text() == "This is no API key: it must be one word."
    card.key.setText(f" {rig.good}\n")
    qtbot.keyClick(card.key, "\r")
    rig.settle()
    assert (rig.kept, replaced.count()) == (rig.good, 1)
    assert card.key.text() == ""
    assert not card.key.isVisible()
    assert card.said.text() == "It is in A keyring."


def test_giving_up_wipes_the_field(rig: Rig, qtbot: QtBot) -> None:
    card = rig.card(qtbot)
    card.replace.click()
    card.key.setText("kb-something")
    card.cancel.click()
    rig.settle()
    assert (card.key.text(), card.key.isVisible(), card.replace.isVisible()) == ("", False, True)


@pytest.mark.parametrize("trouble", [KeychainLocked("It is locked."), NoKeychain("There is none.")])
def test_a_keychain_that_cannot_be_used_is_a_state_with_a_button(
    rig: Rig, qtbot: QtBot, trouble: KeychainError
) -> None:
    rig.keychain.trouble = trouble
    card = rig.card(qtbot)
    assert card.said.text() == trouble.sentence
    assert card.again.isVisible()
    card.replace.click()
    card.key.setText(rig.good)
    card.check.click()
    rig.settle()
    assert card.trouble.text() == trouble.sentence
    assert (card.save_again.isVisible(), card.unsaved.isVisible()) == (True, True)
    rig.keychain.trouble = None
    card.save_again.click()
    rig.settle()
    assert rig.kept == rig.good
    assert card.said.text() == "It is in A keyring."


def test_it_can_be_used_without_being_kept(rig: Rig, qtbot: QtBot) -> None:
    rig.keychain.trouble = NoKeychain("There is none.")
    card = rig.card(qtbot)
    card.replace.click()
    card.key.setText(rig.good)
    card.check.click()
    rig.settle()
    card.unsaved.click()
    rig.settle()
    assert [one.reveal() for one in rig.used] == [rig.good]
    assert (rig.kept, card.key.text()) == ("", "")


def test_a_key_of_the_environment_is_left_alone(stage: Stage, tmp_path: Path, qtbot: QtBot) -> None:
    rig = Rig(stage, tmp_path, KUBIYA_API_KEY="kb-of-the-environment")
    card = rig.card(qtbot)
    assert "KUBIYA_API_KEY" in card.said.text()
    assert "kb-of-the-environment" not in card.said.text()
    assert not any(button.isVisible() for button in (card.replace, card.forget, card.again))
    assert rig.keychain.asked == 0


def test_a_refused_key_leads_here_with_one_click(rig: Rig, qtbot: QtBot) -> None:
    refused = EngineSnapshot(
        state=EngineState.FAILED, reason="The key was refused.", exit_code=ExitCode.CREDENTIALS_REFUSED
    )
    window = rig.window(qtbot, refused)
    assert rig.keychain.asked == 0, "nobody looks at the card yet"
    click(window.page_named("overview"), "Enter a key…")
    rig.settle()
    [card] = seen(window, KeyCard)
    assert window.page == "settings"
    assert card.key.isVisible()
    card.key.setText(rig.good)
    card.check.click()
    rig.settle()
    window.desk.worker.start.assert_called_once_with()  # type: ignore[attr-defined]
    entries = {entry.title: entry for entry in menu(TrayFacts(snapshot=refused))}
    assert (entries["Enter a key…"].action, entries["Enter a key…"].target) == (Action.SETTINGS, "key")


def test_other_failures_do_not_blame_the_key(rig: Rig, qtbot: QtBot) -> None:
    broken = EngineSnapshot(state=EngineState.FAILED, reason="No queue.", exit_code=ExitCode.QUEUE_UNUSABLE)
    assert "Enter a key…" not in {entry.title for entry in menu(TrayFacts(snapshot=broken))}
    unset = EngineSnapshot(state=EngineState.FAILED, reason="There is no queue.", exit_code=ExitCode.NOT_CONFIGURED)
    window = rig.window(qtbot, unset)
    assert not button(window.page_named("overview"), "Enter a key…").isVisible()
    click(window.page_named("overview"), "Open settings")
    assert window.page == "settings"
    rig.settle()


@pytest.mark.parametrize("answer", ["yes", "no", "it ended"])
def test_a_keychain_that_is_unlocked_late_is_looked_into_by_itself(rig: Rig, qtbot: QtBot, answer: str) -> None:
    rig.keychain.kept[account_of(rig.url)] = Secret("a-key")
    said: list[str] = []

    async def answered() -> bool:
        said.append(card.said.text())
        if answer == "no":
            raise KeychainLocked("It is locked.")
        rig.keychain.trouble = None
        return answer == "yes"

    rig.keychain.trouble = KeychainTimeout("It did not answer.", answered=answered)
    card = KeyCard(rig.keys, Background(run=rig.wanted.append))
    qtbot.addWidget(card)
    card.show()
    rig.settle()
    assert said == ["It did not answer."]
    assert card.said.text() == ("It is locked." if answer == "no" else "It is in A keyring.")


def test_a_key_that_is_kept_late_closes_its_entry(rig: Rig, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    card = rig.card(qtbot)
    replaced = QSignalSpy(card.replaced)
    said: list[str] = []

    async def answered() -> bool:
        said.append(card.trouble.text())
        rig.keychain.kept[account_of(rig.url)] = Secret(rig.good)
        return True

    async def keeps_late(_url: str, _secret: Secret) -> None:
        raise KeychainTimeout("It did not answer.", answered=answered)

    monkeypatch.setattr(rig.keychain, "set", keeps_late)
    card.replace.click()
    card.key.setText(rig.good)
    card.check.click()
    rig.settle()
    assert said == ["It did not answer."]
    assert replaced.count() == 1
    assert card.said.text() == "It is in A keyring."
    assert not card.save_again.isVisible()
