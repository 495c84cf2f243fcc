"""Code with colours: a highlighter over Pygments, and a block with its language and a copy button."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QResizeEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextDocument,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QVBoxLayout

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.widgets.buttons import IconButton
from desktop.widgets.layouts import row
from desktop.widgets.text import Label

if TYPE_CHECKING:
    from pygments.lexer import Lexer

HIGHLIGHT_LIMIT = 20_000
"""Characters above which code stays in one colour: it is not read for its colours any more."""

LINES_SHOWN = 22
_LINES_AT_LEAST = 3
"""Of a text that shrinks."""

LINE_LIMIT = 2_000
"""Characters of one line that are laid out: Qt's layout of a line without end takes seconds."""


@lru_cache(maxsize=32)
def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return None


class Highlighter(QSyntaxHighlighter):
    """Lexes the whole text once and colours line by line."""

    def __init__(self, document: QTextDocument, language: str) -> None:
        self._language = language
        self._lines: list[list[tuple[int, int, str]]] = []
        super().__init__(document)

    def learn(self, text: str) -> None:
        """The text that the document is about to hold."""
        self._lines = [[]]
        lexer = _lexer(self._language) if self._language and len(text) <= HIGHLIGHT_LIMIT else None
        if lexer is None:
            return
        column = 0
        for token, value in lexer.get_tokens(text):
            color = _color_of(str(token))
            for number, piece in enumerate(value.split("\n")):
                if number:
                    self._lines.append([])
                    column = 0
                if color and piece:
                    self._lines[-1].append((column, len(piece), color))
                column += len(piece)

    def highlightBlock(self, text: str) -> None:  # noqa: N802 (Qt's own name)
        number = self.currentBlock().blockNumber()
        if number >= len(self._lines):
            return
        for start, length, color in self._lines[number]:
            form = QTextCharFormat()
            form.setForeground(QColor(getattr(theme().palette, color)))
            self.setFormat(start, length, form)


def _color_of(token: str) -> str:
    for beginning, color in (
        ("Token.Keyword", "code_keyword"),
        ("Token.Literal.String", "code_text"),
        ("Token.Literal.Number", "code_number"),
        ("Token.Comment", "code_comment"),
        ("Token.Name.Function", "code_name"),
        ("Token.Name.Class", "code_name"),
        ("Token.Name.Builtin", "code_name"),
        ("Token.Name.Tag", "code_name"),
        ("Token.Name.Attribute", "code_name"),
        ("Token.Operator.Word", "code_keyword"),
        ("Token.Generic.Inserted", "success_ink"),
        ("Token.Generic.Deleted", "danger_ink"),
        ("Token.Generic.Heading", "code_name"),
        ("Token.Generic.Subheading", "code_comment"),
    ):
        if token.startswith(beginning):
            return color
    return ""


