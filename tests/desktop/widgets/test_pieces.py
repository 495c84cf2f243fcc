from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QColor, QImage, QTextDocument
from PySide6.QtWidgets import QWidget

from desktop.look.theme import theme
from desktop.look.wording import size_text, tooltip_text
from desktop.models.conversation import Conversation
from desktop.models.conversation_items import ToolCall
from desktop.widgets.buttons import Button, IconButton, NavButton, Switch
from desktop.widgets.charts import AreaChart, Meter, Series
from desktop.widgets.choice import Choice
from desktop.widgets.clock import SeenClock
from desktop.widgets.code import CodeText
from desktop.widgets.conversation_view import SEEN, SHOWN, ConversationView, MessageView
from desktop.widgets.surfaces import Banner, EmptyState
from desktop.widgets.text import ElidedLabel, Label
from desktop.widgets.tool_card import ToolCard
from tests.support.finding import button, click, named, seen, ticks
from worker_core.basics.sizes import size

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_labels_never_take_text_for_markup(qtbot) -> None:
    label = Label("<b>not bold</b>")
    qtbot.addWidget(label)
    assert label.textFormat() is Qt.TextFormat.PlainText
    said = QTextDocument()
    for text in ("<b>&", "<img src=/etc/passwd>", "&lt;b&gt;", "a\n<b>", "<?xml?>x", "plain"):
        tip = tooltip_text(text)
        said.setHtml(tip) if tip.startswith("<") else said.setPlainText(tip)
        assert said.toPlainText() == text


def test_a_long_label_is_elided_and_tells_the_whole(qtbot) -> None:
    label = ElidedLabel("word " * 100)
    qtbot.addWidget(label)
    label.resize(80, 20)
    label.show()
    label.grab()
    assert label.toolTip().startswith("word word")
    assert label.minimumSizeHint().width() < 80


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0], [1, None, 3], [1e12, -5, float(2)]])
def test_charts_draw_whatever_there_is(qtbot, values) -> None:
    chart = AreaChart("Rates", said=lambda value: f"{value:.1f}")
    qtbot.addWidget(chart)
    chart.set_series(Series(name="a", values=values), Series(name="b", values=values, tone="success"))
    chart.resize(300, 100)
    chart.show()
    qtbot.mouseMove(chart, chart.rect().center())
    assert not chart.grab().isNull()


def test_a_chart_breaks_where_nothing_is_known_and_says_when_it_was(qtbot) -> None:
    def painted(*values: float | None, seconds: float | None = None) -> QImage:
        chart = AreaChart("Rates", said=lambda value: f"{value:.1f}", capacity=9, ceiling=2, seconds_a_value=seconds)
        qtbot.addWidget(chart)
        chart.set_series(Series(name="a", values=values))
        chart.resize(300, 120)
        return chart.grab().toImage()

    gap = [1.0, 1.0, 1.0, None, None, None, 1.0, 1.0, 1.0]
    whole, broken = painted(*[1.0] * 9), painted(*gap)
    ratio = whole.devicePixelRatio()
    middle, left = round(150 * ratio), round(30 * ratio)
    column = [whole.pixel(middle, y) != broken.pixel(middle, y) for y in range(whole.height())]
    assert any(column)
    assert all(whole.pixel(left, y) == broken.pixel(left, y) for y in range(whole.height()))
    assert painted(*gap, seconds=1.0) != broken


def test_a_chart_says_its_newest_value(qtbot) -> None:
    chart, meter = AreaChart("Rates", said=lambda value: f"{value:.1f}/s"), Meter("Memory")
    qtbot.addWidget(chart)
    qtbot.addWidget(meter)
    chart.set_series(Series(name="added", values=[1.0, 2.0]))
    meter.set_value(0.5)
    assert (chart.accessibleDescription(), meter.accessibleDescription()) == ("added: 2.0/s", "50%")


def test_a_clock_stands_still_while_nobody_looks(qtbot) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    clock = SeenClock(widget, lambda: None, wound=True)
    assert not clock.runs
    widget.show()
    assert clock.runs
    widget.hide()
    assert not clock.runs
    widget.show()
    clock.wind(False)
    assert not clock.runs


def test_a_tool_card_opens_with_the_keyboard_and_follows_its_call(qtbot) -> None:
    call = ToolCall(key="c", name="shell", arguments={"command": "ls"}, started_at=AT)
    card = ToolCard(call)
    qtbot.addWidget(card)
    card.show()
    assert card.runs
    card.tick()
    head = named(card, "shell, Running, closed")
    qtbot.keyClick(head, Qt.Key.Key_Return)
    assert card.is_open
    call.output, call.succeeded, call.duration_seconds = "<b>x</b>\n" * 3, True, 1.5
    card.refresh()
    [_, output] = seen(card, CodeText)
    assert "<b>x</b>" in output.toPlainText()
    assert head.accessibleName() == "shell, Done, open"
    qtbot.keyClick(head, Qt.Key.Key_Space)
    assert not card.is_open


