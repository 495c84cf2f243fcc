"""Nothing is cut, lies over something else or outside: every page, dialog and panel, in a small window and a usual one,
in small and large letters, in languages with long words.

Colours and the scale of the screen make no difference here: Qt lays windows out in logical pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QAbstractScrollArea, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from desktop.look import language
from desktop.look.theme import Theme
from desktop.widgets.choice import Choice
from desktop.widgets.pills import Pill
from desktop.widgets.surfaces import Card
from desktop.widgets.text import ElidedLabel, Label
from tests.desktop.geometry import faults, settle
from tests.desktop.windows.every_window import Shown, beside, main_window, of_the_window

SIZES = (QSize(760, 520), QSize(1366, 768))


def found_in(shown: Iterable[Shown]) -> list[str]:
    found = []
    for name, window in shown:
        settle(window)
        window.grab()  # makes tooltips of what is cut
        found += [f"{name}: {fault}" for fault in faults(window)]
    return found


@pytest.mark.parametrize(("spoken", "letters"), [("en", 13), ("de", 16), ("fr", 16), ("es", 13)])
def test_nothing_is_cut(
    qtbot: QtBot, tmp_path: Path, look: Theme, monkeypatch: pytest.MonkeyPatch, spoken: str, letters: int
) -> None:
    language.load([spoken])
    with monkeypatch.context() as patch:
        patch.setattr(look, "_factor", letters / 13)
        look.install()
        window = main_window(tmp_path / "main")
        qtbot.addWidget(window)
        window.show()
        found = []
        for size in SIZES:
            window.resize(size)
            assert window.size() == size
            found += [f"{size.width()}, {one}" for one in found_in(of_the_window(window))]
        window.close()
        found += found_in(beside(tmp_path / "beside", room=SIZES[0]))
    look.install()
    assert found == []


def test_nothing_is_cut_where_there_is_nothing_yet(qtbot: QtBot, tmp_path: Path) -> None:
    language.load(["de"])
    window = main_window(tmp_path, empty=True)
    qtbot.addWidget(window)
    window.show()
    window.resize(SIZES[0])
    assert found_in(of_the_window(window)) == []


# -- what finds it ------------------------------------------------------------------------------------------------


def squeezed(part: QWidget, *, width: int, height: int = 0) -> QWidget:
    """In a window that is not its size."""
    around = QWidget()
    part.setParent(around)
    part.setGeometry(0, 0, width, height or part.sizeHint().height())
    around.resize(400, 300)
    return around


def elided_without_a_word() -> QWidget:
    part = ElidedLabel("words that do not fit")
    part.event = lambda _: True  # type: ignore[method-assign, assignment]  # it never makes its tooltip
    return squeezed(part, width=60)


def outside() -> QWidget:
    part = QPushButton("Send")
    around = squeezed(part, width=200)
    part.move(300, 0)
    return around


def outside_of_what_scrolls() -> QWidget:
    from desktop.windows.page import scroll_area

    inside = QWidget()
    QHBoxLayout(inside).addWidget(QPushButton("Send " * 40))
    area = scroll_area(inside)
    area.resize(300, 200)
    return area


def over_each_other() -> QWidget:
    around = QWidget()
    layout = QVBoxLayout(around)
    first, second = QLabel("first"), QLabel("second")
    first.setFixedHeight(40)
    layout.addWidget(first)
    layout.addWidget(second)
    around.show()
    second.move(first.pos())
    return around


def a_hint() -> QWidget:
    field = QLineEdit()
    field.setPlaceholderText("What is to be done, and where?")
    return squeezed(field, width=80)


def a_choice() -> QWidget:
    choice = Choice("Queue", [("a", "a name that does not fit")])
    choice.setToolTip("")
    return squeezed(choice, width=90)


WRONG: dict[str, Callable[[], QWidget]] = {
    "needs": lambda: squeezed(QPushButton("Send the message"), width=40),
    "pixels, has 20": lambda: squeezed(Label("words that do not fit"), width=20),
    "in height": lambda: squeezed(Label("words that go over lines", wrap=True), width=60, height=12),
    "has a word of": lambda: squeezed(Label("Donaudampfschifffahrt", wrap=True), width=60, height=90),
    "Pill": lambda: squeezed(Pill("Waits for you"), width=30),
    "pixels for its words": lambda: squeezed(ElidedLabel("words that do not fit"), width=20),
    "no tooltip has the whole": elided_without_a_word,
    "in QWidget": outside,
    "qt_scrollarea_viewport": outside_of_what_scrolls,
    "lies over": over_each_other,
    "its hint is": a_hint,
    "says": a_choice,
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_is_found(qtbot: QtBot, said: str) -> None:
    window = WRONG[said]()
    qtbot.addWidget(window)
    window.show()
    window.grab()
    assert any(said in fault for fault in faults(window)), faults(window)


def test_what_is_scrolled_to_or_has_a_tooltip_is_not_cut(qtbot: QtBot) -> None:
    from desktop.windows.page import scroll_area

    inside = QWidget()
    layout = QVBoxLayout(inside)
    for number in range(60):
        layout.addWidget(Label(f"Line {number}"))
    layout.addWidget(Card("A card"))
    layout.addWidget(ElidedLabel("words that do not fit " * 40))
    area: QAbstractScrollArea = scroll_area(inside)
    qtbot.addWidget(area)
    area.resize(300, 200)
    area.show()
    settle(area)
    area.grab()
    assert faults(area) == []