class CodeText(QPlainTextEdit):
    """Read-only text in the code font, as high as its lines up to a limit; the wheel goes on to the page."""

    def __init__(
        self, name: str, *, language: str = "", lines: int = LINES_SHOWN, wraps: bool = False, shrinks: bool = False
    ) -> None:
        """With `wraps`, nothing lies beyond the right edge, and no line is cut. With `shrinks` it is less high where
        there is no room, and scrolls.
        """
        super().__init__()
        self._most, self._wraps, self._shrinks = lines, wraps, shrinks
        self._width = -1
        self.setProperty("variant", "plain")
        self.setFont(theme().font("code"))
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth if wraps else QPlainTextEdit.LineWrapMode.NoWrap)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.document().setDocumentMargin(0)
        self.viewport().setAutoFillBackground(False)
        self._highlighter = Highlighter(self.document(), language)
        self._fit()
        theme().changed.connect(self._highlighter.rehighlight)

    def show_text(self, text: str) -> None:
        """Replace the text; what is appended only is appended, so that nothing jumps."""
        text = text.replace("\t", "    ")
        text = _broken_lines(text) if self._wraps else _short_lines(text)
        before = self.toPlainText()
        if text == before:
            return
        self._highlighter.learn(text)
        bar, across = self.verticalScrollBar().value(), self.horizontalScrollBar().value()
        self.setPlainText(text)
        self.verticalScrollBar().setValue(bar)
        self.horizontalScrollBar().setValue(across)
        self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's own name)
        bar = self.verticalScrollBar()
        down = event.angleDelta().y() < 0
        stuck = bar.maximum() == 0 or bar.value() == (bar.maximum() if down else bar.minimum())
        if stuck and event.angleDelta().x() == 0:
            event.ignore()
            return
        super().wheelEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        if self._shrinks:  # a bar that comes and goes with the height is none of its business
            if self.width() == self._width:
                return
            self._width = self.width()
        self._fit()

    def _fit(self) -> None:
        """As high as the lines, and as the bar below them where one of them is too long."""
        if self._wraps:
            self._fit_wrapped()
            return
        lines, off = self.toPlainText().split("\n"), Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        whole = len(lines) <= self._most
        self.setVerticalScrollBarPolicy(off if whole else Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        wide = self.fontMetrics().horizontalAdvance(max(lines[:500], key=len)) > self.viewport().width() > 0
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn if wide else off)
        height = math.ceil(min(len(lines), self._most) * self.fontMetrics().lineSpacing()) + (18 if wide else 2)
        if height != self.height():
            self.setFixedHeight(height)

    def _fit_wrapped(self) -> None:
        lines = max(1, round(self.document().size().height()))
        off, needed = Qt.ScrollBarPolicy.ScrollBarAlwaysOff, Qt.ScrollBarPolicy.ScrollBarAlwaysOn
        self.setHorizontalScrollBarPolicy(off)
        self.setVerticalScrollBarPolicy(off if lines <= self._most else needed)
        spacing = self.fontMetrics().lineSpacing()
        height = math.ceil(min(lines, self._most) * spacing) + 2
        if self._shrinks:
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
            self.setMinimumHeight(math.ceil(min(lines, _LINES_AT_LEAST) * spacing) + 2)
            self.setMaximumHeight(height)
        elif height != self.height():
            self.setFixedHeight(height)


class CodeBlock(QFrame):
    """Code on its own ground, with its language and a button that copies it."""

    def __init__(
        self, text: str = "", *, language: str = "", name: str = "", lines: int = LINES_SHOWN, wraps: bool = False
    ) -> None:
        super().__init__()
        self.setProperty("ground", "sunken")
        self._whole = text
        self._copy = IconButton("copy", tr("Copy"))
        self._copy.clicked.connect(self._to_clipboard)
        self._label = Label(name or language or tr("text"), role="caption", tone="muted")
        self.text = CodeText(name or tr("Code"), language=language, lines=lines, wraps=wraps)
        self.head = row(self._label, None, self._copy)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(14, 4, 6, 10)
        self.body.setSpacing(2)
        self.body.addLayout(self.head)
        self.body.addWidget(self.text)
        self.text.show_text(text)

    def say(self, name: str) -> None:
        """What stands above it."""
        self._label.setText(name)

    def show_text(self, text: str) -> None:
        self._whole = text
        self.text.show_text(text)

    def _to_clipboard(self) -> None:
        QGuiApplication.clipboard().setText(self._whole)
        self._copy.set_icon("check")
        self._copy.set_name(tr("Copied"))
        QTimer.singleShot(1500, self._copy, self._copied_long_ago)

    def _copied_long_ago(self) -> None:
        self._copy.set_icon("copy")
        self._copy.set_name(tr("Copy"))


def _broken_lines(text: str) -> str:
    """Long lines in pieces, each of which but the last ends in a mark."""
    if len(text) <= LINE_LIMIT:
        return text
    return "\n".join(
        " ↵\n".join(line[at : at + LINE_LIMIT] for at in range(0, len(line), LINE_LIMIT)) for line in text.split("\n")
    )


def _short_lines(text: str) -> str:
    if len(text) <= LINE_LIMIT:
        return text
    return "\n".join(line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + " …" for line in text.split("\n"))
