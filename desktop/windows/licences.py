"""What others made and this program brings with it, with the licence of each."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.widgets.buttons import Button
from desktop.widgets.dialog import Dialog
from desktop.widgets.layouts import column, row
from desktop.widgets.named_texts import NamedTexts
from desktop.widgets.text import Label
from worker_core import bundle

NAMES_WIDE: Final = 330


def collected() -> list[dict[str, Any]]:
    """What the frozen program lists of itself (installers/freezing/licences.py); nothing where packages lie in Python's
    own folders, each with its licence.
    """
    try:
        found: list[dict[str, Any]] = json.loads((_folder() / "index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return found


def _folder() -> Path:
    return bundle.libraries() / "licences"


def _text(names: list[str]) -> str:
    return "\n\n\n".join((_folder() / name).read_text(encoding="utf-8") for name in names)


class LicencesDialog(Dialog):
    def __init__(self, components: list[dict[str, Any]], parent: QWidget | None = None) -> None:
        """Lists them, as `collected` gives them."""
        super().__init__(parent)
        self.setWindowTitle(tr("Licences"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setProperty("ground", "window")
        words = Label(
            tr("This program brings the work of others with it. Their licences say what you may do with it."),
            tone="muted",
            wrap=True,
        )
        self.shown = NamedTexts(
            [(f"{one['name']} {one['version']}", partial(_text, one["texts"])) for one in components],
            names_are=tr("Parts of the program"),
            text_is=tr("Licence"),
            wide=NAMES_WIDE,
        )
        close = Button(tr("Close"))
        close.clicked.connect(self.reject)
        layout = column(
            words, self.shown, row(None, close), gap=Space.L, margins=(Space.XL, Space.XL, Space.XL, Space.L)
        )  # fmt: skip
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.resize(980, 640)
        self.shown.names.setFocus()
