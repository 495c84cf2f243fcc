"""A diagram in a conversation is drawn, can be read as its source, and is told to who does not see it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QWheelEvent
from PySide6.QtWidgets import QScrollArea
from pytestqt.qtbot import QtBot

from desktop.look.theme import Theme
from desktop.widgets.code import CodeText
from desktop.widgets.diagram import SMALLEST, DiagramView
from desktop.widgets.markdown import MarkdownView
from tests.support.finding import button, click, reads, seen

FLOW = "flowchart TD\n  a[Start] --> b{Is it there?}\n  b -- yes --> c([Done])\n"
TALK = "sequenceDiagram\n  A->>B: Hello\n  Note over A,B: both\n  loop twice\n    B-->>A: Hi\n  end\n"
EVERYTHING = """flowchart LR
  subgraph one [A group]
    a[box] --- b(round)
    c([stadium]) -.-> d[[subroutine]]
  end
  e[(cylinder)] ==> f((circle))
  g(((double))) --x h>flag]
  i{diamond} --o j{{hexagon}}
  k[/leaning/] <--> l[/trapezoid\\]
  a -- a word --> a
  a ~~~ l
"""


def block(text: str) -> str:
    return f"Words before.\n\n```mermaid\n{text}```\n\nWords after."


@pytest.fixture
def view(qtbot: QtBot) -> MarkdownView:
    made = MarkdownView()
    qtbot.addWidget(made)
    made.resize(600, 400)
    made.show()
    return made


def the_diagram(view: MarkdownView) -> DiagramView:
    [found] = seen(view, DiagramView)
    return found


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (FLOW, "Flowchart", "Start → Is it there?. Is it there? → Done: yes"),
        (TALK, "Sequence diagram", "A → B: Hello. both. loop: twice. B → A: Hi"),
    ],
)
def test_it_is_drawn_and_told(view: MarkdownView, text: str, name: str, said: str) -> None:
    view.show_markdown(block(text))
    diagram = the_diagram(view)
    assert (diagram.accessibleName(), diagram.accessibleDescription()) == (name, said)
    assert reads(view, name)
    assert not seen(view, CodeText)


def test_its_source_is_at_hand(view: MarkdownView) -> None:
    view.show_markdown(block(FLOW))
    click(view, "Source")
    [source] = seen(view, CodeText)
    assert source.toPlainText() == FLOW.rstrip("\n")
    assert not seen(view, DiagramView)
    click(view, "Copy")
    assert QGuiApplication.clipboard().text() == FLOW.rstrip("\n")
    click(view, "Source")
    assert seen(view, DiagramView)


@pytest.mark.parametrize("text", ["pie title Pets\n", "flowchart TD\n  a --> --> b\n  c\n"])
def test_what_is_not_drawn_says_so_and_shows_its_source(view: MarkdownView, text: str) -> None:
    view.show_markdown(block(text))
    assert reads(view, "Not drawn, as its source (Mermaid)")
    assert [one.toPlainText() for one in seen(view, CodeText)] == [text.rstrip("\n")]
    assert not seen(view, DiagramView)
    assert not button(view, "Source").isVisible()


def test_while_it_streams_it_grows_in_its_place(view: MarkdownView) -> None:
    whole = block(FLOW)
    begin = whole.index("a[Start]") + len("a[Start]")
    view.show_markdown(whole[:begin])
    diagram = the_diagram(view)
    for length in range(begin, len(whole), 5):
        view.show_markdown(whole[:length])
        assert the_diagram(view) is diagram
    view.show_markdown(whole)
    assert "Done" in the_diagram(view).accessibleDescription()


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("text", [FLOW, TALK, EVERYTHING])
def test_it_has_the_colours_of_the_theme(view: MarkdownView, look: Theme, mode: str, text: str) -> None:
    view.show_markdown(block(text))
    look.set_mode(mode)  # type: ignore[arg-type]
    picture = the_diagram(view).grab().toImage()
    found = {picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}
    for color in (look.palette.surface, look.palette.text):
        assert QColor(color).rgb() in found


def test_what_is_wide_is_made_smaller_as_far_as_it_can_be_read_and_then_scrolled(view: MarkdownView) -> None:
    view.show_markdown(
        block("flowchart LR\n  " + " --> ".join(f"n{one}[A step that is long]" for one in range(6)) + "\n")
    )
    diagram = the_diagram(view)
    around = diagram.parentWidget().parentWidget()
    assert isinstance(around, QScrollArea)
    assert diagram.width() == pytest.approx(diagram.sizeHint().width() * SMALLEST, abs=2)
    assert around.horizontalScrollBar().maximum() > 0
    assert around.height() >= diagram.height()
    view.resize(diagram.sizeHint().width() + 200, 400)
    view.grab()
    assert diagram.size() == diagram.sizeHint()
    assert around.horizontalScrollBar().maximum() == 0


def test_the_wheel_goes_on_to_the_page(view: MarkdownView) -> None:
    view.show_markdown(block(FLOW))
    around = the_diagram(view).parentWidget().parentWidget()
    turned = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    around.wheelEvent(turned)
    assert not turned.isAccepted()
