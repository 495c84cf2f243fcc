"""A window with nothing but the commands on it: much quicker than the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from desktop.notices.action import Action
from desktop.windows.commands import WindowCommands
from desktop.windows.palette import CommandPalette
from tests.desktop.windows.stand_ins import a_desk, a_worker, busy


class Bench:
    """A window with a field and the commands, and nothing else; pages that are asked for are noted."""

    def __init__(self, qtbot: QtBot, folder: Path, **parts: Any) -> None:
        self.done: list[tuple[Action, str]] = []
        self.pages: list[tuple[str, str]] = []
        whole = {"worker": a_worker(busy()), "carry_out": lambda *what: self.done.append(what), **parts}
        self.desk = a_desk(folder, **whole)
        self.desk.executions.take(busy())
        self.desk.frame.page_wanted.connect(lambda *where: self.pages.append(where))
        self.window = QWidget()
        qtbot.addWidget(self.window)
        self.window.resize(1180, 780)
        self.field = QLineEdit(self.window)
        known = [("proxy", "Proxy", "How servers are reached."), ("queue_ids", "Queues", "Served here.")]
        self.commands = WindowCommands(self.window, self.desk, search=self.field.setFocus, settings=lambda: known)
        with qtbot.waitActive(self.window):
            self.window.show()
            self.window.activateWindow()
        self.field.setFocus()

    def open(self) -> CommandPalette:
        QTest.keyClick(self.window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
        return self.window.findChild(CommandPalette)  # type: ignore[return-value]

    def run(self, typed: str) -> None:
        palette = self.open()
        QTest.keyClicks(palette.field, typed)
        QTest.keyClick(palette.field, Qt.Key.Key_Return)
        assert not palette.isVisible()
