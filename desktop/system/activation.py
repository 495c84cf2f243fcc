"""Wayland's way to the front: a window comes there by the token of what the person clicked on (xdg-activation-v1)."""

from __future__ import annotations

import os
from typing import Final

from PySide6.QtGui import QGuiApplication

LONGEST_TOKEN: Final = 200
"""Compositors make some 40 characters."""


def come_by(token: str) -> None:
    """The next window that comes forward does so by this token; empty: there is none."""
    # Elsewhere nobody takes it: programs that are started later would come with it.
    if (
        QGuiApplication.platformName().startswith("wayland")
        and token
        and token.isprintable()
        and len(token) <= LONGEST_TOKEN
    ):
        # Qt takes it from there, once, and leaves nothing; `os.environ` would keep its own copy for later programs.
        os.putenv("XDG_ACTIVATION_TOKEN", token)
