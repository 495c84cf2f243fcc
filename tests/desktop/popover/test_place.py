"""Where the popover lies beside its icon."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QRect, QSize

from desktop.popover.place import GAP, Edge, anchor_of, edge_of, place

SCREEN = QRect(0, 0, 1280, 800)
NOWHERE = QRect()


def rooms() -> dict[Edge, QRect]:
    """A screen without a panel of 30 pixels at one of its edges."""
    return {
        Edge.BOTTOM: SCREEN.adjusted(0, 0, 0, -30),
        Edge.TOP: SCREEN.adjusted(0, 30, 0, 0),
        Edge.LEFT: SCREEN.adjusted(30, 0, 0, 0),
        Edge.RIGHT: SCREEN.adjusted(0, 0, -30, 0),
    }


ICONS = {
    Edge.BOTTOM: QRect(640, 774, 22, 22),
    Edge.TOP: QRect(640, 4, 22, 22),
    Edge.LEFT: QRect(4, 400, 22, 22),
    Edge.RIGHT: QRect(1254, 400, 22, 22),
}


@pytest.mark.parametrize("edge", Edge)
@pytest.mark.parametrize("keeps_room", [True, False])
def test_it_lies_beside_the_icon_and_covers_neither_it_nor_the_panel(edge: Edge, keeps_room: bool) -> None:
    icon, room = ICONS[edge], rooms()[edge] if keeps_room else SCREEN
    assert edge_of(icon, room=room, whole=SCREEN) is edge
    made = place(QSize(380, 300), anchor=icon, room=room, whole=SCREEN)
    assert made.size() == QSize(380, 300)
    assert room.contains(made)
    assert not made.intersects(icon)
    along = "y" if edge in {Edge.LEFT, Edge.RIGHT} else "x"
    assert abs(getattr(made.center(), along)() - getattr(icon.center(), along)()) <= 1
    distance = {
        Edge.BOTTOM: min(icon.top() - 1, room.bottom()) - made.bottom(),
        Edge.TOP: made.top() - max(icon.bottom() + 1, room.top()),
        Edge.LEFT: made.left() - max(icon.right() + 1, room.left()),
        Edge.RIGHT: min(icon.left() - 1, room.right()) - made.right(),
    }
    assert distance[edge] == GAP


def test_in_a_corner_it_stays_on_the_screen() -> None:
    made = place(QSize(380, 300), anchor=QRect(1254, 774, 22, 22), room=rooms()[Edge.BOTTOM], whole=SCREEN)
    assert made.right() == SCREEN.right() - GAP
    made = place(QSize(380, 300), anchor=QRect(4, 4, 22, 22), room=rooms()[Edge.TOP], whole=SCREEN)
    assert made.topLeft() == QPoint(GAP, 30 + GAP)


def test_a_popover_as_high_as_the_screen_shows_its_top() -> None:
    made = place(QSize(380, 900), anchor=ICONS[Edge.BOTTOM], room=rooms()[Edge.BOTTOM], whole=SCREEN)
    assert made.top() == GAP


def test_on_the_second_screen_it_lies_on_the_second_screen() -> None:
    second = SCREEN.translated(1280, 0)
    made = place(QSize(380, 300), anchor=QRect(1284, 774, 22, 22), room=second.adjusted(0, 0, 0, -30), whole=second)
    assert second.contains(made)


def test_where_no_panel_says_where_the_icon_is_the_pointer_is_on_it() -> None:
    assert anchor_of(ICONS[Edge.TOP], QPoint(7, 7)) == ICONS[Edge.TOP]
    around = anchor_of(NOWHERE, QPoint(600, 785))
    assert around.contains(QPoint(600, 785))
    assert not place(QSize(380, 300), anchor=around, room=SCREEN, whole=SCREEN).contains(QPoint(600, 785))
