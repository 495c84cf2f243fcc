"""The rule that "always" writes, before it is written."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFrame

from desktop.look.language import tr
from desktop.widgets.buttons import Button
from desktop.widgets.code import CodeText
from desktop.widgets.layouts import column, row
from desktop.widgets.text import Label


class RulePanel(QFrame):
    """Hidden until somebody wants it. Its answer is the same for the whole machine, and for every execution after."""

    def __init__(self, *, write: Callable[[], object], back: Callable[[], object]) -> None:
        super().__init__()
        self.setProperty("ground", "sunken")
        self._says = Label("", role="small", tone="muted", wrap=True)
        self._text: CodeText | None = None  # an editor for each card would be dear
        self.write = Button(tr("Write it and allow"), icon="check", variant="primary")
        self._back = Button(tr("Back"), variant="quiet")
        self.write.clicked.connect(lambda: write())
        self._back.clicked.connect(lambda: back())
        self._column = column(self._says, row(self.write, self._back, None), margins=(14, 10, 10, 10))
        self.setLayout(self._column)
        self.hide()

    def show_rule(self, rule: str) -> None:
        """Empty: it is not known which."""
        if rule:
            said = tr("This rule is added to the policy, and nothing that it names is asked again. Settings shows it.")
        else:
            said = tr("A rule for exactly this is added to the policy. Settings shows it.")
        self._says.setText(said)
        if self._text is None:
            self._text = CodeText(tr("The rule"), language="toml", lines=8, wraps=True)
            self._column.insertWidget(1, self._text)
        self._text.show_text(rule)
        self._text.setVisible(bool(rule))
