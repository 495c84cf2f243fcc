"""Every window beside the main one can be walked by keyboard and read aloud."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from desktop.settings.keys import Keys
from desktop.settings.onboarding import Onboarding
from desktop.settings.store import SettingsStore
from desktop.widgets.composer import Composer
from desktop.widgets.step import Step
from desktop.windows.background import Background
from desktop.windows.crash_dialog import CrashDialog
from desktop.windows.first_run import FirstRunWindow
from desktop.windows.key_card import KeyCard
from desktop.windows.new_task import NewTask
from desktop.windows.queue_dialog import QueueDialog
from desktop.windows.report import ReportDialog
from tests.desktop.windows.keychain import Keychain
from tests.desktop.windows.stand_ins import a_desk, a_fleet
from tests.desktop.windows.walking import nameless, unreachable
from tests.support.engine import home
from tests.support.finding import named
from worker_core.control_plane.models import Agent, Queue


def first_run(folder: Path) -> QWidget:
    store = SettingsStore(home(folder), environ={})
    keys = Keys(store=store, keychain=Keychain(), environ={}, use_key=lambda _: None)  # type: ignore[arg-type]
    made = FirstRunWindow(Onboarding(keys=keys, store=store, start_at_login=lambda: None), Background(run=asyncio.run))
    for step in made.findChildren(Step):
        step.open()
    made.choices.offer([Queue(id="a", name="a"), Queue(id="b", name="b")])
    made.choices.boxes["a"].setChecked(True)
    return made


def key_card(folder: Path) -> QWidget:
    store = SettingsStore(home(folder), environ={})
    keys = Keys(store=store, keychain=Keychain(), environ={}, use_key=lambda _: None)  # type: ignore[arg-type]
    made = KeyCard(keys, Background(run=asyncio.run))
    made.open()
    return made


def queues(_: Path) -> QWidget:
    made = QueueDialog(a_fleet(), Background(run=asyncio.run), picked=(), take=lambda _: None)
    made.look()
    return made


def new_task(folder: Path) -> QWidget:
    worker = a_fleet()
    worker.list_agents.return_value = [Agent(id="a", name="Analyst")]
    made = NewTask(a_desk(folder, worker=worker))
    named(made, "What is to be done", Composer).setPlainText("Look")
    (folder / "a.txt").write_text("a")
    made.give([folder / "a.txt", folder])
    return made


def report(_: Path) -> QWidget:
    return ReportDialog({"system.txt": "Linux", "checks.txt": "ok"})


def crash(_: Path) -> QWidget:
    return CrashDialog("Traceback")


@pytest.mark.parametrize("make", [first_run, key_card, queues, new_task, report, crash])
def test_every_control_has_a_name_and_a_keyboard_path(qtbot: QtBot, tmp_path: Path, make) -> None:
    window = make(tmp_path)
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    assert nameless(window) == []
    assert unreachable(window) == []
