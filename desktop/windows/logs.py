"""Logs: everything that was said lately, filtered as you type, following the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QItemSelection, QModelIndex, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QFileDialog, QLineEdit, QStackedWidget

from desktop.look.language import number_text, tr
from desktop.look.tokens import Space
from desktop.models.log_lines import LEVELS, LineRole, LogModel, compile_search
from desktop.widgets.buttons import Button, IconButton
from desktop.widgets.choice import Choice
from desktop.widgets.code import CodeBlock
from desktop.widgets.delegates import LogDelegate
from desktop.widgets.layouts import row
from desktop.widgets.lists import LineTable
from desktop.widgets.surfaces import Card, EmptyState
from desktop.widgets.text import Label
from desktop.windows.desk import Desk
from desktop.windows.page import Page
from worker_core.logs.ring import LogLine


class LogsPage(Page):
    name = "logs"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Logs"), scrolls=False)
        self.model = LogModel(self)
        self._search = QLineEdit()
        self._search.setProperty("variant", "search")
        self._search.setPlaceholderText(tr("Search (regular expressions too)"))
        self._search.setAccessibleName(tr("Search the log"))
        self._search.textChanged.connect(self._filter)
        self._level = Choice(tr("Least level"), [(level, level.capitalize()) for level in LEVELS], chosen="INFO")
        self._execution = Choice(tr("Execution"), [("", tr("Every execution"))])
        self._level.currentIndexChanged.connect(self._filter)
        self._execution.currentIndexChanged.connect(self._filter)
        self._execution.setFixedWidth(220)
        self._follow = IconButton("arrow-down", tr("Follow the end"), checkable=True)
        self._follow.setChecked(True)
        self._follow.toggled.connect(self._to_end)
        self._copy = IconButton("copy", tr("Copy the chosen lines"))
        self._export = IconButton("export", tr("Export what is shown"))
        self._clear = Button(tr("Clear"), variant="quiet")
        self._copy.clicked.connect(self.copy)
        self._export.clicked.connect(self._save)
        self._clear.clicked.connect(self.model.clear)
        for part in (self._follow, self._copy, self._export, self._clear):
            self.tools.addWidget(part)
        tools = row(self._search, self._level, self._execution, gap=Space.S)
        tools.setStretch(0, 1)
        self.body.addLayout(tools)
        self._list = LineTable(tr("Log lines"), self.model, LogDelegate())
        self._list.setSelectionMode(LineTable.SelectionMode.ExtendedSelection)
        self._list.selectionModel().selectionChanged.connect(self._selected)
        self._none = EmptyState("logs", "", "")
        self._either = QStackedWidget()
        self._either.addWidget(self._none)
        self._either.addWidget(self._list)
        card = Card(padding=Space.XS)
        card.body.setContentsMargins(1, Space.S, 1, Space.S)
        card.body.addWidget(self._either)
        self.body.addWidget(card, 1)
        self._whole = CodeBlock(name=tr("The whole line"), lines=9)
        self._whole.hide()
        self.body.addWidget(self._whole)
        self._count = Label("", role="small", tone="muted")
        self.body.addWidget(self._count)
        self.model.rowsInserted.connect(self._came)
        for signal in (self.model.rowsRemoved, self.model.modelReset, self.model.filtered):
            signal.connect(self._came)
        self._list.verticalScrollBar().actionTriggered.connect(self._scrolled)
        copies = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self._list, self.copy)
        copies.setContext(Qt.ShortcutContext.WidgetShortcut)  # as an argument (PySide6 6.11) it is taken and forgotten
        self._filter()
        self._came()

    def arrived(self, lines: Sequence[LogLine]) -> None:
        """A batch of the ring."""
        self.model.append(lines)

    def know_executions(self, ids: Sequence[tuple[str, str]]) -> None:
        """What the filter offers: (id, title), the newest first."""
        self._execution.offer([("", tr("Every execution")), *ids[:30]])

    def search(self) -> None:
        self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._search.selectAll()

    def copy(self) -> None:
        """The chosen lines, or all that are shown, onto the clipboard."""
        chosen = sorted(index.row() for index in self._list.selectionModel().selectedIndexes())
        lines = self.model.lines(chosen or None)
        QGuiApplication.clipboard().setText("\n".join(str(line) for line in lines))

    # -- below ----------------------------------------------------------------------------------------------------

    def _filter(self, *_: object) -> None:
        self.model.set_filter(
            level=self._level.chosen, execution=self._execution.chosen, pattern=compile_search(self._search.text())
        )

    def _came(self, *_: object) -> None:
        shown, total = self.model.rowCount(), self.model.total
        if not shown and not self.model.is_filtering:
            if total:
                self._none.say(
                    tr("Nothing matches"), tr("None of {n} lines has that. Try fewer words.", n=number_text(total))
                )
            else:
                self._none.say(tr("Silence"), tr("What the worker says appears here; it has said nothing yet."))
        self._either.setCurrentWidget(self._list if shown else self._none)
        self._count.setText(
            tr("{n} lines", n=number_text(total))
            if shown == total
            else tr("{shown} of {n} lines", shown=number_text(shown), n=number_text(total))
        )
        if self._follow.isChecked():
            self._to_end()

    def _to_end(self, *_: object) -> None:
        if self._follow.isChecked():
            self._list.scrollToBottom()

    def _scrolled(self, _: int) -> None:
        """By hand, with wheel or bar; what arrives moves the bar without an action."""
        bar = self._list.verticalScrollBar()
        self._follow.setChecked(bar.sliderPosition() >= bar.maximum() - 4)

    def _selected(self, chosen: QItemSelection, _: QItemSelection) -> None:
        index: QModelIndex = self._list.currentIndex()
        line: LogLine | None = index.data(LineRole) if index.isValid() else None
        if line is None or not chosen.indexes():
            self._whole.setVisible(False)
            return
        self._follow.setChecked(False)
        self._whole.show_text(f"{line.at.astimezone():%Y-%m-%d %H:%M:%S}  {line.level}  {line.logger}\n{line.message}")
        self._whole.setVisible(True)

    def _save(self) -> None:
        dialog = QFileDialog(self, tr("Export the log"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("log")
        dialog.selectFile("kubiya-worker.log")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.write(Path(path)))
        dialog.open()

    def write(self, path: Path) -> None:
        """Write the shown lines where the person chose."""
        try:
            path.write_text("".join(f"{line}\n" for line in self.model.lines()), encoding="utf-8")
        except OSError as error:
            self.desk.frame.say(tr("{path} cannot be written: {why}.", path=path, why=error.strerror), tone="danger")
        else:
            self.desk.frame.say(tr("Saved as {path}.", path=path), tone="success")
