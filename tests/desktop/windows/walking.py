"""Walks a window as somebody does who sees nothing, or has no mouse."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QTableView,
    QTextEdit,
    QWidget,
)

STEPS = 400


def interactive(window: QWidget) -> list[QWidget]:
    """Every control, seen or not."""
    kinds = (QAbstractButton, QLineEdit, QComboBox, QAbstractItemView, QTextEdit, QPlainTextEdit)
    found = [child for child in window.findChildren(QWidget) if isinstance(child, kinds)]
    inside = (QComboBox, QHeaderView, QTableView)
    hidden = QHeaderView  # of the log's table, and its corner
    return [child for child in found if not isinstance(child.parent(), inside) and not isinstance(child, hidden)]


def nameless(window: QWidget) -> list[str]:
    """Controls without a name or a role for a screen reader."""
    found = []
    for child in interactive(window):
        seen = QAccessible.queryAccessibleInterface(child)
        named = child.accessibleName() or (isinstance(child, QAbstractButton) and child.text())
        if not named or seen is None or seen.role() in {QAccessible.Role.NoRole, QAccessible.Role.Client}:
            found.append(f"{type(child).__name__} in {type(child.parent()).__name__}")
    return found


def unreachable(window: QWidget) -> list[str]:
    """Controls that are seen and can be used, and that no number of Tab keys leads to.

    Of buttons that exclude each other, one has its turn; the arrow keys lead to the others.
    """
    window.activateWindow()
    controls = [child for child in interactive(window) if child.isVisible() and child.isEnabled()]
    visited: list[QWidget] = []
    for _ in range(STEPS):
        at = QApplication.focusWidget()
        if at in visited:
            break
        if at is not None:
            visited.append(at)
        QTest.keyClick(at or window, Qt.Key.Key_Tab)
    missed = [child for child in controls if (child.focusProxy() or child) not in visited]
    return [
        child.accessibleName() or type(child).__name__
        for child in missed
        if not (isinstance(child, QAbstractButton) and child.autoExclusive())
    ]
