"""Whatever the window shows of its own is looked up in a catalogue, wherever it was made."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, Qt
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QApplication, QComboBox, QLabel, QLineEdit, QWidget

from desktop.look import language
from desktop.widgets.log_table import LogTable
from desktop.windows.bindings import sections
from desktop.windows.connection_test import ConnectionTest
from desktop.windows.main import MainWindow
from tests.support.scripts import script
from worker_core.basics.sentences import Phrase

ROLES = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole)
SAME = {
    "Kubiya Worker", "English", "Deutsch", "Español", "Français",
    # As they are typed into the settings, or stand in them.
    "aws", "gcp", "azure", "text", "json", "landlock", "sandbox-exec", "restricted-token", "container", "bubblewrap",
    "slack", "teams", "discord", "ntfy", "off",
    "yaml",
    "http://proxy.example:3128", "python:3.13-slim", "kubiya/claude-sonnet-4",
    "git push origin main", "shell",
    # Qt says them by its own catalogues.
    "Press shortcut", "Ctrl+Alt+Space",
    # Levels of the log, which is English.
    "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "Debug", "Info", "Warning", "Error", "Critical",
}  # fmt: skip
"""Names, which are the same in every language."""

ELSEWHERE = (
    "control-plane.kubiya.ai", "llm.acme.example", "acme.a1b2c.tmprl.cloud", "GNOME Keyring", "Acme", "Encrypt",
    "maya-laptop", "build-07", "build-08", "macOS 15.6", "Debian 12",
    "Site reliability", "Data analyst", "production", "reports",
)  # fmt: skip
"""What the demo asks servers, other workers and the ledger for."""

UNITS = re.compile(r"\b(?:[kMGT]?B|min)\b|(?<=\d)k\b")
WORD = re.compile(r"[A-Za-z]{2}")

demo_data, demo_executions = script("demo_data"), script("demo_executions")
demo_parts, tool = script("demo_parts"), script("languages")


def masked(text: str) -> str:
    """Every letter of it as one that no English word has; places for values stay."""
    return "".join(
        part if re.fullmatch(r"{\w+}", part) else re.sub(r"[^\W\d_]", "ж", part)
        for part in re.split(r"({\w+})", text)
    )  # fmt: skip


def leaves(of: Any) -> Iterator[str]:
    """Every text in the demo's data, but for the worker's own sentences."""
    match of:
        case Phrase():
            for value in of.values.values():
                yield from leaves(value)
        case Enum():
            pass
        case str():
            yield of
        case dict():
            for value in of.values():
                yield from leaves(value)
        case list() | tuple():
            for value in of:
                yield from leaves(value)
        case _ if is_dataclass(of):
            skipped = {"reason", "sentence"} if getattr(of, "said", ()) else set()
            for one in fields(of):
                if one.name not in skipped:
                    yield from leaves(getattr(of, one.name))
        case _:
            pass


def shown(model: QAbstractItemModel) -> Iterator[str]:
    for row in range(model.rowCount(QModelIndex())):
        for role in ROLES:
            yield str(model.data(model.index(row, 0, QModelIndex()), role) or "")


def texts(widget: QWidget) -> Iterator[str]:
    """What a widget tells its reader; not what somebody typed, or an agent wrote."""
    yield from (widget.toolTip(), widget.accessibleName(), widget.accessibleDescription(), widget.windowTitle())
    match widget:
        case QLabel() | QAbstractButton():
            yield widget.text()
        case QLineEdit():
            yield widget.placeholderText()
        case QComboBox():
            yield from (widget.itemText(number) for number in range(widget.count()))
        case QAbstractItemView() if widget.model() is not None and not isinstance(widget, LogTable):
            yield from shown(widget.model())
    for action in widget.actions():
        yield action.text()


def test_all_pages_are_said_in_the_language_that_was_chosen(qapp: QApplication, tmp_path: Path) -> None:
    language.use({text: masked(text) for text in tool.said()})
    desk = demo_parts.desk(tmp_path, empty=False)
    window = MainWindow(desk)
    snapshot, events = demo_data.snapshot(2), demo_executions.events()
    desk.executions.apply(events)
    window.take(snapshot)
    window.show()
    told = [*leaves((snapshot, events, demo_executions.agents(), demo_data.notices())), *ELSEWHERE, *SAME]
    paths = desk.settings.paths
    told += [str(one) for one in (paths.settings_file, paths.logs, paths.state)]
    data = sorted({cut for text in told for cut in (" ".join(text.split()), text, text[:200], text[:60])}, key=len)[
        ::-1
    ]
    bare = set()
    for section in sections():
        window.show_page(section.name)
        if section.name == "executions":
            window.show_page("executions", snapshot.executions[0].execution_id)
        elif section.name == "queues":
            window.show_page("queues", snapshot.queues[0].queue_id)
        elif section.name == "settings":
            for test in window.findChildren(ConnectionTest):
                test.button.click()
        for _ in range(12):
            qapp.processEvents()
        for widget in (window, *window.findChildren(QWidget)):
            for text in texts(widget):
                rest = UNITS.sub("", without(text, data))
                if WORD.search(rest):
                    bare.add(f"{section.name}, {type(widget).__name__}: {text[:200]!r} ({rest.strip()[:80]!r})")
    window.close()
    assert sorted(bare) == []


def without(text: str, data: Sequence[str]) -> str:
    """What is left of a text when all that is no word of the window's is taken away."""
    text = html.unescape(re.sub(r"</?span[^>]*>|\u200b", "", text))
    for one in data:
        if len(one) > 1 and one in text:
            text = text.replace(one, "")
    return text
