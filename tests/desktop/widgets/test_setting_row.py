"""A setting's row: all of its words are to be seen, however narrow it is."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel, QLineEdit

from desktop.widgets.setting_row import SettingRow


@pytest.mark.parametrize("width", [420, 560, 900])
@pytest.mark.parametrize("words", [0, 2, 12, 40])
def test_a_meaning_is_shown_whole(qtbot, width: int, words: int) -> None:
    row = SettingRow("A setting", " ".join(["meaning"] * words), QLineEdit(), change=lambda _: "")
    qtbot.addWidget(row)
    row.setFixedSize(width, row.heightForWidth(width))
    row.show()
    for label in row.findChildren(QLabel):
        if label.isVisible():
            assert label.height() >= label.heightForWidth(label.width()), label.text()
            assert label.geometry().bottom() <= row.height()
