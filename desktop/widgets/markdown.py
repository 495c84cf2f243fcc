"""Markdown as widgets, one under the other: text, code, tables, quotations. A stream changes only its end."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt, QUrl, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextLength,
    QTextOption,
    QTextTable,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QVBoxLayout, QWidget

from desktop.look.language import number_text, tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.widgets.code import CodeBlock
from desktop.widgets.diagram import DiagramBlock
from desktop.widgets.list_marks import ListMark, paint_marks, take_marks
from desktop.widgets.markdown_text import Segment, segments
from desktop.widgets.surfaces import Line
from desktop.widgets.text import Label

RENDER_LIMIT = 30_000
"""Characters that are rendered; a longer text is cut with a remark. Copy and export have the whole."""

WORD_LIMIT = 1_000
"""Characters without a space that are laid out in one piece."""

WIDE_COLUMN = 24
"""Width of a table's column with long cells, in sizes of the font: some 45 characters."""

DIAGRAMS = {"plantuml": "PlantUML", "puml": "PlantUML", "dot": "Graphviz", "graphviz": "Graphviz"}
"""Languages that others draw pictures of. Here they are read: what draws them runs what a text says."""

CELL_PADDING = 26
"""Pixels between two columns."""


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
        self.marks: dict[int, ListMark] = {}
        self.anchorClicked.connect(lambda url: self.link_chosen.emit(url.toString()))
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        theme().changed.connect(self._dress)
        self._dress()

    def show_html(self, html: str) -> None:
        if html != self._html:
            self._html = html
            self._lay_out()
            self._fit()

    def _lay_out(self) -> None:
        self.setHtml(self._html)
        self.marks = take_marks(self.document()) if "<li" in self._html else {}

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        super().paintEvent(event)
        if self.marks:
            paint_marks(QPainter(self.viewport()), self.document(), self.marks, within=QRectF(event.rect()))

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
        self.document().setIndentWidth(22)
        self.document().setDefaultStyleSheet(
            f"p, li {{ line-height: 130%; margin: 0 0 8px 0; }} li {{ margin: 0 0 2px 0; }} li p {{ margin: 0; }}"
            f".h1 {{ font-size: {size + 6}px; font-weight: 600; margin: 6px 0 8px 0; }}"
            f".h2 {{ font-size: {size + 3}px; font-weight: 600; margin: 6px 0 6px 0; }}"
            f".h3, .h4, .h5, .h6 {{ font-size: {size + 1}px; font-weight: 600; margin: 4px 0 4px 0; }}"
            f"a {{ color: {colors.accent_ink}; text-decoration: none; }} ul, ol {{ margin: 0 0 8px 0; }}"
            f"code {{ font-family: '{code.family()}'; font-size: {code.pixelSize()}px;"
            f" background-color: {colors.raised}; }}"
            f"blockquote {{ color: {colors.muted}; margin: 0; }}"
            f"table {{ border-collapse: collapse; border-style: none; }}"
            f"th, td {{ text-align: left; padding: 5px 20px 5px 0; border-style: none;"
            f" border-bottom: 1px solid {colors.line_strong}; }}"
            f"th {{ font-weight: 600; color: {colors.muted}; }}"
        )
        if self._html:
            self._lay_out()


