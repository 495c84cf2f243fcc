"""The program's picture for its notifications, where the server finds none: no desktop file of ours is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

Picture = tuple[int, int, int, bool, int, int, bytes]
"""Width, height, bytes a row, whether there is alpha, bits a sample, samples a pixel, and the pixels from the top left
(freedesktop.org's notification specification 1.3, `image-data`).
"""

PIXELS: Final = 64


def notice_picture(desktop_entry: str, environ: Mapping[str, str] = os.environ) -> Picture | None:
    """None: the desktop file is there, and names it."""
    if _is_installed(desktop_entry, environ):
        return None
    from PySide6.QtCore import QSize
    from PySide6.QtGui import QImage

    from desktop.look.icons import mark_icon

    drawn = mark_icon().pixmap(QSize(PIXELS, PIXELS), 1.0).toImage()
    image = drawn.convertToFormat(QImage.Format.Format_RGBA8888)
    return (image.width(), image.height(), image.bytesPerLine(), True, 8, 4, bytes(image.constBits()))


def _is_installed(desktop_entry: str, environ: Mapping[str, str]) -> bool:
    own = environ.get("XDG_DATA_HOME") or f"{environ.get('HOME', '')}/.local/share"
    shared = environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return any(
        (Path(folder) / "applications" / f"{desktop_entry}.desktop").is_file()
        for folder in (own, *shared.split(":"))
        if folder.startswith("/")
    )
