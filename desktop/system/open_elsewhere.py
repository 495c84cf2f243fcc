"""What the window may open outside: web pages, folders of workspaces, and files there that are only shown.

Links and names come from agents and servers.
"""

from __future__ import annotations

import logging
from pathlib import Path, PurePath

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

log = logging.getLogger(__name__)

_LONGEST_URL = 4096

_ONLY_SHOWN = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".json", ".log", ".md", ".pdf", ".png", ".txt", ".webp"})
"""Endings of files that programs show and do not carry out. A page of HTML or SVG has scripts, a table has formulas."""


def is_only_shown(path: str) -> bool:
    """Whether a file of this name is looked at by being opened, and does nothing."""
    return PurePath(path).suffix.lower() in _ONLY_SHOWN


class Outside:
    """Opens with the desktop's own means, and only what cannot do anything by being opened."""

    def __init__(self, *, workspaces: Path) -> None:
        self._workspaces = workspaces

    def open_url(self, text: str) -> bool:
        """A web address; anything else (`file:`, `javascript:`, other programs' schemes) is refused."""
        url = QUrl(text, QUrl.ParsingMode.StrictMode)
        good = len(text) <= _LONGEST_URL and url.isValid() and url.scheme() in {"http", "https"} and bool(url.host())
        if not good or url.userInfo():
            log.warning("A link was not opened: it is no plain web address.")
            return False
        return QDesktopServices.openUrl(url)

    def open_folder(self, folder: Path) -> bool:
        """A folder below the workspaces, where it really is one: a link could lead to a program."""
        real, root = folder.resolve(), self._workspaces.resolve()
        if not real.is_dir() or not real.is_relative_to(root):
            log.warning("A folder was not opened: it is no workspace.")
            return False
        return QDesktopServices.openUrl(QUrl.fromLocalFile(str(real)))

    def open_file(self, file: Path) -> bool:
        """A file below the workspaces that is only shown. What counts is what a link leads to."""
        try:
            real, root = file.resolve(), self._workspaces.resolve()
            good = real.is_file() and real.is_relative_to(root) and is_only_shown(real.name)
        except (OSError, RuntimeError, ValueError):  # links in a circle, or no right to look
            good = False
        if not good:
            log.warning("A file was not opened: it is not in a workspace, or of no kind that is only shown.")
            return False
        return QDesktopServices.openUrl(QUrl.fromLocalFile(str(real)))
