"""A task is begun in the window: by button, by key, with what goes along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtWidgets import QDialog, QPushButton
from pytestqt.qtbot import QtBot

from desktop.widgets.choice import Choice
from desktop.widgets.composer import Composer
from desktop.windows.main import MainWindow
from desktop.windows.new_task import NewTask
from tests.desktop.windows.stand_ins import a_worker, busy, shown_window
from tests.support.finding import button, click, named, reads, seen
from worker_core.control_plane.models import Agent, Queue
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineSnapshot


@pytest.fixture
def worker() -> Any:
    made = a_worker(busy("platform"))
    made.list_agents.return_value = [Agent(id="a-2", name="Writer"), Agent(id="a-1", name="Analyst")]
    made.begin_execution.return_value = "new"
    return made


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, worker: Any) -> MainWindow:
    return shown_window(qtbot, tmp_path, worker=worker)


class Form:
    """What stands in the dialog."""

    def __init__(self, window: MainWindow) -> None:
        [self.dialog] = seen(window, NewTask)
        self.agent, self.queue = named(self.dialog, "Agent", Choice), named(self.dialog, "Queue", Choice)
        self.prompt = named(self.dialog, "What is to be done", Composer)

    @property
    def can_start(self) -> bool:
        return button(self.dialog, "Start the task").isEnabled()

    def start(self) -> None:
        click(self.dialog, "Start the task")

    def drop(self, *paths: Path) -> None:
        """Onto the box for the request."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        assert self.prompt.canInsertFromMimeData(data)
        self.prompt.insertFromMimeData(data)


def opened(window: MainWindow) -> Form:
    click(window.page_named("overview"), "New task")
    return Form(window)


