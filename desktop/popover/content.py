"""The middle of the popover: the questions that wait, and below them what runs."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex
from PySide6.QtWidgets import QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.models.conversation_items import Item
from desktop.models.execution_list import ExecutionListModel, ExecutionRole
from desktop.models.live_tasks import live_tasks
from desktop.notices.action import Action
from desktop.popover.head import Choose
from desktop.widgets.buttons import Button
from desktop.widgets.delegates import ExecutionDelegate
from desktop.widgets.layouts import column, row
from desktop.widgets.lists import FittedList
from desktop.widgets.sandbox_card import SandboxCard
from desktop.widgets.text import Label, widget
from desktop.windows.desk import Desk
from desktop.windows.overview import QUESTIONS_SHOWN, SANDBOX_PAGE
from desktop.windows.question_cards import QuestionCards
from worker_core.snapshot import EngineSnapshot

TASKS_SHOWN = 5
"""The window has them all."""


class PopoverContent(QWidget):
    """Follows the desk's executions. While the screen is locked, it shows none of them."""

    def __init__(self, desk: Desk, choose: Choose) -> None:
        super().__init__()
        self.setProperty("ground", "clear")
        self._desk, self._choose = desk, choose
        self._locked = False
        self._sandbox = SandboxCard(
            answer=lambda allow: desk.background.ask(
                desk.worker.answer_sandbox(allow=allow), doing=tr("answer the question")
            ),
            repair=lambda: desk.outside.open_url(SANDBOX_PAGE),
        )
        self._questions = QuestionCards(
            desk,
            pick=lambda: desk.executions.questions()[:QUESTIONS_SHOWN],
            show=lambda execution_id: choose(Action.OPEN_EXECUTION, execution_id),
            narrow=True,
        )
        self._more_questions = self._more(Action.OPEN_APPROVAL)
        self._model = ExecutionListModel(desk.executions, self, limit=TASKS_SHOWN, pick=live_tasks)
        self._list = FittedList(tr("Executions"), self._model, ExecutionDelegate())
        self._list.chosen.connect(self._open)
        self._more_tasks = self._more(Action.OPEN_EXECUTION)
        self._tasks = widget("clear")
        self._tasks.setLayout(
            column(
                row(Label(tr("Executions"), role="caption", tone="muted"), None, margins=(Space.L, 0, Space.L, 0)),
                self._list,
                row(None, self._more_tasks, None),
                gap=Space.XS,
            )
        )
        self._nothing = Label(tr("Nothing waits for you, and nothing runs."), tone="muted", wrap=True)
        self._cards = widget("clear")
        self._cards.setLayout(
            column(self._sandbox, self._questions, row(None, self._more_questions, None), self._nothing, gap=Space.S)
        )
        edge = (Space.M, 0, Space.M, 0)
        self.setLayout(
            column(column(self._cards, margins=edge), self._tasks, None, gap=Space.S, margins=(0, 0, 0, Space.M))
        )
        desk.executions.listen(self._heard)

    def take(self, snapshot: EngineSnapshot, *, locked: bool) -> None:
        """Show what there is now."""
        self._locked = locked
        self._sandbox.take(snapshot.sandbox)
        self._show()

    def begin(self) -> None:
        """It is opened: no row is chosen yet."""
        self._list.clearSelection()
        self._list.setCurrentIndex(QModelIndex())

    def tick(self) -> None:
        """A second has passed: durations are others."""
        self._list.viewport().update()

    # -- below ----------------------------------------------------------------------------------------------------

    def _more(self, action: Action) -> Button:
        made = Button("", variant="quiet")
        made.clicked.connect(lambda: self._choose(action, ""))
        return made

    def _heard(self, execution_id: str, item: Item | None) -> None:
        if self.isVisible():
            self._show()

    def _show(self) -> None:
        known = self._desk.executions
        self._questions.refresh()
        more_questions = known.approvals_waiting - QUESTIONS_SHOWN
        tasks = len(live_tasks(known.all()))
        for button, more in ((self._more_questions, more_questions), (self._more_tasks, tasks - TASKS_SHOWN)):
            button.setText(tr("{count} more", count=more))
            button.setVisible(more > 0)
        asks = known.approvals_waiting > 0
        self._questions.setVisible(asks and not self._locked)
        self._more_questions.setVisible(more_questions > 0 and not self._locked)
        self._tasks.setVisible(tasks > 0 and not self._locked)
        self._nothing.setVisible(not asks and not tasks and self._sandbox.isHidden())
        self._cards.setVisible(
            not self._locked and (asks or not self._nothing.isHidden() or not self._sandbox.isHidden())
        )

    def _open(self, index: QModelIndex) -> None:
        self._choose(Action.OPEN_EXECUTION, index.data(ExecutionRole).execution_id)
