"""What rows of lists say."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QImage, QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QApplication, QStyleOptionViewItem

from desktop.models.execution_list import ExecutionRole
from desktop.models.executions import Execution
from desktop.widgets.delegates import ExecutionDelegate
from desktop.widgets.log_table import pieces
from worker_core.logs.ring import LogLine, now

ID = "590b4b10-fd51-4d7e-8a51-0123456789ab"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"Execution {ID}: turn 1 begins.", "Execution 590b4b10: turn 1 begins."),
        (f"{ID} follows {ID}", "590b4b10 follows 590b4b10"),
        ("590b4b10-fd51 is none", "590b4b10-fd51 is none"),
        (f"x{ID}", f"x{ID}"),
        ("", ""),
    ],
)
def test_a_line_of_the_log_has_short_ids(said: str, shown: str) -> None:
    found = pieces(LogLine(at=now(), level="INFO", logger="x", message=said))
    assert "".join(text for text, _ in found) == shown
    assert {id_ for _, id_ in found if id_} == ({ID} if "590b4b10 " in shown or "590b4b10:" in shown else set())


def test_a_narrow_row_leaves_its_first_line_to_what_it_is_called(qapp: QApplication) -> None:
    """Of two titles that end differently, both ends are seen; a state beside them would have cut them."""
    assert drawn("Renew the certificates now, a", width=270) != drawn("Renew the certificates now, b", width=270)
    assert drawn("a", width=270, status="running") != drawn("a", width=270, status="failed")


def drawn(title: str, *, width: int, status: str = "waiting_for_input") -> QImage:
    model = QStandardItemModel()
    item = QStandardItem()
    item.setData(Execution(execution_id="e", title=title, status=status), ExecutionRole)
    model.appendRow(item)
    picture = QImage(width, 60, QImage.Format.Format_RGB32)
    picture.fill(0xFFFFFF)
    option = QStyleOptionViewItem()
    option.rect = picture.rect()
    painter = QPainter(picture)
    ExecutionDelegate().paint(painter, option, model.index(0, 0))
    painter.end()
    return picture