class Table(Prose):
    """A table as wide as its cells want it, with a bar of its own where that is wider than the page."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(tr("Table"))
        self.setLineWrapMode(QTextBrowser.LineWrapMode.FixedPixelWidth)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's own name)
        """Sideways it is the table's, else the page's."""
        if event.angleDelta().x() and self.horizontalScrollBar().maximum():
            QTextBrowser.wheelEvent(self, event)
        else:
            event.ignore()

    def _lay_out(self) -> None:
        super()._lay_out()
        whole = 0
        for table in self.document().rootFrame().childFrames():
            if isinstance(table, QTextTable):
                widths = _column_widths(table)
                form = table.format()
                form.setColumnWidthConstraints([QTextLength(QTextLength.Type.FixedLength, one) for one in widths])
                table.setFormat(form)
                whole = max(whole, sum(widths))
        self.setLineWrapColumnOrWidth(whole)

    def _fit(self, *_: object) -> None:
        size = self.document().size()
        bar = self.horizontalScrollBar().sizeHint().height() if size.width() > self.viewport().width() else 0
        height = math.ceil(size.height()) + bar
        if height != self.height():
            self.setFixedHeight(max(1, height))


def _column_widths(table: QTextTable) -> list[int]:
    """As wide as the longest cell; long ones go over several lines."""
    font = _reading_font()
    most = font.pixelSize() * WIDE_COLUMN
    font.setWeight(QFont.Weight.DemiBold)
    metrics = QFontMetrics(font)
    return [
        min(most, max(metrics.horizontalAdvance(_cell_text(table, row, column)) for row in range(table.rows())))
        + CELL_PADDING
        for column in range(table.columns())
    ]


def _cell_text(table: QTextTable, row: int, column: int) -> str:
    return table.cellAt(row, column).firstCursorPosition().block().text()


class Quote(QFrame):
    """What somebody else said: a bar beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.prose = Prose()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(Space.M + 3, 0, 0, 0)
        layout.addWidget(self.prose)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme().palette.line_strong))
        painter.drawRoundedRect(0, 0, 3, self.height(), 1.5, 1.5)


Part = Prose | Quote | CodeBlock | Line


class MarkdownView(QWidget):
    """A document that may still be growing."""

    link_chosen = Signal(str)

    def __init__(self, markdown: str = "") -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        self._segments: list[Segment] = []
        self._parts: list[Part] = []
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
        self._say_what_is_left(markdown)

    def show_verbatim(self, text: str) -> None:
        """Show a text as it was written: lines, blanks and signs mean nothing."""
        if text == self._source:
            return
        self._source = text
        self._drop_from(0)
        shown = escape(_breakable(text[:RENDER_LIMIT]))
        self._add(Segment("html", f'<p style="white-space: pre-wrap">{shown}</p>'))
        self._say_what_is_left(text)

    # -- below ----------------------------------------------------------------------------------------------------

    def _say_what_is_left(self, text: str) -> None:
        left = len(text) - RENDER_LIMIT
        if left > 0:
            self._more.setText(tr("… and {n} more characters. Copy or export to read them.", n=number_text(left)))
        self._more.setVisible(left > 0)

    def _add(self, segment: Segment) -> None:
        part = _new_part(segment)
        if (prose := _prose_of(part)) is not None:
            prose.link_chosen.connect(self.link_chosen)
        self._parts.append(part)
        self._segments = [*self._segments[: len(self._parts) - 1], segment]
        self._layout.insertWidget(self._layout.count() - 1, part)
        self._fill(part, segment)

    def _fill(self, part: Part, segment: Segment) -> None:
        if isinstance(part, CodeBlock):
            part.show_text(segment.content)
        elif (prose := _prose_of(part)) is not None:
            prose.show_html(segment.content)

    def _drop_from(self, number: int) -> None:
        for part in self._parts[number:]:
            self._layout.removeWidget(part)
            part.hide()
            part.deleteLater()
        del self._parts[number:]
        del self._segments[number:]


def _new_part(segment: Segment) -> Part:
    match segment.kind:
        case "code":
            if segment.language == "mermaid":
                return DiagramBlock()
            drawn = DIAGRAMS.get(segment.language, "")
            name = tr("Diagram, as its source ({language})", language=drawn) if drawn else ""
            return CodeBlock(language=segment.language, name=name)
        case "table":
            return Table()
        case "quote":
            return Quote()
        case "rule":
            return Line()
        case _:
            return Prose()


def _prose_of(part: Part) -> Prose | None:
    if isinstance(part, Quote):
        return part.prose
    return part if isinstance(part, Prose) else None


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
