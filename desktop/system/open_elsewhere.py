"""What the window may open outside: web pages, and folders of workspaces. Links come from agents and servers."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

log = logging.getLogger(__name__)

_LONGEST_URL = 4096


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
