"""The sheet of keys says what the keys do, because both are made from one table."""

from __future__ import annotations

from collections import Counter

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from desktop.notices.action import Action
from desktop.windows.bindings import bindings, sections
from desktop.windows.keys_sheet import KeysSheet
from tests.desktop.windows.commanded import Bench
from tests.desktop.windows.stand_ins import Scene

_Ctrl, _Plain = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


def sheet(bench: Bench) -> KeysSheet:
    return bench.window.findChild(KeysSheet)  # type: ignore[return-value]


def test_no_key_is_bound_twice() -> None:
    everywhere = Counter(keys for one in bindings() if one.action is not Action.NOTHING for keys in one.keys)
    assert [keys.toString() for keys, count in everywhere.items() if count > 1] == []
    for one in bindings():
        inside = Counter(keys for other in bindings() if other.group == one.group for keys in other.keys)
        assert max(inside.values()) == 1, one.group


def test_the_window_has_the_keys_of_the_table_and_no_others(scene: Scene) -> None:
    """A shortcut that is made elsewhere would be on no sheet."""
    window = scene.window
    bound = [one.key() for one in window.findChildren(QShortcut) if one.context() == Qt.ShortcutContext.WindowShortcut]
    table = [keys for one in bindings() if one.action is not Action.NOTHING for keys in one.keys]
    assert sorted(keys.toString() for keys in bound) == sorted(keys.toString() for keys in table)
    assert {one.target for one in bindings() if one.action is Action.PAGE} <= {one.name for one in sections()}


@pytest.mark.parametrize(
    ("key", "how"), [(Qt.Key.Key_Slash, _Ctrl), (Qt.Key.Key_F1, _Plain), (Qt.Key.Key_Question, _Plain)]
)
def test_the_sheet_comes_and_goes_by_keys(bench: Bench, key: Qt.Key, how: Qt.KeyboardModifier) -> None:
    QTest.keyClick(bench.window, key, how)
    assert QApplication.focusWidget() is sheet(bench).field
    QTest.keyClick(sheet(bench).field, Qt.Key.Key_Escape)
    assert not sheet(bench).isVisible()


def test_the_sheet_is_searched_by_what_is_done_by_group_and_by_key(bench: Bench) -> None:
    bench.commands.carry_out(Action.KEYS)
    shown = sheet(bench)
    assert len(shown.shown) == len(bindings())
    assert "Find a command, Ctrl+K" in shown.shown
    QTest.keyClicks(shown.field, "ctrl+3")
    assert shown.shown == ["Queues, Ctrl+3"]
    shown.field.setText("writing")
    assert [one.split(",")[0] for one in shown.shown] == ["Send the message", "Begin a new line"]
    shown.field.setText("nothing at all")
    assert shown.shown == []
    QTest.keyClick(shown.field, Qt.Key.Key_Tab)
    assert QApplication.focusWidget().accessibleName() == "Close"
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is shown.field, "the Tab key stays in the sheet"


def test_a_question_mark_that_is_typed_is_a_question_mark(bench: Bench) -> None:
    QTest.keyClicks(bench.field, "why?/")
    assert bench.field.text() == "why?/"
    assert QKeySequence("?") in [keys for one in bindings() for keys in one.keys]
