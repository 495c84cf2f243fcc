"""Overview: what runs, why nothing runs if nothing does, and how everything is, at a glance."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QMenu, QStackedLayout, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.menus import Menu
from desktop.look.standing import explanation, headline, icon_of, tone_of, unprotected
from desktop.look.theme import theme
from desktop.look.tokens import Space, Tone
from desktop.look.wording import (
    duration_text,
    is_key_refused,
    lacks_settings,
    moment,
    pause_reason,
    queue_reason,
    size_text,
    tomorrow_morning,
)
from desktop.models.conversation_items import Approval, Item
from desktop.models.execution_list import ExecutionListModel, ExecutionRole
from desktop.notices.questions import questions
from desktop.widgets.buttons import Button
from desktop.widgets.charts import Meter
from desktop.widgets.delegates import ExecutionDelegate
from desktop.widgets.layouts import column, empty, row
from desktop.widgets.lists import FittedList
from desktop.widgets.pills import Dot, Pill
from desktop.widgets.sandbox_card import SandboxCard
from desktop.widgets.surfaces import Card, EmptyState, IconTile, Line
from desktop.widgets.text import ElidedLabel, Label
from desktop.windows.desk import Desk
from desktop.windows.page import Page
from desktop.windows.question_cards import QuestionCards
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineSnapshot, EngineState, Health, QueueView, StopMode
from worker_core.summary import Standing, summary

QUESTIONS_SHOWN = 3
"""The page of approvals has them all."""

STACKS_BELOW = 820
"""Pixels of the page's width; below, what stands side by side stands one under the other."""

SANDBOX_PAGE = "https://github.com/kubiyabot/kubiya-worker/blob/main/docs/checks/sandbox.md"


_NARROW = 620
"""Pixels of the card where the system's font has 13."""


