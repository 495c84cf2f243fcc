"""A new task: which agent, on which queue, what it is to do, and what goes along with it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QSizePolicy, QWidget

from desktop.look.language import fact, tr
from desktop.look.tokens import Space
from desktop.look.wording import size_text
from desktop.models.task_files import LIMIT_BYTES, TaskFile, read_file, with_files
from desktop.settings.onboarding import usable_queues
from desktop.widgets.buttons import Button
from desktop.widgets.choice import Choice
from desktop.widgets.composer import Composer, dropped_paths
from desktop.widgets.given_things import GivenThings, Thing
from desktop.widgets.layouts import column, row
from desktop.widgets.text import Label
from desktop.windows.coming import come_forward
from desktop.windows.desk import Desk
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineState

if TYPE_CHECKING:
    from worker_core.control_plane.models import Agent
from desktop.widgets.dialog import Dialog


class NewTask(Dialog):
    """Closed, it keeps what was written; sent, it is empty for the next one. `begun` has the execution's id.

    It offers the queues that this machine serves: what runs elsewhere tells nothing to this window.
    """

    begun = Signal(str)

    def __init__(self, desk: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._files: list[TaskFile] = []
        self._folder: Path | None = None
        self._sends = False
        self.setWindowTitle(tr("New task"))
        self.setProperty("ground", "window")
        self.setAcceptDrops(True)
        self._agent, self._queue = Choice(tr("Agent"), ()), Choice(tr("Queue"), ())
        for choice in (self._agent, self._queue):
            choice.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            choice.setMinimumContentsLength(12)
            choice.currentIndexChanged.connect(self._show_given)
        self._prompt = Composer(
            name=tr("What is to be done"), hint=tr("What is to be done?"), least_lines=5, takes_files=True
        )
        self._prompt.sent.connect(self._send)
        self._prompt.given.connect(self.give)
        self._prompt.textChanged.connect(self._wake)
        self._things = GivenThings()
        ungranted = Label(
            tr(
                "This folder is not granted: the agent would work in an empty workspace. Add it to “Your folders” "
                "first."
            ),
            role="small", tone="warning", wrap=True,
        )  # fmt: skip
        grant = Button(tr("Open settings"), variant="quiet")
        grant.clicked.connect(self._open_settings)
        granted = tr("A folder that it is to work in: one of “Your folders”, in place or in a copy.")
        folder = Button(tr("Folder…"), icon="folder", tip=granted)
        files = Button(tr("Files…"), icon="file", tip=tr("Text files. They can be dropped here, too."))
        folder.clicked.connect(self._choose_folder)
        files.clicked.connect(self._choose_files)
        self._said = Label("", tone="muted", wrap=True)
        self._again = Button(tr("Look again"), icon="refresh")
        self._again.clicked.connect(self.look)
        keys = Label(tr("Enter sends, Shift+Enter begins a new line."), role="small", tone="muted")
        cancel = Button(tr("Cancel"), variant="quiet")
        cancel.clicked.connect(self.reject)
        self._start = Button(tr("Start the task"), icon="send", variant="primary")
        self._start.clicked.connect(self._send)
        small = Label(tr("Agent"), role="small", tone="muted"), Label(tr("Queue"), role="small", tone="muted")
        choices = row(column(small[0], self._agent, gap=4), column(small[1], self._queue, gap=4), gap=Space.M)
        choices.setStretch(0, 1)
        choices.setStretch(1, 1)
        self._grants = QWidget()
        grants = row(ungranted, grant)
        grants.setStretch(0, 1)
        self._grants.setLayout(grants)
        said = row(self._said, self._again)
        said.setStretch(0, 1)
        self.setLayout(
            column(
                choices,
                self._prompt,
                self._things,
                self._grants,
                row(folder, files, None, keys),
                said,
                None,
                row(None, cancel, self._start),
                gap=Space.M,
                margins=(Space.XL, Space.XL, Space.XL, Space.L),
            )
        )
        self.resize(580, 0)
        self._again.hide()
        self._show_given()
        self._wake()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._prompt.setFocus(Qt.FocusReason.OtherFocusReason)
        if not self._sends:
            self.look()

    # -- what can be chosen ---------------------------------------------------------------------------------------

    def look(self) -> None:
        """Ask which agents there are."""
        self._again.hide()
        if not self._agent.count():
            self._say(tr("Asking the control plane…"))

        async def ask() -> None:
            try:
                agents = await self._desk.worker.list_agents()
                queues = await self._queues()
            except KubiyaError as error:
                self._say(fact(error), tone="danger")
                self._again.show()
                return
            self._offer(agents, queues)

        self._desk.background.ask(ask(), doing=tr("fetch the agents"))

    async def _queues(self) -> list[tuple[str, str]]:
        """Those that this machine serves, or will once its worker runs."""
        if served := self._desk.worker.snapshot.queues:
            return [(one.queue_id, one.queue_name or one.queue_id) for one in served]
        chosen = self._desk.settings.settings().queue_ids
        found = usable_queues(await self._desk.worker.list_queues())
        return [(one.id, one.display_name or one.name or one.id) for one in found if not chosen or one.id in chosen]

    def _offer(self, agents: Iterable[Agent], queues: list[tuple[str, str]]) -> None:
        last, names = self._desk.settings.preferences, [(one.id, one.name or one.id) for one in agents]
        first = not self._agent.count()
        self._agent.offer(sorted(names, key=lambda one: one[1].casefold()))
        self._queue.offer(queues)
        if first:
            self._agent.choose(last.task_agent)
            self._queue.choose(last.task_queue)
        if not names:
            self._say(tr("This organization has no agent yet. Make one on the control plane, then look again."))
        elif not queues:
            self._say(tr("No queue is served. Choose one in Settings."), tone="warning")
        elif self._desk.worker.snapshot.state is not EngineState.RUNNING:
            self._say(tr("The worker takes no tasks now. This one waits until it does."), tone="warning")
        else:
            self._say("")
        self._again.setVisible(not (names and queues))
        self._wake()

    # -- what goes along ------------------------------------------------------------------------------------------

    def give(self, paths: Iterable[Path]) -> None:
        """Files and a folder go along with the task; what cannot is named."""
        self._say("")
        for path in paths:
            if path.is_dir():
                self._folder = path.absolute()
                continue
            taken = sum(one.size_bytes for one in self._files)
            try:
                file = read_file(path, room_bytes=LIMIT_BYTES - taken)
            except KubiyaError as error:
                self._say(fact(error), tone="danger")
            else:
                self._files = [one for one in self._files if one.name != file.name] + [file]
        self._show_given()

    def _show_given(self, *_: object) -> None:
        things: list[Thing] = []
        if self._folder is not None:
            things.append(("folder", str(self._folder), "", self._without_folder))
        things += [("file", one.name, size_text(one.size_bytes), partial(self._take_out, one)) for one in self._files]
        self._things.show_things(things)
        self._grants.setVisible(not self._is_granted())

    def _is_granted(self) -> bool:
        """Whether the agent will work there, or in a copy of it, as far as this machine decides it."""
        if self._folder is None:
            return True
        ids = (self._queue.chosen, self._agent.chosen)
        try:
            grants = self._desk.settings.settings().folders
        except KubiyaError:
            return True  # what is wrong with the settings is said where they are
        return any(one.holds(str(self._folder), ids=ids) for one in grants)

    def _take_out(self, file: TaskFile) -> None:
        self._files = [one for one in self._files if one is not file]
        self._show_given()

    def _without_folder(self) -> None:
        self._folder = None
        self._show_given()

    def _open_settings(self) -> None:
        self._desk.frame.show_page("settings", "folders")
        if (around := self.parentWidget()) is not None:
            come_forward(around)

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, tr("A folder to work in"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        self._choose(dialog)

    def _choose_files(self) -> None:
        dialog = QFileDialog(self, tr("Files for the task"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        self._choose(dialog)

    def _choose(self, dialog: QFileDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(lambda paths: self.give(map(Path, paths)))
        dialog.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 (Qt's own name)
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 (Qt's own name)
        event.acceptProposedAction()
        self.give(dropped_paths(event.mimeData()))

    # -- sending --------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._start.setEnabled(
            bool(not self._sends and self._prompt.text and self._agent.chosen and self._queue.chosen)
        )

    def _send(self) -> None:
        self._wake()
        if not self._start.isEnabled():
            return
        agent_id, queue_id = self._agent.chosen, self._queue.chosen
        agent, queue = self._agent.currentText(), self._queue.currentText()
        prompt, folder = with_files(self._prompt.text, self._files), str(self._folder or "")
        self._sends = True
        self._say(tr("Sending…"))
        self._wake()

        async def begin() -> None:
            try:
                execution_id = await self._desk.worker.begin_execution(
                    agent_id=agent_id, queue_id=queue_id, prompt=prompt, folder=folder
                )
            except KubiyaError as error:
                self._say(fact(error), tone="danger")
                return
            finally:
                self._sends = False
                self._wake()
            self._desk.executions.begin(execution_id, prompt=prompt, agent=agent, agent_id=agent_id, queue=queue)
            self._desk.settings.remember(task_agent=agent_id, task_queue=queue_id)
            self._prompt.clear()
            self._files, self._folder = [], None
            self._say("")
            self._show_given()
            self.accept()
            self.begun.emit(execution_id)

        self._desk.background.ask(begin(), doing=tr("begin the task"))

    def _say(self, text: str, *, tone: str = "muted") -> None:
        self._said.set_tone(tone)
        self._said.setText(text)
        self._said.setVisible(bool(text))
