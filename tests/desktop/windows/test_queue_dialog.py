"""Queues picked by their names in Settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from desktop.windows.main import MainWindow
from desktop.windows.queue_dialog import QueueDialog
from tests.desktop.windows.stand_ins import a_fleet, shown_window
from tests.support.finding import click, named
from worker_core.errors import KubiyaError


@pytest.fixture
def worker() -> Any:
    return a_fleet()


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, worker: Any) -> MainWindow:
    return shown_window(qtbot, tmp_path, page="settings", settings={"queue_ids": "q-2, q-gone"}, worker=worker)


def opened(window: MainWindow) -> QueueDialog:
    click(window.page_named("settings"), "Choose queues by name")
    dialog = window.findChild(QueueDialog)
    assert dialog is not None
    return dialog


def test_queues_are_picked_by_name_and_those_that_are_gone_stay(window: MainWindow) -> None:
    dialog = opened(window)
    assert [box.text() for box in dialog.choices.boxes.values()] == ["alerts && more", "builds"], "only active ones"
    assert dialog.choices.picked == ("q-2", "q-gone")
    dialog.choices.boxes["q-1"].click()
    dialog.use.click()
    assert window.desk.settings.settings().queue_ids == ("q-1", "q-2", "q-gone")
    assert named(window.page_named("settings"), "Queues", QLineEdit).text() == "q-1, q-2, q-gone"


def test_nothing_picked_cannot_be_used_and_cancel_changes_nothing(window: MainWindow, worker: Any) -> None:
    window.desk.settings.change(queue_ids="q-2")
    dialog = opened(window)
    dialog.choices.boxes["q-2"].click()
    assert not dialog.use.isEnabled()
    dialog.reject()
    assert window.desk.settings.settings().queue_ids == ("q-2",)


def test_a_control_plane_that_does_not_answer_is_asked_again(window: MainWindow, worker: Any) -> None:
    worker.list_queues.side_effect = KubiyaError("The control plane does not answer.")
    dialog = opened(window)
    assert dialog.said.text() == "The control plane does not answer."
    assert not dialog.use.isEnabled()
    worker.list_queues.side_effect = None
    dialog.again.click()
    assert len(dialog.choices.boxes) == 2
    assert not dialog.again.isVisible()


def test_an_organization_without_queues_is_told_so(window: MainWindow, worker: Any) -> None:
    worker.list_queues.return_value = []
    window.desk.settings.change(queue_ids="")
    dialog = opened(window)
    assert dialog.again.isVisible()
    assert not dialog.use.isEnabled()
