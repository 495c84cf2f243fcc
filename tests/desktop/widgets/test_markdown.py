from __future__ import annotations

import pytest
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.look.theme import Theme
from desktop.look.tokens import DARK
from desktop.widgets.code import CodeBlock
from desktop.widgets.markdown import RENDER_LIMIT, MarkdownView, Prose, Table
from desktop.widgets.markdown_text import segments

DOCUMENT = "# Title\n\nWords with `code`.\n\n```python\ndef f():\n    return 1\n```\n\nAnd *then* some.\n"


def shown(view: MarkdownView) -> str:
    return "\n".join(part.toPlainText() for part in view.findChildren(Prose))


def test_html_in_a_message_is_text(qtbot) -> None:
    view = MarkdownView('<script>alert(1)</script> <img src="http://example.com/x.png"> <b>bold</b>')
    qtbot.addWidget(view)
    assert '<script>alert(1)</script> <img src="http://example.com/x.png"> <b>bold</b>' in shown(view)


def test_a_picture_is_its_description_and_nothing_is_loaded(qtbot) -> None:
    view = MarkdownView("![a <cat>](https://example.com/cat.png)")
    qtbot.addWidget(view)
    assert shown(view).strip() == "[a <cat>] https://example.com/cat.png", "it says where it is"
    assert "<img" not in view.findChildren(Prose)[0].toHtml()
    assert view.findChildren(Prose)[0].loadResource(QTextDocument.ResourceType.ImageResource.value, "x") is None


def test_a_link_is_told_and_not_followed(qtbot) -> None:
    view = MarkdownView("[here](https://example.com)")
    qtbot.addWidget(view)
    from PySide6.QtCore import QUrl

    with qtbot.waitSignal(view.link_chosen) as told:
        view.findChildren(Prose)[0].anchorClicked.emit(QUrl("https://example.com"))
    assert told.args == ["https://example.com"]


