"""Whether the desktop is dark: what Qt says, or who knows better. The icon asks before any window is there."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication


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
    """Made on first use."""
    app = QGuiApplication.instance()
    assert app is not None, "A QApplication comes first."
    found: DesktopScheme | None = app.findChild(DesktopScheme)
    return found or DesktopScheme(app)
