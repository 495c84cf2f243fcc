"""Cards, banners, empty states: what other things lie on."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from desktop.look.icons import paint_icon
from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space, Tone
from desktop.widgets.buttons import Button, IconButton
from desktop.widgets.layouts import column, row
from desktop.widgets.text import Label


class Icon(QWidget):
    """A picture of the icon set, in a tone."""

    def __init__(self, name: str, *, size: int = 18, tone: Tone | None = "neutral") -> None:
        super().__init__()
        self._name, self._tone = name, tone
        self.setFixedSize(size, size)
        theme().changed.connect(self.update)

    def show_icon(self, name: str, tone: Tone) -> None:
        self._name, self._tone = name, tone
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        colors = theme().palette
        color = colors.text if self._tone is None else colors.ink(self._tone)
        paint_icon(QPainter(self), self._name, color, QRectF(self.rect()))


class Card(QFrame):
    """A surface with a hairline and round corners. Put things into `body`."""

    def __init__(self, title: str = "", *, aside: QWidget | None = None, padding: int = Space.L) -> None:
        super().__init__()
        self.setProperty("ground", "card")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(padding, padding, padding, padding)
        self.body.setSpacing(Space.M)
        self.title = Label(title, role="strong")
        self.head = row()
        if title or aside:
            self.head.addWidget(self.title)
            self.head.addStretch(1)
            if aside is not None:
                self.head.addWidget(aside)
            self.body.addLayout(self.head)

    def narrow(self, words: str) -> bool:
        """Show it only where its title holds these words, in any case; whether it does."""
        found = words.casefold() in self.title.text().casefold()
        self.setVisible(found)
        return found


class Line(QFrame):
    """A hairline."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("ground", "line")
        self.setFixedHeight(1)


class Banner(QFrame):
    """A sentence that matters, in the page and not over it, with at most one thing to do about it."""

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._icon = Icon("info", size=18)
        self._text = Label(wrap=True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._button = Button(tr("Retry"))
        self._close = IconButton("close", tr("Dismiss"))
        self._action: Callable[[], object] | None = None
        self._button.clicked.connect(self._act)
        self._close.clicked.connect(self.hide)
        self.setLayout(row(self._icon, self._text, self._button, self._close, gap=Space.M, margins=(14, 8, 8, 8)))
        self.hide()

    @property
    def sentence(self) -> str:
        return self._text.text()

    def say(
        self, sentence: str, *, tone: Tone = "danger", action: str = "", act: Callable[[], object] | None = None
    ) -> None:
        """Show a sentence until it is dismissed or replaced."""
        self.setProperty("ground", "accent" if tone == "neutral" else tone)
        self.style().unpolish(self)
        self.style().polish(self)
        names = {"danger": "alert", "warning": "alert", "success": "check"}
        self._icon.show_icon(names.get(tone, "info"), tone)
        self._text.setText(sentence)
        self.setAccessibleName(sentence[:500])
        self._action = act
        self._button.setText(action)
        self._button.setVisible(bool(action))
        self.show()

    def _act(self) -> None:
        self.hide()
        if self._action is not None:
            self._action()


class EmptyState(QWidget):
    """What a page says when there is nothing: what would be here, and how to get it."""

    def __init__(
        self, icon: str, title: str, sentence: str, *, action: str = "", act: Callable[[], object] | None = None
    ) -> None:
        super().__init__()
        self._title = Label(title, role="heading")
        self._sentence = Label(sentence, tone="muted", wrap=True)
        self._title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setMinimumWidth(200)
        middle = Qt.AlignmentFlag.AlignHCenter
        tile = IconTile(icon)
        # In a row of its own: a column would ask for its height at the column's width, where it is fewer lines.
        sentence_row = row(None, self._sentence, None, gap=0)
        layout = column(None, tile, Space.S, self._title, sentence_row, gap=Space.S, margins=(24, 24, 24, 24))
        for part in (tile, self._title):
            layout.setAlignment(part, middle)
        if action:
            button = Button(action, variant="primary")
            if act is not None:
                button.clicked.connect(lambda: act())
            layout.addSpacing(Space.S)
            layout.addWidget(button, 0, middle)
        layout.addStretch(1)
        self.setLayout(layout)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._sentence.setFixedWidth(min(380, self.width() - 2 * Space.XL))

    def say(self, title: str, sentence: str) -> None:
        self._title.setText(title)
        self._sentence.setText(sentence)


class IconTile(QWidget):
    """An icon on a soft square."""

    def __init__(self, icon: str, *, tone: Tone = "accent", size: int = 52) -> None:
        super().__init__()
        self._icon, self._tone = icon, tone
        self.setFixedSize(size, size)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return self.size()

    def set_tone(self, icon: str, tone: Tone) -> None:
        self._icon, self._tone = icon, tone
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter, colors, size = QPainter(self), theme().palette, self.width()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.soft(self._tone)))
        painter.drawRoundedRect(QRectF(self.rect()), size * 0.28, size * 0.28)
        edge = size * 0.27
        paint_icon(painter, self._icon, colors.ink(self._tone), QRectF(edge, edge, size - 2 * edge, size - 2 * edge))