class Figure(QWidget):
    """A number and what it counts."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._value = Label("0", role="title")
        self._note = ElidedLabel("", role="small", tone="muted")
        self.setLayout(
            column(Label(name, role="small", tone="muted"), row(self._value, self._note, None, gap=6), gap=2)
        )
        self.setAccessibleName(name)

    def say(self, value: str, note: str = "") -> None:
        self._value.setText(value)
        self._note.setText(note)
        self.setAccessibleDescription(f"{value} {note}".strip())


class StateCard(Card):
    """The state in one word, its reason in one sentence, and what can be done about it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(padding=Space.XL)
        self._desk = desk
        self._tile = IconTile("power", size=48)
        self._state = Label("", role="title")
        self._reason = Label("", tone="muted", wrap=True)
        self._start = Button(tr("Start"), icon="play", variant="primary")
        self._pause = Button(tr("Pause"), icon="pause")
        self._stop = Button(tr("Stop"), icon="stop", variant="quiet")
        self._resume = Button(tr("Resume"), icon="play", variant="primary")
        self._key = Button(tr("Enter a key…"), icon="key")
        self._key.clicked.connect(lambda: desk.frame.show_page("settings", "key"))
        self._settings = Button(tr("Open settings"), icon="settings")
        self._settings.clicked.connect(lambda: desk.frame.show_page("settings"))
        self._pause.setMenu(self._pause_menu())
        self._start.clicked.connect(lambda: self._ask(desk.worker.start(), tr("start the worker")))
        self._resume.clicked.connect(lambda: self._ask(desk.worker.resume(), tr("resume the worker")))
        self._stop.clicked.connect(lambda: self._ask(desk.worker.stop(StopMode.DRAIN), tr("stop the worker")))
        self._warning = Pill(unprotected(), tone="warning")
        words = column(self._state, self._reason, self._warning, gap=2)
        self._halves = self._line(words)
        self.body.addLayout(self._halves)
        self._figures = {
            "running": Figure(tr("Running now")),
            "waiting": Figure(tr("Waiting in queues")),
            "done": Figure(tr("Turns done since start")),
            "events": Figure(tr("Events on their way")),
        }
        self.body.addSpacing(Space.XS)
        self.body.addWidget(Line())
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, Space.XS, 0, 0)
        self._grid.setVerticalSpacing(Space.M)
        self.body.addLayout(self._grid)
        self._is_narrow: bool | None = None
        self._lay(narrow=False)

    def _line(self, words: QVBoxLayout) -> QHBoxLayout:
        said = row(self._tile, words, gap=Space.L)
        said.setStretch(1, 1)
        line = row(gap=Space.L)
        line.addLayout(said, 1)
        line.addLayout(row(self._key, self._settings, self._start, self._resume, self._pause, self._stop, None))
        return line

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._lay(narrow=self.width() < theme().scaled(_NARROW))

    def _lay(self, *, narrow: bool) -> None:
        """What can be done stands below the words, and two figures beside each other, where there is no room."""
        if narrow is self._is_narrow:
            return
        self._is_narrow = narrow
        direction = QHBoxLayout.Direction
        self._halves.setDirection(direction.TopToBottom if narrow else direction.LeftToRight)
        across = 2 if narrow else len(self._figures)
        for place, figure in enumerate(self._figures.values()):
            self._grid.addWidget(figure, place // across, place % across)
        for place in range(len(self._figures)):
            self._grid.setColumnStretch(place, int(place < across))

    def take(self, snapshot: EngineSnapshot) -> None:
        state, said, now = snapshot.state, summary(snapshot), datetime.now(UTC)
        self._tile.set_tone(icon_of(said), tone_of(said))
        self._state.setText(headline(said, paused_until=self._desk.worker.paused_until, now=now))
        asked = questions(snapshot)
        why = asked[0].title if said.standing is Standing.QUESTIONS else explanation(said, now)
        if snapshot.since and not said.needs_attention:
            why = f"{why} {tr('Since {time}.', time=moment(snapshot.since, now))}".strip()
        if self._desk.worker.attached and snapshot.pid:
            why = f"{why} {tr('Attached to the worker with the process {pid}.', pid=str(snapshot.pid))}".strip()
        self._reason.setText(why)
        self._warning.setVisible(said.unprotected)
        locked = said.standing is Standing.LOCKED
        at_work = state in {EngineState.RUNNING, EngineState.STARTING} and not locked
        self._start.setVisible(state in {EngineState.STOPPED, EngineState.FAILED} or locked)
        self._key.setVisible(self._desk.keys is not None and is_key_refused(snapshot))
        self._settings.setVisible(lacks_settings(snapshot))
        self._resume.setVisible(state is EngineState.PAUSED)
        self._pause.setVisible(at_work)
        self._stop.setVisible(at_work or locked or state is EngineState.PAUSED)
        limit = snapshot.executions_limit
        self._figures["running"].say(str(snapshot.tasks_in_flight), tr("of {n} places", n=limit) if limit else "")
        known = [queue.statistics for queue in snapshot.queues if queue.statistics is not None]
        oldest = max((one.backlog_age_seconds for one in known if one.backlog), default=0.0)
        self._figures["waiting"].say(
            str(sum(one.backlog for one in known)) if known else "–",
            tr("oldest {age}", age=duration_text(oldest)) if oldest else "",
        )
        ended = snapshot.tasks_processed
        executions = tr("1 execution ended") if ended == 1 else tr("{n} executions ended", n=ended)
        self._figures["done"].say(str(snapshot.turns_ended), executions if ended else "")
        outbox = snapshot.outbox
        kept = tr("{n} kept on disk", n=outbox.spooled) if outbox.spooled else ""
        self._figures["events"].say(str(outbox.pending + outbox.spooled), kept)

    def _pause_menu(self) -> QMenu:
        menu = Menu(self)
        for text, span in (
            (tr("For 30 minutes"), timedelta(minutes=30)),
            (tr("For 1 hour"), timedelta(hours=1)),
            (tr("Until tomorrow"), None),
            (tr("Until I resume"), timedelta(0)),
        ):
            menu.addAction(text).triggered.connect(lambda *_, span=span: self._pause_for(span))
        return menu

    def _pause_for(self, span: timedelta | None) -> None:
        now = datetime.now(UTC)
        until = tomorrow_morning(now) if span is None else now + span if span else None
        self._ask(self._desk.worker.pause(reason=pause_reason(until, now), until=until), tr("pause the worker"))

    def _ask(self, work: Coroutine[Any, Any, object], doing: str) -> None:
        self._desk.background.ask(work, doing=doing)


class QueueLines(Card):
    """One line per queue."""

    def __init__(self, desk: Desk) -> None:
        button = Button(tr("All queues"), variant="quiet")
        button.clicked.connect(lambda: desk.frame.show_page("queues"))
        super().__init__(tr("Queues"), aside=button)
        self._desk = desk
        self._lines = QVBoxLayout()
        self._lines.setSpacing(Space.M)
        self.body.addLayout(self._lines)
        self._shown: tuple[QueueView, ...] | None = None

    def take(self, queues: tuple[QueueView, ...]) -> None:
        if queues == self._shown:
            return
        self._shown = queues
        empty(self._lines)
        if not queues:
            self._lines.addWidget(Label(self._none(), tone="muted", wrap=True))
        for queue in queues[:8]:
            tone: Tone = "success" if queue.polling and queue.trouble is None else "warning"
            dot = Dot(tone=tone)
            name = ElidedLabel(queue.queue_name or queue.queue_id, role="medium")
            reason = queue_reason(queue)
            note = ElidedLabel(reason or queue.environment_name, role="small", tone="muted")
            said = "" if queue.statistics is None else tr("{n} waiting", n=queue.statistics.backlog)
            line = QWidget()
            line.setLayout(row(dot, column(name, note, gap=0), Label(said, role="small", tone="muted"), gap=Space.S))
            line.setAccessibleName(f"{queue.queue_name[:100]}: {(reason or said)[:300]}")
            self._lines.addWidget(line)

    def _none(self) -> str:
        try:
            chosen = self._desk.settings.settings().queue_ids
        except KubiyaError:
            chosen = ()
        return (
            tr("Not served: the worker does not run.") if chosen else tr("No queue is served. Choose one in Settings.")
        )


class HealthLines(Card):
    """Three bars."""

    def __init__(self, desk: Desk) -> None:
        button = Button(tr("Details"), variant="quiet")
        button.clicked.connect(lambda: desk.frame.show_page("health"))
        super().__init__(tr("This machine"), aside=button)
        self._meters: dict[str, tuple[Meter, Label]] = {}
        for key, name in (("cpu", tr("Processor")), ("memory", tr("Memory")), ("disk", tr("Disk"))):
            meter, value = Meter(name), Label("–", role="small", tone="muted")
            self._meters[key] = (meter, value)
            self.body.addLayout(column(row(Label(name, role="small"), None, value), meter, gap=6))
        self.body.addStretch(1)

    def take(self, health: Health | None) -> None:
        if health is None:
            return
        for key, percent, said in (
            ("cpu", health.cpu_percent, f"{health.cpu_percent or 0:.0f} %"),
            (
                "memory",
                health.memory_percent,
                f"{size_text(health.memory_used_bytes)} / {size_text(health.memory_total_bytes)}",
            ),
            (
                "disk",
                health.disk_percent,
                f"{size_text(health.disk_used_bytes)} / {size_text(health.disk_total_bytes)}",
            ),
        ):
            if percent is None:  # it stays what it was, or unknown
                continue
            meter, value = self._meters[key]
            tone: Tone = "danger" if percent >= 95 else "warning" if percent >= 85 else "accent"
            meter.set_value(percent / 100, tone=tone)
            value.setText(said)


class OverviewPage(Page):
    name = "overview"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Overview"))
        begin = Button(tr("New task"), icon="plus")
        begin.clicked.connect(lambda: desk.frame.task_wanted.emit())
        self.tools.addWidget(begin)
        self._state = StateCard(desk)
        self._queues, self._health = QueueLines(desk), HealthLines(desk)
        self._model = ExecutionListModel(desk.executions, self, limit=6)
        every = Button(tr("All executions"), variant="quiet")
        every.clicked.connect(lambda: desk.frame.show_page("executions"))
        self._recent = Card(tr("Executions"), aside=every)
        self._recent.body.setContentsMargins(1, Space.L, 1, Space.S)
        self._recent.head.setContentsMargins(Space.L, 0, Space.S, 0)
        self._list = FittedList(tr("Recent executions"), self._model, ExecutionDelegate())
        self._list.chosen.connect(
            lambda index: desk.frame.show_page("executions", index.data(ExecutionRole).execution_id)
        )
        nothing = EmptyState(
            "executions",
            tr("Nothing has run yet"),
            tr("Ask an agent for something on a queue that this worker serves, and watch it work here."),
            action=tr("Ask an agent…"),
            act=desk.frame.task_wanted.emit,
        )
        nothing.setMinimumHeight(290)
        self._either = QStackedLayout()
        self._recent.body.addLayout(self._either)  # first: it shows what comes into it
        self._either.addWidget(nothing)
        holder = QFrame()
        holder.setLayout(column(self._list, None, margins=(0, 0, 0, 0)))
        self._either.addWidget(holder)
        self._sandbox = SandboxCard(
            answer=lambda allow: desk.background.ask(
                desk.worker.answer_sandbox(allow=allow), doing=tr("answer the question")
            ),
            repair=lambda: desk.outside.open_url(SANDBOX_PAGE),
        )
        self._questions = QuestionCards(desk, pick=lambda: desk.executions.questions()[:QUESTIONS_SHOWN])
        self._further = Button("", variant="quiet")
        self._further.clicked.connect(lambda: desk.frame.show_page("approvals"))
        self.body.addWidget(self._state)
        self.body.addWidget(self._sandbox)
        self.body.addWidget(self._questions)
        self.body.addLayout(row(None, self._further, None))
        left, right = column(self._recent), column(self._queues, self._health, gap=Space.L)
        halves = self._halves = row(gap=Space.L)
        halves.addLayout(left, 5)
        halves.addLayout(right, 3)
        self.body.addLayout(halves)
        self.body.addStretch(1)
        for signal in (self._model.rowsInserted, self._model.rowsRemoved, self._model.modelReset):
            signal.connect(self._choose)
        self._choose()
        desk.executions.listen(self._heard)
        self._show_questions()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        stacked = self.width() < theme().scaled(STACKS_BELOW)
        self._halves.setDirection(QHBoxLayout.Direction.TopToBottom if stacked else QHBoxLayout.Direction.LeftToRight)

    def take(self, snapshot: EngineSnapshot) -> None:
        self._state.take(snapshot)
        self._sandbox.take(snapshot.sandbox)
        self._queues.take(snapshot.queues)
        self._health.take(snapshot.health)
        if model := self.desk.playground_model():
            self.say_below(tr("A playground on this machine. Its model: {model}.", model=model))
        elif snapshot.version:
            self.say_below(tr("Kubiya Worker {version} on this machine", version=snapshot.version))

    def _heard(self, execution_id: str, item: Item | None) -> None:
        if isinstance(item, Approval):
            self._show_questions()

    def _show_questions(self) -> None:
        self._questions.refresh()
        more = self.desk.executions.approvals_waiting - QUESTIONS_SHOWN
        self._further.setText(tr("{count} more", count=more))
        self._further.setVisible(more > 0)

    def _choose(self, *_: object) -> None:
        self._either.setCurrentIndex(1 if self._model.rowCount() else 0)
