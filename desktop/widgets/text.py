"""Labels in the roles of the type scale. Text is always plain: nothing that comes from outside is markup."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from desktop.look.theme import theme
from desktop.look.wording import tooltip_text

LABEL_LIMIT = 2_000
_WORD = 60


class Label(QLabel):
    """Plain text in a role; `tone` is `""`, `muted`, `accent`, `success`, `warning` or `danger`."""

    def __init__(self, text: str = "", *, role: str = "body", tone: str = "", wrap: bool = False) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setFont(theme().font(role))
        self.setProperty("role", tone)
        self.setWordWrap(wrap)
        self.setText(text)

    def setText(self, text: str) -> None:  # noqa: N802 (Qt's own name)
        """Cut to what a label can be for: Qt lays out a text without end until it falls over."""
        super().setText(short(text))

    def set_tone(self, tone: str) -> None:
        if self.property("role") != tone:
            self.setProperty("role", tone)
            self.style().unpolish(self)
            self.style().polish(self)

    def selectable(self) -> Label:
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        return self


class ElidedLabel(Label):
    """One line that ends in an ellipsis where it does not fit; the tooltip then has the whole."""

    def __init__(self, text: str = "", *, role: str = "body", tone: str = "", middle: bool = False) -> None:
        self._mode = Qt.TextElideMode.ElideMiddle if middle else Qt.TextElideMode.ElideRight
        self._cut = False
        super().__init__(text, role=role, tone=tone)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:  # noqa: N802 (Qt's own name)
        super().setText(" ".join(short(text).split()))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(24, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        metrics = QFontMetrics(self.font())
        return QSize(min(900, metrics.horizontalAdvance(self.text()) + 2), metrics.height() + 2)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter = QPainter(self)
        said = QFontMetrics(self.font()).elidedText(self.text(), self._mode, self.width())
        if (cut := said != self.text()) != self._cut:
            self._cut = cut
            self.setToolTip(tooltip_text(self.text()) if cut else "")
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.drawText(self.rect(), int(self.alignment() | Qt.AlignmentFlag.AlignVCenter), said)


def short(text: str) -> str:
    """At most LABEL_LIMIT characters, none of them a NUL, no word longer than a line."""
    text = text[:LABEL_LIMIT].replace("\x00", "\ufffd") + (" …" if len(text) > LABEL_LIMIT else "")
    if any(len(word) > _WORD for word in text.split()):
        text = " ".join(
            "\u200b".join(word[at : at + _WORD] for at in range(0, len(word), _WORD)) or word
            for word in text.split(" ")
        )
    return text


def widget(ground: str = "clear") -> QWidget:
    """A plain container with a ground of the style sheet."""
    made = QWidget()
    made.setProperty("ground", ground)
    made.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    return made
