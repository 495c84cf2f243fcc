from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("QT_API", "pyside6")
os.environ["QT_QPA_PLATFORM"] = "offscreen"

import pytest
from PySide6.QtWidgets import QApplication

from desktop import language


@pytest.fixture(autouse=True)
def _english(qapp: QApplication) -> Iterator[None]:
    QApplication.setQuitOnLastWindowClosed(False)
    language.use({})
    yield
    language.use({})