def test_a_tool_card_shows_what_a_running_call_is_at_as_plain_text(qtbot) -> None:
    call = ToolCall(key="c", name="shell", started_at=datetime.now(UTC) - timedelta(minutes=2))
    card = ToolCard(call)
    qtbot.addWidget(card)
    card.resize(500, 80)
    card.show()
    hostile = "<img src=x> <b>70 %</b> " + "word" * 200
    assert not [one for one in seen(card, ElidedLabel) if one.accessibleName().startswith("Latest")]
    call.progress = hostile
    card.refresh()
    [line] = [one for one in seen(card, ElidedLabel) if one.accessibleName().startswith("Latest")]
    assert line.textFormat() is Qt.TextFormat.PlainText
    assert line.text().startswith("<img src=x> <b>70 %</b>")
    assert not card.grab().isNull()
    assert card.minimumSizeHint().width() < 500, "however long it is, the card stays as wide as its page"
    assert any(one.text().startswith("2 min") for one in seen(card, Label)), "known without waiting for a tick"
    call.succeeded, call.progress, call.duration_seconds = True, "", 121.0
    card.refresh()
    assert not [one for one in seen(card, ElidedLabel) if one.accessibleName().startswith("Latest")]


@pytest.mark.parametrize(("failure", "said"), [("denied", "Denied"), ("unknown", "Outcome unknown"), ("", "Failed")])
def test_a_call_that_was_not_allowed_did_not_fail(qtbot, failure: Literal["", "denied", "unknown"], said: str) -> None:
    card = ToolCard(ToolCall(key="c", name="shell", succeeded=False, failure=failure))
    qtbot.addWidget(card)
    card.show()
    assert named(card, f"shell, {said}, closed")


def test_a_conversation_follows_its_end_until_the_person_reads_above(qtbot) -> None:
    talk = Conversation("e")
    for number in range(SHOWN + 10):
        talk.apply("message", {"role": "user", "content": f"message {number}", "message_id": str(number)})
    view = ConversationView(answer=lambda *_: None, read=lambda _: None)
    qtbot.addWidget(view)
    view.resize(600, 400)
    view.show()
    view.show_conversation(talk)
    bar = view.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())
    qtbot.waitUntil(lambda: len(seen(view, MessageView)) == SHOWN)
    qtbot.waitUntil(lambda: bar.value() == bar.maximum())
    bar.setValue(0)
    assert not view.follows
    view.heard(talk.apply("message_chunk", {"message_id": "new", "content": "more " * 200}))
    view.grab()
    assert bar.value() == 0, "what arrives does not pull the reader away"
    click(view, "Show earlier")
    assert len(seen(view, MessageView)) == SHOWN + 11
    assert not button(view, "Show earlier").isVisible()


