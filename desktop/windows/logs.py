"""Logs: everything that was said lately, filtered as you type, following the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QItemSelection, QModelIndex, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QFileDialog, QLineEdit, QStackedWidget, QWidget

from desktop.look.language import number_text, tr
from desktop.look.tokens import Space
from desktop.look.wording import tooltip_text
from desktop.models.log_lines import LEVELS, LineRole, LogModel, compile_search
from desktop.widgets.buttons import Button, IconButton
from desktop.widgets.choice import Choice
from desktop.widgets.code import CodeBlock
from desktop.widgets.layouts import row
from desktop.widgets.log_table import LogTable, ids_of
from desktop.widgets.surfaces import Card, EmptyState
from desktop.widgets.text import Label
from desktop.windows.desk import Desk
from desktop.windows.page import Page
from worker_core.logs.ring import LogLine

EXECUTIONS_OFFERED = 30
IDS_OFFERED = 3
"""Of one line, below it."""


class LogsPage(Page):
    name = "logs"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Logs"), scrolls=False)
        self.model = LogModel(self)
        self._search = QLineEdit()
        self._search.setProperty("variant", "search")
        self._search.setPlaceholderText(tr("Search (regular expressions too)"))
        self._search.setToolTip(tooltip_text(tr("Search (regular expressions too)")))
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
        self._list = LogTable(self.model)
        self._list.asked.connect(self._asked)
        self._list.selectionModel().selectionChanged.connect(self._selected)
        self._none = EmptyState("logs", "", "")
        self._either = QStackedWidget()
        self._either.addWidget(self._none)
        self._either.addWidget(self._list)
        card = Card(padding=Space.XS)
        card.body.setContentsMargins(1, Space.S, 1, Space.S)
        card.body.addWidget(self._either)
        self.body.addWidget(card, 1)
        self._whole = CodeBlock(name=tr("The whole line"), lines=7, wraps=True)
        self._whole.hide()
        self.body.addWidget(self._whole)
        self._only = [Button(tr("All lines again"), variant="quiet") for _ in range(IDS_OFFERED)]
        for button in self._only:
            button.clicked.connect(self._toggle)
        self._ids = QWidget()
        self._ids.setLayout(row(*self._only, None, gap=Space.S))
        self._ids.hide()
        self.body.addWidget(self._ids)
        self._count = Label("", role="small", tone="muted")
        self.body.addWidget(self._count)
        self.model.rowsInserted.connect(self._came)
        for signal in (self.model.rowsRemoved, self.model.modelReset, self.model.filtered):
            signal.connect(self._came)
        self._list.verticalScrollBar().actionTriggered.connect(self._scrolled)
        copies = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self._list, self.copy)
        copies.setContext(Qt.ShortcutContext.WidgetShortcut)  # as an argument (PySide6 6.11) it is taken and forgotten
        self._known: list[tuple[str, str]] = []
        self._kept: LogLine | None = None
        self.model.filtered.connect(self._keep_in_sight)
        self._filter()
        self._came()

    def arrived(self, lines: Sequence[LogLine]) -> None:
        """A batch of the ring."""
        self.model.append(lines)

    def know_executions(self, ids: Sequence[tuple[str, str]]) -> None:
        """What the filter offers: (id, title), the newest first."""
        self._known = [*ids]
        self._offer_executions(self._execution.chosen)

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
            self._ids.setVisible(False)
            return
        self._follow.setChecked(False)
        self._whole.show_text(f"{line.at.astimezone():%Y-%m-%d %H:%M:%S}  {line.level}  {line.logger}\n{line.message}")
        self._whole.setVisible(True)
        self._offer(line)

    # -- ids ------------------------------------------------------------------------------------------------------

    def _asked(self, index: QModelIndex, wanted: str) -> None:
        """A click on an id, or Enter on a line: then it is an execution's where it has one."""
        line: LogLine | None = index.data(LineRole)
        if line is None:
            return
        found = [wanted] if wanted else ids_of(line, most=IDS_OFFERED)
        known = {id_ for id_, _ in self._known}
        if found:
            self._show_only(next((one for one in found if one in known), found[0]), line)

    def _toggle(self) -> None:
        button = self.sender()
        index = self._list.currentIndex()
        if isinstance(button, Button) and index.isValid():
            self._show_only(str(button.property("id")), index.data(LineRole))

    def _show_only(self, wanted: str, line: LogLine) -> None:
        """The lines with an id; once more, and they are all there again. The line that led here stays in sight."""
        self._kept = line
        if self._execution.chosen == wanted:
            self._execution.choose("")
        else:
            self._offer_executions(wanted)
            self._execution.choose(wanted)

    def _offer_executions(self, also: str) -> None:
        """The newest, and one that lines are wanted of, however old: the log has ids that nobody knows any more."""
        options = [("", tr("Every execution")), *self._known[:EXECUTIONS_OFFERED]]
        if also and also not in {id_ for id_, _ in options}:
            options.append((also, dict(self._known).get(also, also.split("-", 1)[0])))
        self._execution.offer(options)

    def _keep_in_sight(self) -> None:
        line, self._kept = self._kept, None
        if line is not None and (place := self.model.row_of(line)) >= 0:
            self._list.setCurrentIndex(self.model.index(place))
            self._list.scrollTo(self.model.index(place), LogTable.ScrollHint.PositionAtCenter)
            self._offer(line)

    def _offer(self, line: LogLine) -> None:
        found = ids_of(line, most=IDS_OFFERED)
        self._ids.setVisible(bool(found))
        for number, button in enumerate(self._only):
            button.setVisible(number < len(found))
            if number < len(found):
                id_ = found[number]
                button.setProperty("id", id_)
                alone = self._execution.chosen == id_
                short = id_.split("-", 1)[0]
                button.setText(tr("All lines again") if alone else tr("Only lines with {id}", id=short))

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
