"""Whether the desktop is dark: what Qt says, or who knows better. The icon asks before any window is there."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication

_PROPERTY: Final = "kubiya_scheme"
"""Of the application."""


class DesktopScheme(QObject):
    """One per application: `desktop_scheme()`."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._told = Qt.ColorScheme.Unknown
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._changed)

    @property
    def is_dark(self) -> bool:
        found = self._told
        if found is Qt.ColorScheme.Unknown:
            found = QGuiApplication.styleHints().colorScheme()
        return found is Qt.ColorScheme.Dark

    def tell(self, scheme: Qt.ColorScheme) -> None:
        """From somebody who knows the desktop better than Qt does; `Unknown`: nobody does, and Qt is asked."""
        self._told = scheme
        self.changed.emit()

    def _changed(self) -> None:
        self.changed.emit()


def desktop_scheme() -> DesktopScheme:
    """Made on first use.

    It is not looked for among the application's children: PySide would make an object of each for that, and with the
    first style all that it knows of styles (7 ms and a megabyte of the tray's start).
    """
    app = QGuiApplication.instance()
    assert app is not None, "A QApplication comes first."
    found = app.property(_PROPERTY)
    if not isinstance(found, DesktopScheme):
        found = DesktopScheme(app)
        app.setProperty(_PROPERTY, found)
    return found
