"""Every text that a person reads passes through here, so that it can be said in another language."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

CONTEXT = "desktop"


def tr(text: str, **values: object) -> str:
    """`text` in the user's language, with `{names}` filled in from `values`."""
    said = QCoreApplication.translate(CONTEXT, text)
    return said.format(**values) if values else said