def test_a_task_is_begun_and_its_words_are_there_at_once(window: MainWindow, worker: Any, qtbot: QtBot) -> None:
    form = opened(window)
    assert [form.agent.itemText(place) for place in range(form.agent.count())] == ["Analyst", "Writer"]
    assert [form.queue.itemText(place) for place in range(form.queue.count())] == ["platform", "p"]
    assert not form.can_start, "there is nothing to do yet"
    form.agent.choose("a-2")
    form.prompt.setPlainText("Write")
    form.prompt.moveCursor(form.prompt.textCursor().MoveOperation.End)
    qtbot.keyClick(form.prompt, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(form.prompt, "it down")
    qtbot.keyClick(form.prompt, Qt.Key.Key_Return)
    worker.begin_execution.assert_called_once_with(agent_id="a-2", queue_id="q", prompt="Write\nit down", folder="")
    assert not form.dialog.isVisible()
    assert window.page == "executions"
    one = window.desk.executions.get("new")
    assert one is not None
    assert (one.title, one.agent, one.queue, one.status) == ("Write it down", "Writer", "platform", "pending")
    assert reads(window.executions, "Write it down")
    preferences = window.desk.settings.preferences
    assert (preferences.task_agent, preferences.task_queue) == ("a-2", "q"), "the next one begins so"


def test_the_field_grows_with_what_is_written(window: MainWindow) -> None:
    form = opened(window)
    before = form.prompt.height()
    form.prompt.setPlainText("\n".join("a line" for _ in range(7)))
    assert form.prompt.height() > before


def test_the_next_task_begins_with_the_last_agent_and_queue(window: MainWindow) -> None:
    window.desk.settings.prefer(task_agent="a-2", task_queue="p")
    form = opened(window)
    assert (form.agent.chosen, form.queue.chosen) == ("a-2", "p")


def test_by_key_and_what_was_written_stays(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitActive(window):
        window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    form = Form(window)
    form.prompt.setPlainText("half a thought")
    qtbot.keyClick(form.dialog, Qt.Key.Key_Escape)
    assert not form.dialog.isVisible()
    window.new_task()
    assert form.dialog.isVisible()
    assert form.prompt.text == "half a thought"


def test_every_empty_page_has_a_way_to_begin(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, snapshot=EngineSnapshot())
    for name in ("overview", "executions"):
        window.show_page(name)
        [way] = [one for one in seen(window.page_named(name), QPushButton) if one.text() == "Ask an agent…"]
        way.click()
        [dialog] = seen(window, NewTask)
        dialog.reject()


def test_files_and_a_folder_go_along(window: MainWindow, worker: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    (tmp_path / "b.bin").write_bytes(b"\0\1")
    folder = tmp_path / "repository"
    folder.mkdir()
    form = opened(window)
    form.prompt.setPlainText("Add it up")
    form.drop(tmp_path / "a.csv", folder)
    assert reads(form.dialog, "a.csv")
    assert button(form.dialog, "Take out repository")
    form.drop(tmp_path / "b.bin")
    assert reads(form.dialog, "b.bin is no text (UTF-8), and a request has nothing but text.")
    form.start()
    worker.begin_execution.assert_called_once_with(
        agent_id="a-1", queue_id="q", prompt="Add it up\n\nFile a.csv:\n\n```csv\n1,2\n```", folder=str(folder)
    )
    window.new_task()
    assert not reads(form.dialog, "a.csv"), "the next one begins with nothing"


def test_what_goes_along_is_taken_out_again(window: MainWindow, worker: Any, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text("x")
    form = opened(window)
    form.prompt.setPlainText("Look")
    form.drop(*(tmp_path / f"{number}.txt" for number in range(6)))
    assert reads(form.dialog, "2 more")
    for number in range(6):
        click(form.dialog, f"Take out {number}.txt")
    form.start()
    assert worker.begin_execution.call_args.kwargs["prompt"] == "Look"


def test_a_folder_that_is_not_granted_is_said_before_it_is_sent(window: MainWindow, tmp_path: Path) -> None:
    words = "Open settings"
    form = opened(window)
    form.drop(tmp_path)
    assert words in [one.text() for one in seen(form.dialog, QPushButton)]
    click(form.dialog, words)
    assert window.page == "settings"
    window.desk.settings.change(folders=[f"{tmp_path}=worktree"])
    click(form.dialog, f"Take out {tmp_path.name}")
    form.drop(tmp_path)
    assert words not in [one.text() for one in seen(form.dialog, QPushButton)]


def test_what_was_not_taken_is_said_and_can_be_sent_again(window: MainWindow, worker: Any) -> None:
    worker.begin_execution.side_effect = KubiyaError("The control plane does not answer.")
    form = opened(window)
    form.prompt.setPlainText("Do it")
    form.start()
    assert reads(form.dialog, "The control plane does not answer.")
    assert form.prompt.text == "Do it"
    worker.begin_execution.side_effect = None
    form.start()
    assert not form.dialog.isVisible()
    assert window.desk.executions.get("new") is not None


def test_an_organization_without_agents_is_told_so_and_asked_again(window: MainWindow, worker: Any) -> None:
    found, worker.list_agents.return_value = worker.list_agents.return_value, []
    form = opened(window)
    assert reads(form.dialog, "This organization has no agent yet. Make one on the control plane, then look again.")
    worker.list_agents.side_effect = KubiyaError("It does not answer.")
    click(form.dialog, "Look again")
    assert reads(form.dialog, "It does not answer.")
    worker.list_agents.side_effect = None
    worker.list_agents.return_value = found
    click(form.dialog, "Look again")
    form.prompt.setPlainText("Do it")
    assert form.can_start


def test_while_the_worker_stands_it_offers_the_queues_that_are_chosen(qtbot: QtBot, tmp_path: Path) -> None:
    worker = a_worker(EngineSnapshot())
    worker.list_agents.return_value = [Agent(id="a", name="Analyst")]
    worker.list_queues.return_value = [Queue(id="q-1", name="builds"), Queue(id="q-2", name="alerts")]
    window = shown_window(qtbot, tmp_path, worker=worker, settings={"queue_ids": "q-2"})
    form = opened(window)
    assert [form.queue.itemText(place) for place in range(form.queue.count())] == ["alerts"]
    assert reads(form.dialog, "The worker takes no tasks now. This one waits until it does.")


def test_a_task_wanted_while_the_window_is_closed_asks_alone(window: MainWindow) -> None:
    window.close()
    window.new_task()
    form = Form(window)
    assert isinstance(form.dialog, QDialog)
    assert form.dialog.isVisible()
    assert not window.isVisible()
    form.prompt.setPlainText("Do it")
    form.start()
    assert window.isVisible(), "what was begun is seen"
