"""Whether this system lets a program put a window beside its icon in the panel."""

from __future__ import annotations

import sys

from PySide6.QtGui import QGuiApplication


def popover_has_a_place() -> bool:
    """Not on macOS, whose icons open their menu with any click, nor on Wayland, where no program places a window."""
    return sys.platform != "darwin" and not QGuiApplication.platformName().startswith("wayland")
