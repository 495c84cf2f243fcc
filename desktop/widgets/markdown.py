"""Markdown as widgets: text and code blocks one under the other. A stream changes only what is at its end."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt, QUrl, Signal
from PySide6.QtGui import QFont, QResizeEvent, QTextOption, QWheelEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.widgets.code import CodeBlock
from desktop.widgets.text import Label

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

RENDER_LIMIT = 30_000
"""Characters that are rendered; a longer text is cut with a remark. Copy and export have the whole."""

WORD_LIMIT = 1_000
"""Characters without a space that are laid out in one piece."""


_LINE_END = re.compile(r"\r\n?|\n")

SEGMENT_BLOCKS = 6
"""Paragraphs, lists and the like in one widget: what streams lays out only the last of these."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a document: HTML, or code in a language. `start` is the character at which it begins."""

    kind: str
    content: str
    language: str = ""
    start: int = field(default=0, compare=False)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image_as_text)
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", lambda *_: "</p>")
    return parser


def _image_as_text(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """A picture's description: nothing is ever loaded because a model wrote its address."""
    from html import escape

    return f"[{escape(tokens[index].content or 'image')}]"


def _heading(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """A paragraph of a class: Qt gives `h1` and its like sizes that no style sheet takes away."""
    return f'<p class="{tokens[index].tag}">'


def segments(markdown: str, *, after: int = 0) -> list[Segment]:
    """Split a document, from a character on, at its code blocks. HTML in it stays visible as text."""
    parser = _parser()
    markdown = markdown[after:]
    starts = [after, *(after + end.end() for end in _LINE_END.finditer(markdown))]
    found: list[Segment] = []
    prose: list[Any] = []

    def begin(token: Any) -> int:
        return starts[min(token.map[0], len(starts) - 1)] if token.map else after

    def close() -> None:
        if prose:
            html = parser.renderer.render(prose, parser.options, {})
            found.append(Segment("html", html, start=begin(prose[0])))
            prose.clear()

    depth = blocks = 0
    for token in parser.parse(markdown):
        if depth == 0 and token.type in {"fence", "code_block"}:
            close()
            language = token.info.split()[0] if token.info.split() else ""
            found.append(Segment("code", token.content.rstrip("\n"), language.lower(), start=begin(token)))
            continue
        if depth == 0 and token.nesting >= 0:
            blocks = blocks + 1 if prose else 1
            if blocks > SEGMENT_BLOCKS:
                close()
                blocks = 1
        depth += token.nesting
        prose.append(token)
    close()
    return found


class Prose(QTextBrowser):
    """Rich text as high as it is. Loads nothing; says which link was chosen."""

    link_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setOpenLinks(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setTabChangesFocus(True)
        self.setAccessibleName(tr("Message"))
        self.document().setDocumentMargin(0)
        self.viewport().setAutoFillBackground(False)
        self._html = ""
        self.anchorClicked.connect(lambda url: self.link_chosen.emit(url.toString()))
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        theme().changed.connect(self._dress)
        self._dress()

    def show_html(self, html: str) -> None:
        if html != self._html:
            self._html = html
            self.setHtml(html)
            self._fit()

    def loadResource(self, kind: int, name: QUrl | str) -> Any:  # noqa: N802 (Qt's own name)
        return None

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(60, 10)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's own name)
        event.ignore()

    def _fit(self, *_: object) -> None:
        self.document().setTextWidth(self.viewport().width())
        height = math.ceil(self.document().size().height())
        if height != self.height():
            self.setFixedHeight(max(1, height))

    def _dress(self) -> None:
        colors = theme().palette
        size, code = theme().font("body").pixelSize(), theme().font("code")
        self.document().setDefaultFont(_reading_font())
        self.document().setIndentWidth(18)
        self.document().setDefaultStyleSheet(
            f"p, li {{ line-height: 148%; margin: 0 0 8px 0; }} li {{ margin: 0 0 2px 0; }} li p {{ margin: 0; }}"
            f".h1 {{ font-size: {size + 6}px; font-weight: 600; margin: 6px 0 8px 0; }}"
            f".h2 {{ font-size: {size + 3}px; font-weight: 600; margin: 6px 0 6px 0; }}"
            f".h3, .h4, .h5, .h6 {{ font-size: {size + 1}px; font-weight: 600; margin: 4px 0 4px 0; }}"
            f"a {{ color: {colors.accent_ink}; text-decoration: none; }} ul, ol {{ margin: 0 0 8px 0; }}"
            f"code {{ font-family: '{code.family()}'; font-size: {code.pixelSize()}px;"
            f" background-color: {colors.raised}; }}"
            f"blockquote {{ color: {colors.muted}; margin: 0 0 8px 12px; }}"
            f"th {{ text-align: left; font-weight: 600; padding: 4px 16px 4px 0; color: {colors.muted}; }}"
            f"td {{ padding: 4px 16px 4px 0; }}"
        )
        if self._html:
            self.setHtml(self._html)


class MarkdownView(QWidget):
    """A document that may still be growing."""

    link_chosen = Signal(str)

    def __init__(self, markdown: str = "") -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        self._segments: list[Segment] = []
        self._parts: list[Prose | CodeBlock] = []
        self._more = Label("", role="small", tone="muted", wrap=True)
        self._more.hide()
        self._layout.addWidget(self._more)
        self._source = self._shown = ""
        if markdown:
            self.show_markdown(markdown)

    @property
    def source(self) -> str:
        return self._source

    def show_markdown(self, markdown: str) -> None:
        """Show a document. What is as before keeps its widget, so that text which grows moves nothing above it."""
        if markdown == self._source:
            return
        self._source = markdown
        shown = _breakable(markdown[:RENDER_LIMIT])
        if self._segments and shown.startswith(self._shown):  # it only grew: what is before its last piece stays
            fresh = [*self._segments[:-1], *segments(shown, after=self._segments[-1].start)]
        else:
            fresh = segments(shown)
        self._shown = shown
        for number, segment in enumerate(fresh):
            if number < len(self._parts) and _fits(self._segments[number], segment):
                if self._segments[number] != segment:
                    self._fill(self._parts[number], segment)
                continue
            self._drop_from(number)
            self._add(segment)
        self._drop_from(len(fresh))
        self._segments = fresh
        left = len(markdown) - RENDER_LIMIT
        if left > 0:
            self._more.setText(tr("… and {n} more characters. Copy or export to read them.", n=f"{left:,}"))
        self._more.setVisible(left > 0)

    # -- below ----------------------------------------------------------------------------------------------------

    def _add(self, segment: Segment) -> None:
        part: Prose | CodeBlock
        if segment.kind == "code":
            part = CodeBlock(language=segment.language)
        else:
            part = Prose()
            part.link_chosen.connect(self.link_chosen)
        self._parts.append(part)
        self._segments = [*self._segments[: len(self._parts) - 1], segment]
        self._layout.insertWidget(self._layout.count() - 1, part)
        self._fill(part, segment)

    def _fill(self, part: Prose | CodeBlock, segment: Segment) -> None:
        if isinstance(part, CodeBlock):
            part.show_text(segment.content)
        else:
            part.show_html(segment.content)

    def _drop_from(self, number: int) -> None:
        for part in self._parts[number:]:
            self._layout.removeWidget(part)
            part.hide()
            part.deleteLater()
        del self._parts[number:]
        del self._segments[number:]


def _fits(before: Segment, after: Segment) -> bool:
    return before.kind == after.kind and before.language == after.language


def _breakable(text: str) -> str:
    """Zero-width spaces into words without end, which Qt would lay out as one line."""
    if not any(len(word) > WORD_LIMIT for word in text.split()):
        return text
    words = text.split(" ")
    return " ".join(
        "\u200b".join(word[at : at + WORD_LIMIT] for at in range(0, len(word), WORD_LIMIT))
        if len(word) > WORD_LIMIT
        else word
        for word in words
    )


def _reading_font() -> QFont:
    font = theme().font("body")
    font.setPixelSize(font.pixelSize() + 1)
    return font
