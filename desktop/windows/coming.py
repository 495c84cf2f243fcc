"""How a window comes before the others."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QCursor, QGuiApplication
from PySide6.QtWidgets import QDialog, QWidget


def come_forward(window: QWidget) -> None:
    """Show it, as large as it was, above the others."""
    window.setWindowState(window.windowState() & ~window.windowState().WindowMinimized)
    window.show()
    window.raise_()
    window.activateWindow()


def come_apart(dialog: QDialog) -> None:
    """The same for a dialog that was wanted elsewhere than in the window around it, which stays as it is.

    It comes on the screen with the pointer: where the person is, as far as a program may know.
    """
    if not dialog.isVisible():
        _stand_for(dialog, None)
        screen = QGuiApplication.screenAt(QCursor.pos()) or QGuiApplication.primaryScreen()
        place = QRect()
        place.setSize(dialog.size().expandedTo(dialog.minimumSizeHint()))
        place.moveCenter(screen.availableGeometry().center())
        dialog.move(place.topLeft())
    come_forward(dialog)


def come_within(dialog: QDialog, window: QWidget) -> None:
    """The same for a dialog of a window that has the focus: above it, and moved with it."""
    if not dialog.isVisible():
        _stand_for(dialog, window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_Moved, on=False)  # Qt puts it into the window's middle
    come_forward(dialog)


def _stand_for(dialog: QDialog, window: QWidget | None) -> None:
    """Window managers raise, minimize and place a dialog with the window that it stands for."""
    dialog.winId()  # makes its window
    handle = dialog.windowHandle()
    if handle is not None:
        # None is what Qt documents; the stubs lack it.
        handle.setTransientParent(window.windowHandle() if window is not None else None)  # type: ignore[arg-type]
