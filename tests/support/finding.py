"""Finds what is on the screen as a person does: by its name, never by the attribute that holds it."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QCoreApplication, QEvent, QTimer
from PySide6.QtWidgets import QAbstractButton, QLabel, QMenu, QPushButton, QToolButton, QWidget

W = TypeVar("W", bound=QWidget)


def settle() -> None:
    """Let what was added take its place, and what was let go be gone."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QCoreApplication.sendPostedEvents()


def seen(root: QWidget, kind: type[W]) -> list[W]:
    """All widgets of a kind that are on the screen, or would be if their page was."""
    settle()
    return [one for one in root.findChildren(kind) if one.isVisibleTo(root)]


def named(root: QWidget, name: str, kind: type[W] = QWidget) -> W:  # type: ignore[assignment]
    """The one widget of a kind that a screen reader calls so; what is seen comes before what is hidden."""
    settle()
    found = [one for one in root.findChildren(kind) if one.accessibleName() == name]
    [one] = [one for one in found if one.isVisible()] or found
    return one


def button(root: QWidget, name: str) -> QAbstractButton:
    return named(root, name, QAbstractButton)


def click(root: QWidget, name: str) -> None:
    """Press the button of this name."""
    button(root, name).click()


def offered(root: QWidget, name: str) -> list[str]:
    """What the menu has that a button opens."""
    return [one.text() for one in _menu(root, name).actions() if one.isVisible()]


def choose(root: QWidget, name: str, entry: str) -> None:
    """Pick an entry of the menu that a button opens."""
    [action] = [one for one in _menu(root, name).actions() if one.text() == entry]
    action.trigger()


def _menu(root: QWidget, name: str) -> QMenu:
    opener = button(root, name)
    assert isinstance(opener, QPushButton | QToolButton)
    menu = opener.menu()
    assert isinstance(menu, QMenu)
    return menu


def texts(root: QWidget) -> list[str]:
    """What can be read there now."""
    settle()
    return [label.text() for label in root.findChildren(QLabel) if label.isVisible() and label.text()]


def reads(root: QWidget, text: str) -> bool:
    """Whether one of these texts is exactly this one."""
    return text in texts(root)


def ticks(root: QWidget) -> bool:
    """Whether anything there is woken from time to time."""
    return any(timer.isActive() for timer in root.findChildren(QTimer))
