"""Queues picked by their names in Settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from desktop.windows.main import MainWindow
from desktop.windows.queue_dialog import QueueDialog
from tests.desktop.windows.stand_ins import run_now, shown_window
from worker_core.control_plane.models import Queue
from worker_core.errors import KubiyaError


class Fleet:
    def __init__(self) -> None:
        self.trouble: KubiyaError | None = None
        self.queues = [
            Queue(id="q-2", name="builds", environment_name="Production", status="active"),
            Queue(id="q-1", name="alerts & more", environment_name="Production"),
            Queue(id="q-3", name="old", environment_name="Staging", status="inactive"),
        ]

    async def list_queues(self) -> list[Queue]:
        if self.trouble is not None:
            raise self.trouble
        return self.queues

    async def queue_workers(self, queue_ids: Sequence[str]) -> dict[str, list[Any]]:
        return {}


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, fleet: Fleet) -> MainWindow:
    picked = {"queue_ids": "q-2, q-gone"}
    return shown_window(qtbot, tmp_path, page="settings", settings=picked, fleet=fleet, run=run_now)


def opened(window: MainWindow) -> QueueDialog:
    buttons = window.page_named("settings").findChildren(QAbstractButton)
    next(one for one in buttons if one.accessibleName() == "Choose queues by name").click()
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
    assert window._settings.rows["queue_ids"]._control.text() == "q-1, q-2, q-gone"


def test_nothing_picked_cannot_be_used_and_cancel_changes_nothing(window: MainWindow, fleet: Fleet) -> None:
    window.desk.settings.change(queue_ids="q-2")
    dialog = opened(window)
    dialog.choices.boxes["q-2"].click()
    assert not dialog.use.isEnabled()
    dialog.reject()
    assert window.desk.settings.settings().queue_ids == ("q-2",)


def test_a_control_plane_that_does_not_answer_is_asked_again(window: MainWindow, fleet: Fleet) -> None:
    fleet.trouble = KubiyaError("The control plane does not answer.")
    dialog = opened(window)
    assert dialog.said.text() == "The control plane does not answer."
    assert not dialog.use.isEnabled()
    fleet.trouble = None
    dialog.again.click()
    assert len(dialog.choices.boxes) == 2
    assert not dialog.again.isVisible()


def test_an_organization_without_queues_is_told_so(window: MainWindow, fleet: Fleet) -> None:
    fleet.queues = []
    window.desk.settings.change(queue_ids="")
    dialog = opened(window)
    assert dialog.again.isVisible()
    assert not dialog.use.isEnabled()
