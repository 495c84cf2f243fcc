"""The main window: one sidebar, its pages, everything by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from PySide6.QtCore import QByteArray, QEvent, QObject, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from desktop.look.icons import paint_mark
from desktop.look.language import tr
from desktop.look.standing import explanation, headline, tone_of, unprotected
from desktop.look.theme import theme
from desktop.look.tokens import Space, Tone
from desktop.look.wording import tooltip_text
from desktop.models.conversation_items import Item
from desktop.notices.action import Action
from desktop.widgets.buttons import NavButton
from desktop.widgets.layouts import column, row
from desktop.widgets.pills import Dot
from desktop.widgets.surfaces import Banner
from desktop.widgets.text import ElidedLabel, Label, widget
from desktop.windows.approvals import ApprovalsPage
from desktop.windows.bindings import opening, said_keys, sections
from desktop.windows.coming import come_apart, come_forward, come_within
from desktop.windows.commands import WindowCommands
from desktop.windows.describing import Describing
from desktop.windows.desk import Desk, Sentence
from desktop.windows.executions import ExecutionsPage
from desktop.windows.health import HealthPage
from desktop.windows.logs import LogsPage
from desktop.windows.new_task import NewTask
from desktop.windows.notices import NoticesPage
from desktop.windows.overview import OverviewPage
from desktop.windows.page import Page
from desktop.windows.past_executions import PastExecutions
from desktop.windows.queues import QueuesPage
from desktop.windows.settings import SettingsPage
from desktop.windows.usage import UsagePage
from worker_core.events import Event
from worker_core.logs.ring import LogLine
from worker_core.snapshot import EngineSnapshot, Health
from worker_core.summary import summary

WANTED = QSize(1180, 780)
SMALLEST = QSize(760, 520)
FOLDS_BELOW = 1000
"""Pixels of the window's width."""

SIDEBAR_WIDTH = 214
FOLDED_WIDTH = 64
BANNER_SECONDS = 6
PULSE_SECONDS = 2


class Mark(QWidget):
    """The product's mark."""

    def __init__(self, size: int = 26) -> None:
        super().__init__()
        self.setFixedSize(size, size)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_mark(painter, QRectF(self.rect()))