@pytest.mark.parametrize("reads", [False, True], ids=["at its end", "above"])
def test_a_long_conversation_is_made_from_its_end_and_what_is_read_stays_in_its_place(qtbot, reads: bool) -> None:
    talk = Conversation("e")
    for number in range(4 * SHOWN):
        talk.apply("message", {"role": "user", "content": f"message {number}\n" * 5, "message_id": str(number)})
    view = ConversationView(answer=lambda *_: None, read=lambda _: None)
    qtbot.addWidget(view)
    view.resize(600, 400)
    view.show()
    view.show_conversation(talk)
    assert len(view.views) == SEEN
    bar, last = view.verticalScrollBar(), view.views[-1]
    for _ in range(20):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    assert (len(view.views), bar.value()) == (SEEN, bar.maximum())
    if reads:
        bar.setValue(bar.maximum() // 2)
        assert not view.follows
    places = set()

    def whole() -> bool:
        places.add(last.mapTo(view, QPoint()).y())
        return len(view.views) == SHOWN

    qtbot.waitUntil(whole)
    assert whole()
    assert len(places) == 1, "it did not move"
    assert [one.accessibleName().split()[2] for one in view.views] == [str(n) for n in range(3 * SHOWN, 4 * SHOWN)]
    view.hide()
    view.show_conversation(talk)
    view.grab()
    assert len(view.views) == SEEN, "nobody looks"
    oldest = view.views[0]
    view.show()
    qtbot.waitUntil(lambda: len(view.views) == SHOWN)
    assert view.views[-SEEN] is oldest


def test_a_conversation_that_grows_while_its_end_is_followed_keeps_its_end(qtbot) -> None:
    talk = Conversation("e")
    view = ConversationView(answer=lambda *_: None, read=lambda _: None)
    qtbot.addWidget(view)
    view.resize(600, 400)
    view.show()
    view.show_conversation(talk)
    most = 0
    for number in range(4 * SHOWN):
        view.heard(talk.apply("message", {"role": "user", "content": f"message {number}", "message_id": str(number)}))
        most = max(most, len(view.views))
    assert most == 2 * SHOWN
    assert view.views[-1].accessibleName().endswith(f"message {4 * SHOWN - 1}")
    before = len(view.views)
    click(view, "Show earlier")
    assert len(view.views) == before + SHOWN
    numbers = [int(one.accessibleName().split()[2]) for one in view.views]
    assert numbers == list(range(numbers[0], 4 * SHOWN))


def test_the_conversations_clock_runs_only_while_a_tool_runs_and_is_seen(qtbot) -> None:
    talk = Conversation("e")
    view = ConversationView(answer=lambda *_: None, read=lambda _: None)
    qtbot.addWidget(view)
    view.show()
    view.show_conversation(talk)
    assert not ticks(view)
    view.heard(talk.apply("tool_started", {"tool_execution_id": "c", "tool_name": "x"}, at=AT))
    assert ticks(view)
    view.hide()
    assert not ticks(view)
    view.show()
    view.heard(talk.apply("tool_completed", {"tool_execution_id": "c", "status": "success"}, at=AT))
    assert not ticks(view)


def test_controls_have_names_and_keep_them_with_their_text(qtbot) -> None:
    button, icon, nav, switch = Button("Go"), IconButton("copy", "Copy"), NavButton("logs", "Logs"), Switch("On")
    choice = Choice("Level", [("a", "A"), ("b", "B")])
    for one in (button, icon, nav, switch, choice):
        qtbot.addWidget(one)
        assert one.accessibleName()
        assert not one.grab().isNull()
    button.setText("Stop")
    nav.set_count(3)
    assert (button.accessibleName(), nav.accessibleName()) == ("Stop", "Logs, 3")
    choice.choose("b")
    choice.offer([("b", "B"), ("c", "C")])
    assert choice.chosen == "b"
    choice.offer([("c", "C")])
    assert choice.chosen == "c"


@pytest.mark.parametrize("chosen", [False, True])
def test_the_keyboard_leaves_a_ring_in_the_side_bar_and_the_mouse_none(qtbot, chosen: bool) -> None:
    side, first, second = QWidget(), NavButton("logs", "Logs"), NavButton("health", "Health")
    qtbot.addWidget(side)
    for place, one in enumerate((first, second)):
        one.setParent(side)
        one.setGeometry(0, 50 * place, 180, 36)
    side.show()
    side.activateWindow()
    qtbot.waitUntil(side.isActiveWindow)
    second.setChecked(chosen)

    def ringed() -> bool:
        return second.grab().toImage().pixelColor(90, 0) == QColor(theme().palette.accent_ink)

    first.setFocus(Qt.FocusReason.MouseFocusReason)
    assert not ringed()
    second.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(ringed)
    first.setFocus(Qt.FocusReason.MouseFocusReason)
    second.setFocus(Qt.FocusReason.MouseFocusReason)
    qtbot.waitUntil(lambda: not ringed())


def test_a_banner_says_a_sentence_and_offers_one_thing(qtbot) -> None:
    banner, did = Banner(), []
    qtbot.addWidget(banner)
    banner.say("<i>It failed.</i>", action="Retry", act=lambda: did.append(1))
    assert banner.sentence == "<i>It failed.</i>"
    click(banner, "Retry")
    assert did == [1]
    assert banner.isHidden()


@pytest.mark.parametrize("size_bytes", [0, 840, 1_000, 1_024, 1_234_567, 16 * 2**30])
def test_a_size_is_the_same_in_window_and_terminal(size_bytes: int) -> None:
    assert size_text(size_bytes) == size(size_bytes)


def test_an_empty_page_says_its_sentence_within_its_width(qtbot) -> None:
    made = EmptyState("agent", "Nothing here yet", "Something appears as soon as somebody asks for it. " * 2)
    qtbot.addWidget(made)
    for width in (230, 900):
        made.resize(width, 400)
        made.show()
        assert made.width() == width
        [sentence] = [one for one in seen(made, Label) if one.text().startswith("Something")]
        assert sentence.geometry().left() >= 0
        assert sentence.geometry().right() < min(width, 700)
        qtbot.waitUntil(lambda one=sentence: one.height() >= one.heightForWidth(one.width()))
