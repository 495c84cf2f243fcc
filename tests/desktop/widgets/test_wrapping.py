"""Rows that go on below."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from desktop.widgets.wrapping import Wrapped


def parts(*widths: int) -> list[QWidget]:
    made = []
    for width in widths:
        one = QWidget()
        one.setFixedSize(QSize(width, 20))
        made.append(one)
    return made


def test_what_does_not_fit_beside_stands_below(qtbot: QtBot) -> None:
    around, row = QWidget(), parts(100, 100, 100)
    qtbot.addWidget(around)
    around.setLayout(Wrapped(*row, gap=10))
    around.resize(220, 200)
    around.show()
    assert [(one.x(), one.y()) for one in row] == [(0, 0), (110, 0), (0, 30)]
    assert around.heightForWidth(220) == 50
    assert around.heightForWidth(320) == 20
    assert around.heightForWidth(219) == 50
    assert around.heightForWidth(90) == 80
    assert around.sizeHint() == QSize(320, 20)


def test_hidden_ones_take_no_room(qtbot: QtBot) -> None:
    around, row = QWidget(), parts(100, 100, 100)
    qtbot.addWidget(around)
    around.setLayout(Wrapped(*row, gap=10))
    row[0].hide()
    around.resize(220, 200)
    around.show()
    assert [one.x() for one in row[1:]] == [0, 110]
    assert around.heightForWidth(220) == 20
