"""The first run's window on a real control plane; only the keychain is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtTest import QSignalSpy
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from desktop.settings.keys import Keys
from desktop.settings.onboarding import Onboarding
from desktop.settings.store import SettingsStore
from desktop.windows.background import Background
from desktop.windows.first_run import KEYS_PAGE, FirstRunWindow
from tests.support.engine import home
from tests.support.playground import Stage, running_playground
from worker_core.secrets import KeychainError, KeychainLocked, KeychainTimeout, NoKeychain, Secret


class Keychain:
    """As `KeyringStore`; says what it is told to say."""

    def __init__(self) -> None:
        self.kept: dict[str, Secret] = {}
        self.trouble: KeychainError | None = None

    async def name(self) -> str:
        return "a keyring"

    async def set(self, url: str, secret: Secret) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.kept[url] = secret


class Autostart:
    written = 0

    def write(self) -> None:
        self.written += 1


class Rig:
    def __init__(self, stage: Stage, folder: Path, qtbot: QtBot, **environ: str) -> None:
        self.stage = stage
        self.store = SettingsStore(home(folder), environ=environ or {"CONTROL_PLANE_URL": stage.info.control_plane_url})
        self.keychain, self.autostart, self.used = Keychain(), Autostart(), []  # type: ignore[var-annotated]
        self._background: list[Any] = []
        keys = Keys(
            store=self.store,
            keychain=self.keychain,  # type: ignore[arg-type]
            environ={},
            use_key=self.used.append,
        )
        onboarding = Onboarding(keys=keys, store=self.store, start_at_login=self.autostart.write)
        self.window = FirstRunWindow(onboarding, Background(run=self._background.append))
        qtbot.addWidget(self.window)
        self.window.show()

    def settle(self) -> None:
        """Carry out what was asked for."""
        while self._background:
            asyncio.run(self._background.pop(0))

    def give(self, key: str) -> None:
        self.window.key.setText(key)
        self.window.check.click()
        self.settle()

    def pick(self) -> None:
        """One queue; where there is one alone, it is picked already."""
        next(iter(self.window.choices.boxes.values())).setChecked(True)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With one queue alone."""
    with running_playground(tmp_path_factory.mktemp("playground")) as stage:
        yield stage


@pytest.fixture
def rig(plane: Stage, tmp_path: Path, qtbot: QtBot) -> Rig:
    return Rig(plane, tmp_path, qtbot)


def test_from_a_key_to_work(rig: Rig) -> None:
    window, key = rig.window, rig.stage.info.api_key
    finished = QSignalSpy(window.finished)
    assert window.key.echoMode() is QLineEdit.EchoMode.Password
    assert not window.start.isEnabled()
    rig.give(f"  {key}\n")
    assert rig.keychain.kept[rig.stage.info.control_plane_url].reveal() == key
    assert window.key.text() == "", "the field is wiped"
    assert window.choices.picked == (rig.stage.info.queue_id,), "the only queue is chosen already"
    window.start.click()
    assert finished.count() == 1
    assert rig.store.settings().queue_ids == (rig.stage.info.queue_id,)
    assert rig.autostart.written == 0, "off until asked for"
    assert key not in rig.store.paths.settings_file.read_text(encoding="utf-8")


def test_start_at_login_when_it_is_asked_for(rig: Rig) -> None:
    rig.give(rig.stage.info.api_key)
    rig.window.at_login.click()
    rig.window.start.click()
    assert rig.autostart.written == 1


@pytest.mark.parametrize(
    ("key", "words"), [("", "Paste your API key"), ("two words", "must be one word"), ("wrong-key", "refused")]
)
def test_a_key_that_does_not_work(rig: Rig, key: str, words: str) -> None:
    rig.give(key)
    assert words in rig.window.said.text()
    assert rig.window.said.isVisible()
    assert rig.window.key.isEnabled()
    assert rig.keychain.kept == {}
    rig.give(rig.stage.info.api_key)
    assert rig.window.start.isEnabled(), "and the next one does"


def test_a_control_plane_that_is_not_there(plane: Stage, tmp_path: Path, qtbot: QtBot) -> None:
    rig = Rig(plane, tmp_path, qtbot, CONTROL_PLANE_URL="http://127.0.0.1:1")
    rig.give("a-key")
    assert "refused the connection" in rig.window.said.text()


def test_another_control_plane_is_written_down(plane: Stage, tmp_path: Path, qtbot: QtBot) -> None:
    rig = Rig(plane, tmp_path, qtbot, OTHER="1")
    assert not rig.window.url.isVisible()
    rig.window.url.setText("nonsense")
    rig.give(plane.info.api_key)
    assert "must begin with https://" in rig.window.said.text()
    rig.window.url.setText(plane.info.control_plane_url + "/")
    rig.give(plane.info.api_key)
    assert rig.window.start.isEnabled()
    assert rig.store.settings().control_plane_url == plane.info.control_plane_url


@pytest.mark.parametrize("trouble", [KeychainLocked("It is locked."), NoKeychain("There is none.")])
def test_a_keychain_that_cannot_keep_it(rig: Rig, trouble: KeychainError) -> None:
    window, rig.keychain.trouble = rig.window, trouble
    rig.give(rig.stage.info.api_key)
    assert window.said.text() == trouble.sentence
    assert window.retry.isVisible()
    assert window.unsaved.isVisible()
    assert not window.start.isEnabled()
    window.retry.click()
    rig.settle()
    assert window.retry.isVisible(), "still locked"
    rig.keychain.trouble = None
    window.retry.click()
    rig.settle()
    assert rig.keychain.kept
    assert not window.retry.isVisible()
    assert window.start.isEnabled()


