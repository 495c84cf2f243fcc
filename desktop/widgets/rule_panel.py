"""The rule that "always" writes, before it is written; where that is possible, to be changed first."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.models.own_rule import RuleVerdict
from desktop.widgets.buttons import Button
from desktop.widgets.code import CodeText, Highlighter
from desktop.widgets.layouts import column
from desktop.widgets.text import Label
from desktop.widgets.wrapping import Wrapped

LINES_SHOWN = 12
LINES_AT_LEAST = 4


class RulePanel(QFrame):
    """Hidden until somebody wants it. Its answer is the same for the whole machine, and for every execution after."""

    def __init__(
        self, *, write: Callable[[], object], back: Callable[[], object], verdict: Callable[[str], RuleVerdict]
    ) -> None:
        """`verdict` is asked about what stands there, at each change."""
        super().__init__()
        self.setProperty("ground", "sunken")
        self._verdict = verdict
        self._rule = ""
        self._may_write, self._fits = True, True
        self._says = Label("", role="small", tone="muted", wrap=True)
        self._text: CodeText | RuleEditor | None = None  # an editor for each card would be dear
        self._judged = Label("", role="small", wrap=True)
        self._judged.hide()
        self.write = Button(tr("Write it and allow"), icon="check", variant="primary")
        self._as_it_was = Button(tr("As it was"), variant="quiet")
        self._as_it_was.hide()
        self._back = Button(tr("Back"), variant="quiet")
        self.write.clicked.connect(lambda: write())
        self._as_it_was.clicked.connect(self._undo)
        self._back.clicked.connect(lambda: back())
        buttons = Wrapped(self.write, self._back, self._as_it_was)
        self._column = column(self._says, self._judged, buttons, margins=(14, 10, 10, 10))
        self.setLayout(self._column)
        self.hide()

    @property
    def changed(self) -> str:
        """What stands in the place of the rule; empty where it is the rule itself."""
        text = self._text.toPlainText() if isinstance(self._text, RuleEditor) else ""
        return "" if text.strip() == self._rule.strip() else text

    def show_rule(self, rule: str, *, editable: bool) -> None:
        """Empty: it is not known which."""
        if rule and editable:
            said = tr(
                "This rule is added to the policy, and nothing that it names is asked again. It can be changed first: "
                "* is any text. Settings shows it."
            )
        elif rule:
            said = tr("This rule is added to the policy, and nothing that it names is asked again. Settings shows it.")
        else:
            said = tr("A rule for exactly this is added to the policy. Settings shows it.")
        self._says.setText(said)
        self._rule = rule
        if self._text is None:
            if editable:
                self._text = RuleEditor()
                self._text.textChanged.connect(self._judge)
            else:
                self._text = CodeText(tr("The rule"), language="toml", lines=LINES_SHOWN, wraps=True)
            self._column.insertWidget(1, self._text)
        self._text.show_text(rule)
        self._text.setVisible(bool(rule))
        self._judge()

    def allow_writing(self, may: bool) -> None:
        """Whether it is the time for an answer; the rule itself must fit as well."""
        self._may_write = may
        self.write.setEnabled(may and self._fits)
        if isinstance(self._text, RuleEditor):
            self._text.setReadOnly(not may)

    def _judge(self) -> None:
        changed = self.changed
        self._judged.setVisible(bool(changed))
        self._as_it_was.setVisible(bool(changed))
        self._fits = True
        if changed:
            found = self._verdict(changed)
            self._fits = found.fits
            self._judged.set_tone("danger" if not found.fits else "warning" if found.is_wider else "success")
            self._judged.setText(found.sentence)
        self.allow_writing(self._may_write)

    def _undo(self) -> None:
        if self._text is not None:
            self._text.show_text(self._rule)
            self._text.setFocus()


class RuleEditor(QPlainTextEdit):
    """A rule, as high as its lines within limits. Plain text, whatever it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("variant", "field")
        self.setFont(theme().font("code"))
        self.setAccessibleName(tr("The rule"))
        self.setTabChangesFocus(True)
        self._highlighter = Highlighter(self.document(), "toml")
        self._coloured = ""
        self.textChanged.connect(self._colour)
        theme().changed.connect(self._highlighter.rehighlight)

    def show_text(self, text: str) -> None:
        """Replace the text."""
        if text != self.toPlainText():
            self.setPlainText(text)

    def _colour(self) -> None:
        text = self.toPlainText()
        if text == self._coloured:
            return
        self._coloured = text
        self._highlighter.learn(text)
        self._highlighter.rehighlight()
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        lines = max(LINES_AT_LEAST, round(self.document().size().height()))
        needed, off = Qt.ScrollBarPolicy.ScrollBarAsNeeded, Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.setVerticalScrollBarPolicy(off if lines <= LINES_SHOWN else needed)
        around = self.height() - self.viewport().height() + 2 * math.ceil(self.document().documentMargin())
        height = math.ceil(min(lines, LINES_SHOWN) * self.fontMetrics().lineSpacing()) + around
        if height != self.height():
            self.setFixedHeight(height)
