"""One execution: its head with what can be done, its conversation, and a line to say something."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QFileDialog, QStackedWidget, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.menus import Menu
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import budget_text, count_text, duration_text, status_text, status_tone
from desktop.models.conversation_items import Item, Message
from desktop.models.executions import Execution
from desktop.models.export import markdown_of
from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.buttons import IconButton
from desktop.widgets.composer import Composer
from desktop.widgets.conversation_view import ConversationView
from desktop.widgets.layouts import column, row
from desktop.widgets.pills import Pill
from desktop.widgets.surfaces import EmptyState, Line
from desktop.widgets.text import ElidedLabel, widget
from desktop.windows.answering import Answering
from desktop.windows.bindings import TO_TIMELINE
from desktop.windows.changes import ChangesPanel
from desktop.windows.desk import Desk
from desktop.windows.files_left import FilesPanel
from desktop.windows.timeline_panel import TimelinePanel
from worker_core.workspaces.workspace import safe_name

_NARROW = 560
"""Pixels where the system's font has 13."""


class ExecutionDetail(QWidget):
    """Follows one execution of the store."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._execution: Execution | None = None
        self.setProperty("ground", "window")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._title = ElidedLabel("", role="heading")
        self._status = Pill()
        self._about = ElidedLabel("", role="small", tone="muted")
        self._pause = IconButton("pause", tr("Pause this execution"))
        self._cancel = IconButton("stop", tr("Cancel this execution"))
        self._folder = IconButton("folder", tr("Open its workspace"))
        self._changes = IconButton("code", tr("Show what it changed"))
        self._files = IconButton("file", tr("Show the files that it left"))
        self._timeline = IconButton("timeline", tr("Show the timeline"), checkable=True)
        self._copy = IconButton("copy", tr("Copy as Markdown"))
        self._export = IconButton("export", tr("Export"))
        self._export.setPopupMode(IconButton.ToolButtonPopupMode.InstantPopup)
        menu = Menu(self._export)
        menu.addAction(tr("As Markdown…")).triggered.connect(lambda *_: self._save("md"))
        menu.addAction(tr("As JSON…")).triggered.connect(lambda *_: self._save("json"))
        self._export.setMenu(menu)
        self._pause.clicked.connect(self._toggle_pause)
        self._cancel.clicked.connect(self._ask_cancel)
        self._folder.clicked.connect(self._open_folder)
        self._panel = ChangesPanel(desk)
        self._changes.clicked.connect(self._show_changes)
        self._files_panel = FilesPanel(desk)
        self._files.clicked.connect(self._show_files)
        self._copy.clicked.connect(self._copy_all)
        answering = Answering(desk, cards=lambda: self.findChildren(ApprovalCard))
        self.conversation = ConversationView(answer=answering.answer, read=answering.read, send_again=self._deliver)
        self.conversation.link_chosen.connect(self._open_link)
        self._course = TimelinePanel()
        self._course.chosen.connect(self._reveal)
        self._timeline.setChecked(desk.settings.preferences.timeline_open)
        self._timeline.toggled.connect(self._toggle_timeline)
        back = QShortcut(QKeySequence(TO_TIMELINE), self, self._to_timeline)
        back.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self._empty = EmptyState("agent", "", "")
        self._middle = QStackedWidget()
        self._middle.addWidget(self.conversation)
        self._middle.addWidget(self._empty)
        self._input = Composer(name=tr("Message to the agent"), hint=tr("Say something to the agent"))
        self._send = IconButton("send", tr("Send"))
        self._input.sent.connect(self._send_message)
        self._send.clicked.connect(self._send_message)
        self._composer = widget("clear")
        self._composer.setLayout(row(self._input, self._send, margins=(Space.XL, Space.S, Space.XL, Space.L)))
        self._looks = widget("clear")
        self._looks.setLayout(
            row(self._timeline, self._changes, self._files, self._folder, self._copy, self._export, gap=0)
        )
        self._upper = row(self._title, self._pause, self._cancel, self._looks, gap=0)
        self._lower = row(self._status, self._about, gap=Space.S)
        head = widget("clear")
        head.setLayout(
            column(
                self._upper, self._lower, gap=Space.XS, margins=(Space.XL, Space.L + 4, Space.L, Space.M)
            )
        )  # fmt: skip
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for part in (head, Line(), self._course, self._panel, self._files_panel, self._middle, self._composer):
            layout.addWidget(part)
        layout.setStretchFactor(self._middle, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        """Its title comes first: what is only looked at goes to the line below where there is little room."""
        super().resizeEvent(event)
        line = self._lower if self.width() < theme().scaled(_NARROW) else self._upper
        if line.indexOf(self._looks) < 0:
            line.addWidget(self._looks)

    def show_execution(self, execution_id: str) -> None:
        self._execution = self._desk.executions.get(execution_id)
        self._panel.close_changes()
        self._files_panel.close_files()
        self.conversation.show_conversation(self._execution.conversation if self._execution else None)
        self._follow_course()
        self.refresh()

    def heard(self, item: Item | None) -> None:
        """The execution changed; `item` of its conversation is new or different."""
        if self._execution is None:
            return
        current = self._desk.executions.get(self._execution.execution_id)
        if current is not self._execution:
            self.show_execution(self._execution.execution_id)
            return
        self.conversation.heard(item)
        self._course.heard(item)
        self.refresh()

    def refresh(self) -> None:
        one = self._execution
        if one is None:
            self._empty.say(tr("Loading"), tr("The conversation is being fetched."))
            self._middle.setCurrentWidget(self._empty)
            return
        self._title.setText(one.name)
        self._status.say(status_text(one.status), status_tone(one.status))
        self.tick()
        self._pause.setVisible(one.is_live)
        self._cancel.setVisible(one.is_live)
        paused = one.status == "paused"
        self._pause.set_icon("play" if paused else "pause")
        self._pause.set_name(tr("Resume this execution") if paused else tr("Pause this execution"))
        self._folder.setVisible(self._workspace() is not None)
        self._changes.setVisible(self._panel.has(one.execution_id))
        self._files.setVisible(self._desk.files_left.has_place(one.execution_id))
        self._composer.setVisible(one.is_live)
        if one.conversation.items:
            self._middle.setCurrentWidget(self.conversation)
        else:
            said = one.error or tr("Its words and tools appear here as they happen.")
            self._empty.say(tr("Failed") if one.error else tr("Nothing said yet"), said)
            self._middle.setCurrentWidget(self._empty)

    def tick(self) -> None:
        """The line below the title, whose duration grows while it runs."""
        one = self._execution
        if one is None:
            return
        parts = [
            one.agent,
            one.queue,
            tr("turn {n}", n=one.turn) if one.turn else "",
            "" if (span := one.duration(datetime.now(UTC))) is None else duration_text(span),
            tr("{n} tokens", n=count_text(one.tokens)) if one.tokens else "",
            *map(budget_text, one.budget),
            one.execution_id if one.title else "",
        ]
        self._about.setText("  ·  ".join(part for part in parts if part))
        self._course.tick()

    # -- its timeline ---------------------------------------------------------------------------------------------

    def _follow_course(self) -> None:
        opened = self._timeline.isChecked()
        self._timeline.set_name(tr("Hide the timeline") if opened else tr("Show the timeline"))
        self._course.follow(self._execution if opened else None)

    def _toggle_timeline(self, opened: bool) -> None:
        self._desk.settings.remember(timeline_open=opened)
        self._follow_course()

    def _reveal(self, key: str, by_key: bool) -> None:
        self.conversation.reveal(key, focus=by_key)

    def _to_timeline(self) -> None:
        """From what is read to its span, or to that of what came before; the timeline is opened for it."""
        if self._execution is None:
            return
        key = self.conversation.at_hand
        keys = [item.key for item in self._execution.conversation.items]
        place = keys.index(key) if key in keys else len(keys) - 1
        self._timeline.setChecked(True)
        self._course.reveal([*reversed(keys[: place + 1]), *keys[place + 1 :]])

    # -- steering ---------------------------------------------------------------------------------------------------

    def _ask(self, work: Coroutine[Any, Any, object], doing: str) -> None:
        self._desk.background.ask(work, doing=doing)

    def _toggle_pause(self) -> None:
        if (one := self._execution) is None:
            return
        if one.status == "paused":
            self._ask(self._desk.worker.resume_execution(one.execution_id), tr("resume the execution"))
        else:
            self._ask(self._desk.worker.pause_execution(one.execution_id), tr("pause the execution"))

    def _ask_cancel(self) -> None:
        if (one := self._execution) is None:
            return
        self._desk.frame.say(
            tr("Cancel “{title}”? What it does now is ended, and cannot be taken up again.", title=one.title[:80]),
            tone="warning",
            action=tr("Cancel it"),
            act=lambda: self._ask(self._desk.worker.cancel_execution(one.execution_id), tr("cancel the execution")),
        )

    def _send_message(self) -> None:
        text = self._input.text
        if (one := self._execution) is None or not text:
            return
        self._input.clear()
        self._deliver(self._desk.executions.say(one.execution_id, text))

    def _deliver(self, message: Message) -> None:
        """Send it, for the first time or again. What is not taken stays, and says so."""
        if (one := self._execution) is None:
            return
        execution_id, store = one.execution_id, self._desk.executions
        store.told(execution_id, message, "sending")

        async def send() -> None:
            try:
                await self._desk.worker.send_message(execution_id, message.text)
            except BaseException:
                store.told(execution_id, message, "failed")
                raise
            store.told(execution_id, message, "")

        self._ask(send(), tr("send the message"))

    # -- out of the window ----------------------------------------------------------------------------------------

    def _workspace(self) -> Path | None:
        if self._execution is None:
            return None
        if self._execution.workspace:
            return Path(self._execution.workspace)
        folder = self._desk.settings.paths.workspaces / safe_name(self._execution.execution_id)
        return folder if folder.is_dir() else None

    def _open_folder(self) -> None:
        if (folder := self._workspace()) is not None:
            self._desk.outside.open_folder(folder)

    def _show_changes(self) -> None:
        if self._execution is not None:
            self._panel.show_changes(self._execution.execution_id)

    def _show_files(self) -> None:
        if self._execution is not None:
            self._files_panel.show_files(self._execution.execution_id)

    def _open_link(self, address: str) -> None:
        if address.startswith(("https://", "http://")):
            self._desk.outside.open_url(address)

    def _copy_all(self) -> None:
        if (one := self._execution) is not None:
            QGuiApplication.clipboard().setText(markdown_of(one.conversation, title=one.title))
            self._desk.frame.say(tr("The conversation is on the clipboard."), tone="success")

    def _save(self, kind: str) -> None:
        if (one := self._execution) is None:
            return
        text = one.conversation.to_json() if kind == "json" else markdown_of(one.conversation, title=one.title)
        dialog = QFileDialog(self, tr("Export the conversation"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind)
        dialog.selectFile(f"{one.execution_id}.{kind}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.write(Path(path), text))
        dialog.open()

    def write(self, path: Path, text: str) -> None:
        """Write an export where the person chose."""
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            self._desk.frame.say(tr("{path} cannot be written: {why}.", path=path, why=error.strerror), tone="danger")
        else:
            self._desk.frame.say(tr("Saved as {path}.", path=path), tone="success")
