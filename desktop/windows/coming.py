"""How a window comes before the others."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget


def come_forward(window: QWidget) -> None:
    """Show it, as large as it was, above the others."""
    window.setWindowState(window.windowState() & ~window.windowState().WindowMinimized)
    window.show()
    window.raise_()
    window.activateWindow()