def test_a_stream_keeps_the_widgets_above_its_end(qtbot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    layout, view = QVBoxLayout(window), MarkdownView()
    layout.addWidget(view)
    layout.addStretch(1)
    window.resize(600, 800)
    window.show()
    places: dict[int, set[int]] = {}
    heights: list[int] = []
    for end in range(1, len(DOCUMENT) + 1):
        view.show_markdown(DOCUMENT[:end])
        layout.activate()
        heights.append(view.sizeHint().height())
        for part in view._parts[:-1]:
            places.setdefault(id(part), set()).add(part.y())
    assert [type(part) for part in view._parts] == [Prose, CodeBlock, Prose]
    assert all(len(seen) == 1 for seen in places.values()), "what is above the end never moves"


@pytest.mark.parametrize("step", [1, 7, 50])
def test_a_document_that_streamed_in_is_as_one_that_came_at_once(qtbot, step: int) -> None:
    document = DOCUMENT * 6 + "\r\n\r\n1. one\r\n2. two\r\n\r\n\u2028line\n\n" + "Paragraph.\n\n" * 20
    document += (
        "> said\n\n---\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n\n- [x] done\n- [ ] open\n\nhttps://example.com"
    )
    streamed, whole = MarkdownView(), MarkdownView(document)
    qtbot.addWidget(streamed)
    qtbot.addWidget(whole)
    for end in range(0, len(document) + step, step):
        streamed.show_markdown(document[:end])
    assert streamed._segments == whole._segments
    assert [one.start for one in streamed._segments] == [one.start for one in whole._segments]
    assert len(whole._segments) > 12, "long prose is in several widgets"


def test_ten_megabytes_without_a_space_are_cut_and_broken(qtbot) -> None:
    view = MarkdownView("x" * 10_000_000)
    qtbot.addWidget(view)
    view.resize(500, 400)
    view.show()
    assert len(shown(view)) <= RENDER_LIMIT * 1.1
    assert f"{10_000_000 - RENDER_LIMIT:,} more characters" in view._more.text()
    assert view.minimumSizeHint().width() < 500


def test_text_from_right_to_left_is_laid_out_from_the_right(qtbot) -> None:
    view = MarkdownView("שלום עולם\n\nhello")
    qtbot.addWidget(view)
    document = view.findChildren(Prose)[0].document()
    from PySide6.QtCore import Qt

    assert document.firstBlock().textDirection() is Qt.LayoutDirection.RightToLeft


def test_code_has_colours_and_they_follow_the_scheme(qtbot, look: Theme) -> None:
    view = MarkdownView("```python\ndef f():\n    return 'x'\n```")
    qtbot.addWidget(view)
    block = view.findChildren(CodeBlock)[0]

    def colors() -> set[str]:
        line = block.text.document().firstBlock()
        return {form.format.foreground().color().name() for form in line.layout().formats()}

    assert look.palette.code_keyword in colors()
    look.set_mode("dark")
    assert DARK.code_keyword in colors()


def test_code_with_an_unknown_language_and_lines_without_end_is_shown(qtbot) -> None:
    block = CodeBlock("y" * 5_000_000, language="no-such-language")
    qtbot.addWidget(block)
    assert len(block.text.toPlainText()) < 3_000


def test_segments_keep_code_in_lists_with_their_list() -> None:
    assert [one.kind for one in segments("- a\n\n  ```\n  x\n  ```\n- b")] == ["html"]


TABLE = """
| Service | Endpoint | Cost | Remark |
|---|---|---:|---|
| checkout/ut-api | /v1/checkout/payment-intents/confirm | 12/400.10/€ | %s |
""" % ("words and " * 30)


def test_a_wide_table_scrolls_by_itself_and_breaks_no_word(qtbot) -> None:
    view = MarkdownView(TABLE)
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.show()
    table = view.findChildren(Table)[0]
    assert view.minimumSizeHint().width() < 400
    assert table.horizontalScrollBar().maximum() > 0
    assert table.document().size().width() < 1_200, "long cells go over several lines"
    blocks = []
    block = table.document().begin()
    while block.isValid():
        blocks.append((block.text(), block.layout().lineCount()))
        block = block.next()
    lines = dict(blocks)
    assert lines["checkout/ut-api"] == lines["12/400.10/€"] == 1
    assert next(count for text, count in blocks if text.startswith("words and")) > 3
    assert table.height() >= table.document().size().height()


def test_a_diff_has_the_colours_of_what_came_and_went(qtbot, look: Theme) -> None:
    view = MarkdownView("```diff\n-old\n+new\n```")
    qtbot.addWidget(view)
    document = view.findChildren(CodeBlock)[0].text.document()
    colors = []
    for line in (0, 1):
        colors += {
            form.format.foreground().color().name() for form in document.findBlockByNumber(line).layout().formats()
        }
    assert colors == [look.palette.danger_ink, look.palette.success_ink]


def test_links_in_quotations_and_tables_are_told(qtbot) -> None:
    view = MarkdownView("> https://example.com/q\n\n| a |\n|---|\n| https://example.com/t |")
    qtbot.addWidget(view)
    from PySide6.QtCore import QUrl

    parts = view.findChildren(Prose)
    assert len(parts) == 2
    for part in parts:
        with qtbot.waitSignal(view.link_chosen):
            part.anchorClicked.emit(QUrl("https://example.com/q"))


def test_items_have_marks_of_ours_and_numbers_of_their_own(qtbot) -> None:
    view = MarkdownView("- a\n  - b\n\n    more\n- c\n\n1. one\n\n- [x] done\n- [ ] open\n")
    qtbot.addWidget(view)
    [prose] = view.findChildren(Prose)
    assert list(prose.marks.values()) == ["disc", "ring", "disc", "done", "open"]
    document = prose.document()
    assert {document.findBlockByNumber(number).text().strip() for number in prose.marks} == {
        "a",
        "b",
        "c",
        "done",
        "open",
    }
    view.show_markdown("- a\n")
    assert list(view.findChildren(Prose)[0].marks.values()) == ["disc"]
    view.show_markdown("a\n")
    assert view.findChildren(Prose)[0].marks == {}


def test_a_box_is_filled_where_its_task_is_done(qtbot, look: Theme) -> None:
    look.set_mode("dark")

    def colors(markdown: str) -> set[str]:
        view = MarkdownView(markdown)
        qtbot.addWidget(view)
        view.resize(200, 60)
        picture = view.grab().toImage()
        return {picture.pixelColor(x, y).name() for x in range(24) for y in range(picture.height())}

    assert DARK.accent in colors("- [x] a")
    assert DARK.accent not in colors("- [ ] a")
    assert DARK.muted in colors("- a")
    assert len(colors("a")) < len(colors("- [ ] a")), "an open one has an edge"


@pytest.mark.parametrize(("language", "said"), [("PlantUML", "PlantUML"), ("DOT", "Graphviz"), ("python", "")])
def test_a_diagram_is_said_to_be_one(qtbot, language: str, said: str) -> None:
    view = MarkdownView(f"```{language}\nflowchart LR\n```")
    qtbot.addWidget(view)
    [block] = view.findChildren(CodeBlock)
    assert block._label.text() == (f"Diagram, as its source ({said})" if said else language)
    assert block.text.toPlainText() == "flowchart LR"