@pytest.mark.parametrize("answer", ["yes", "no", "it ended"])
def test_a_keychain_that_is_unlocked_late_needs_no_second_press(rig: Rig, answer: str) -> None:
    window = rig.window
    seen: list[tuple[str, bool]] = []

    async def answered() -> bool:
        seen.append((window.said.text(), window.retry.isVisible()))
        if answer == "no":
            raise KeychainLocked("It is locked.")
        return answer == "yes"

    rig.keychain.trouble = KeychainTimeout("It did not answer.", answered=answered)
    rig.give(rig.stage.info.api_key)
    assert seen == [("It did not answer.", True)]
    assert window.retry.isVisible() == (answer != "yes")
    assert window.start.isEnabled() == (answer == "yes")
    assert rig.keychain.kept == {}, "it is not asked again"


def test_a_key_that_is_kept_nowhere_serves_until_the_end(rig: Rig) -> None:
    rig.keychain.trouble = NoKeychain("There is none.")
    rig.give(rig.stage.info.api_key)
    rig.window.unsaved.click()
    rig.settle()
    assert [key.reveal() for key in rig.used] == [rig.stage.info.api_key]
    assert rig.keychain.kept == {}
    assert rig.window.start.isEnabled()


def test_several_queues_none_and_again(rig: Rig) -> None:
    window, stage = rig.window, rig.stage

    async def more() -> str:
        async with stage.client() as api:
            path = f"/environments/{stage.info.environment_id}/worker-queues"
            asleep = (await api.post(path, json={"name": "asleep"})).json()["id"]
            await api.patch(f"/worker-queues/{asleep}", json={"status": "inactive"})
            made = (await api.post(path, json={"name": "more & more"})).json()["id"]
            return str(made)

    made = asyncio.run(more())
    rig.give(stage.info.api_key)
    assert window.choices.picked == ()
    assert [box.text() for box in window.choices.boxes.values()] == ["Default", "more && more"], "only active ones"
    assert not window.start.isEnabled()
    window.choices.boxes[made].click()
    assert window.choices.picked == (made,)
    window.choices.boxes[made].click()
    assert not window.start.isEnabled()
    assert not window.again.isVisible()


def test_queues_that_are_made_meanwhile_are_looked_for_again(rig: Rig) -> None:
    async def set_all(status: str) -> None:
        async with rig.stage.client() as api:
            for queue in (await api.get("/worker-queues")).json():
                await api.patch(f"/worker-queues/{queue['id']}", json={"status": status})

    asyncio.run(set_all("inactive"))
    try:
        rig.give(rig.stage.info.api_key)
        assert rig.window.again.isVisible()
        assert rig.window.choices.boxes == {}
    finally:
        asyncio.run(set_all("active"))
    rig.window.again.click()
    rig.settle()
    assert rig.window.choices.boxes


def test_without_an_account(rig: Rig) -> None:
    wanted = QSignalSpy(rig.window.playground_wanted)
    rig.window.try_it.click()
    assert wanted.count() == 1


def test_a_wrong_key_is_told_without_what_a_terminal_repairs_it_with(rig: Rig) -> None:
    rig.give("wrong-key")
    assert "refused the API key" in rig.window.said.text()
    assert "kubiya-worker" not in rig.window.said.text()


def test_where_a_key_is_made(plane: Stage, tmp_path: Path, qtbot: QtBot) -> None:
    rig = Rig(plane, tmp_path, qtbot, OTHER="1")
    wanted = QSignalSpy(rig.window.page_wanted)
    rig.window.get.click()
    assert wanted.at(0) == [KEYS_PAGE]
    rig.window.elsewhere.click()
    assert rig.window.url.isVisible()
    assert rig.window.url.hasFocus() or rig.window.focusWidget() is rig.window.url


def test_a_control_plane_that_the_environment_names_is_shown_and_stays(rig: Rig) -> None:
    window, url = rig.window, rig.stage.info.control_plane_url
    assert (window.url.text(), window.url.isVisible(), window.url.isEnabled()) == (url, True, False)
    assert "CONTROL_PLANE_URL" in window.decided.text()
    assert not window.elsewhere.isVisible()
    assert not window.get.isVisible(), "its keys are made elsewhere"
    window.url.setText("http://127.0.0.1:1")
    rig.give(rig.stage.info.api_key)
    assert window.choices.boxes, "asked the one that the worker will use"
    rig.pick()
    window.start.click()
    assert "control_plane_url" not in rig.store.paths.settings_file.read_text(encoding="utf-8")


def test_the_first_step_can_be_taken_again(rig: Rig) -> None:
    window, key = rig.window, rig.stage.info.api_key
    assert not window.change.isVisible()
    rig.give(key)
    assert window.change.isVisible()
    window.change.click()
    assert window.key.isVisible()
    assert not window.choices.isVisible()
    assert not window.start.isEnabled()
    rig.give("wrong-key")
    assert "refused" in window.said.text()
    rig.give(key)
    rig.pick()
    assert window.start.isEnabled()


def test_the_focus_goes_to_what_can_be_done_about_the_keychain(rig: Rig) -> None:
    rig.keychain.trouble = KeychainLocked("It is locked.")
    rig.give(rig.stage.info.api_key)
    assert rig.window.focusWidget() is rig.window.retry