class MainWindow(QMainWindow):
    """Draws what it is given with `take`, `apply` and `add_lines`, and asks the worker what the person wants.

    Closing it only hides it.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        theme()
        self.setWindowTitle("Kubiya Worker")
        self.desk = desk
        self._take_place()
        self.banner = Banner()
        self._fades = QTimer(self)
        self._fades.setSingleShot(True)
        self._fades.timeout.connect(self.banner.hide)
        self._unsaid: list[Sentence] | None = []
        desk.background.failed.connect(self.say)
        desk.frame.said.connect(self._say)
        desk.frame.page_wanted.connect(self.show_page)
        desk.frame.task_wanted.connect(self.new_task)
        self._new_task: NewTask | None = None
        self._describing = Describing(self.desk, is_seen=self.isVisible)
        self._past = PastExecutions(self.desk, is_seen=self.isVisible)
        self.executions = ExecutionsPage(self.desk)
        self._queues = QueuesPage(self.desk)
        self.logs = LogsPage(self.desk)
        self._usage = UsagePage(self.desk)
        self._settings = SettingsPage(self.desk)
        self._pages: dict[str, Page | ExecutionsPage] = {
            "overview": OverviewPage(self.desk),
            "executions": self.executions,
            "queues": self._queues,
            "logs": self.logs,
            "health": HealthPage(self.desk),
            "usage": self._usage,
            "approvals": ApprovalsPage(self.desk),
            "notifications": NoticesPage(self.desk),
            "settings": self._settings,
        }
        self._pulse = QTimer(self)
        self._pulse.setInterval(PULSE_SECONDS * 1000)
        self._pulse.timeout.connect(self._measure)
        self.commands = WindowCommands(self, desk, search=self._search, settings=self._settings.all)
        self._build()
        self._health: Health | None = None
        desk.executions.listen(self._count)
        desk.notices.count(self._count_notices)
        self._count_notices()
        self.take(desk.worker.snapshot)
        self.show_page("overview")
        unsaid, self._unsaid = self._unsaid, None
        for sentence in unsaid:
            self._say(sentence)

    # -- public ---------------------------------------------------------------------------------------------------

    @property
    def page(self) -> str:
        """The name of the page that is shown."""
        return next(name for name, page in self._pages.items() if page is self._stack.currentWidget())

    def page_named(self, name: str) -> QWidget:
        return self._pages[name]

    def show_page(self, name: str, target: str = "") -> None:
        """`overview`, `executions`, `queues`, `logs`, `health`, `usage`, `approvals`, `notifications` or `settings`.

        `target` is the id of an execution to open there, or on the page `settings` a setting's name or the word `key`.

        Raises:
            KeyError: there is no such page.
        """
        page = self._pages[name]
        if name == "executions" and target:  # first, so that what stands there before is not laid out
            self.executions.open(target)
        self._stack.setCurrentWidget(page)
        self._buttons[name].setChecked(True)
        self._buttons[name].setFocus(Qt.FocusReason.OtherFocusReason)
        if name == "queues" and target:
            self._queues.reveal(target)
        if name == "settings" and target:
            self._settings.reveal(target)
        if name == "logs":
            self.logs.know_executions([(one.execution_id, one.name) for one in self.desk.executions.all()])

    def new_task(self) -> None:
        """Ask for a new task; what was written before is still there. The window may be closed meanwhile."""
        if self._new_task is None:
            self._new_task = NewTask(self.desk, self)
            self._new_task.begun.connect(self._follow)
        if self.isActiveWindow():
            come_within(self._new_task, self)
        else:
            come_apart(self._new_task)

    def _follow(self, execution_id: str) -> None:
        come_forward(self)
        self.show_page("executions", execution_id)

    def say(
        self, sentence: str, *, tone: Tone = "danger", action: str = "", act: Callable[[], object] | None = None
    ) -> None:
        """A sentence above the page, with at most one thing to do; good news goes by itself."""
        self.banner.say(sentence, tone=tone, action=action, act=act)
        self._fades.stop()
        if tone == "success":
            self._fades.start(BANNER_SECONDS * 1000)

    def take_back(self, *sentences: str) -> None:
        """One of these is not true any more: it goes, where it stands."""
        if self.banner.sentence in sentences:
            self.banner.hide()

    def take(self, snapshot: EngineSnapshot) -> None:
        """Show a snapshot."""
        self._snapshot = snapshot
        self._show(snapshot)
        self._past.take(snapshot)

    def apply(self, arrived: Sequence[Event]) -> None:
        """Show what happened, in order."""
        self.desk.executions.apply(arrived)
        self._usage.apply(arrived)

    def add_lines(self, lines: Sequence[LogLine]) -> None:
        """Show what was logged."""
        self.logs.arrived(lines)

    def _show(self, snapshot: EngineSnapshot) -> None:
        own, told = self._health, snapshot.health
        if own is not None and (told is None or told.sampled_at < own.sampled_at):
            snapshot = replace(snapshot, health=own)
        said, now = summary(snapshot), datetime.now(UTC)
        words = headline(said, paused_until=self.desk.worker.paused_until, now=now)
        why = unprotected() if said.unprotected and not said.needs_attention else explanation(said, now, lasting=True)
        self._dot.set_tone(tone_of(said))
        self._state.setText(words)
        self._reason.setText(why)
        self._foot.setAccessibleName(f"{words}. {why[:300]}")
        self._foot.setToolTip(tooltip_text(f"{words}. {why}"))
        self.desk.executions.take(snapshot)
        for page in self._pages.values():
            page.take(snapshot)
        self._buttons["executions"].set_count(snapshot.tasks_in_flight)

    # -- below ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._buttons: dict[str, NavButton] = {}
        for section in sections():
            button = NavButton(section.icon, section.title, shortcut=said_keys(*opening(section.name)))
            button.clicked.connect(lambda *_, name=section.name: self.show_page(name))
            self._buttons[section.name] = button
        self._find = NavButton("search", tr("Find a command"), shortcut=said_keys(Action.COMMANDS))
        self._find.setCheckable(False)
        self._find.setAutoExclusive(False)
        self._find.clicked.connect(lambda: self.commands.carry_out(Action.COMMANDS))
        self._stack = QStackedWidget()
        for page in self._pages.values():
            self._stack.addWidget(page)
        self._dot, self._state = Dot(size=8), ElidedLabel("", role="medium")
        self._reason = ElidedLabel("", role="small", tone="muted")
        self._foot = QFrame()
        self._foot.setLayout(
            row(self._dot, column(self._state, self._reason, gap=0), gap=Space.S, margins=(Space.S, 0, Space.S, 0))
        )
        called = Label("Kubiya Worker", role="strong")
        self._words = (called, self._state, self._reason)
        brand = row(Mark(), called, None, gap=10, margins=(Space.XS, 0, 0, Space.L))
        sidebar = self._sidebar = widget("sidebar")
        sidebar.setLayout(
            column(
                brand,
                self._find,
                *list(self._buttons.values())[:-1],
                None,
                self._buttons["settings"],
                Space.S,
                self._foot,
                gap=2,
                margins=(Space.M, Space.L + 4, Space.M, Space.L),
            )
        )
        above = widget("clear")
        above.setLayout(column(self.banner, margins=(Space.XXL, Space.M, Space.XXL, 0)))
        self._above = above
        above.hide()
        self.banner.installEventFilter(self)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(above)
        right.addWidget(self._stack, 1)
        whole = widget("window")
        layout = QHBoxLayout(whole)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(sidebar)
        layout.addLayout(right, 1)
        self.setCentralWidget(whole)
        self._fold()

    # -- its size -------------------------------------------------------------------------------------------------

    def _take_place(self) -> None:
        """As large and where it was last, and never larger than the screen."""
        self.setMinimumSize(SMALLEST)
        room = self.screen().availableGeometry()
        kept = QByteArray.fromBase64(self.desk.settings.preferences.window.encode("ascii", "replace"))
        if kept.isEmpty() or not self.restoreGeometry(kept):
            self.resize(WANTED)
        self.resize(self.size().boundedTo(room.size()).expandedTo(SMALLEST))

    def _keep_place(self) -> None:
        place = bytes(self.saveGeometry().toBase64().data()).decode("ascii")
        if place != self.desk.settings.preferences.window:
            self.desk.settings.remember(window=place)

    def _fold(self) -> None:
        """Words beside the pictures of the side bar only where there is room for them."""
        folded = self.width() < theme().scaled(FOLDS_BELOW)
        self._sidebar.setFixedWidth(FOLDED_WIDTH if folded else theme().scaled(SIDEBAR_WIDTH))
        for words in self._words:
            words.setVisible(not folded)
        for button in (self._find, *self._buttons.values()):
            button.fold(folded)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._fold()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._describing.catch_up()
        self._past.look()
        self._measure()
        self._pulse.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 (Qt's own name)
        super().hideEvent(event)
        self._pulse.stop()
        self._keep_place()

    def _measure(self) -> None:
        if self.isMinimized() or self.page not in {"overview", "health"}:
            return

        async def measure() -> None:
            self._health = await self.desk.sample()
            if self.isVisible():
                self._show(self._snapshot)

        self.desk.background.ask(measure(), doing=tr("measure this machine"))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if watched is self.banner and event.type() in {QEvent.Type.ShowToParent, QEvent.Type.HideToParent}:
            self._above.setVisible(event.type() is QEvent.Type.ShowToParent)
        return super().eventFilter(watched, event)

    def _search(self) -> None:
        page = self._pages[self.page]
        if self.page not in {"executions", "logs", "settings"}:
            self.show_page("executions")
            page = self.executions
        page.search()

    def _say(self, sentence: Sentence) -> None:
        if self._unsaid is not None:  # the banner has no place yet
            self._unsaid.append(sentence)
            return
        self.say(sentence.text, tone=sentence.tone, action=sentence.action, act=sentence.act)

    def _count_notices(self) -> None:
        self._buttons["notifications"].set_count(self.desk.notices.unseen)

    def _count(self, execution_id: str, item: Item | None) -> None:
        self._buttons["approvals"].set_count(self.desk.executions.approvals_waiting, urgent=True)
