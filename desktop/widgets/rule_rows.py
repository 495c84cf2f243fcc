"""The rules of a policy as lines: what they decide, what about, and why; a click leads to where one stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.widgets.layouts import column, empty, row
from desktop.widgets.pills import pill_size
from desktop.widgets.rulings import line_button, ruling_pill, ruling_words
from desktop.widgets.tab_order import lead_here
from desktop.widgets.text import ElidedLabel, Label
from worker_core.policy.rules import Rule

SHOWN: Final = 50
"""Lines; the rest is counted: the text below has them all."""


class RuleRows(QWidget):
    """Not seen where there is none."""

    chosen = Signal(int)
    """The line, from 1, on which a rule stands."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = QVBoxLayout(self)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(Space.XS)
        self._rules: tuple[Rule, ...] = ()
        self.hide()

    def show_rules(self, rules: Sequence[Rule]) -> None:
        """In their order: of several that fit, the strictest counts."""
        if (wanted := tuple(rules)) == self._rules:
            return
        self._rules = wanted
        empty(self._lines)
        ways = []
        for rule in wanted[:SHOWN]:
            line, there = self._row(rule)
            self._lines.addWidget(line)
            ways.append(there)
        if len(wanted) > SHOWN:
            self._lines.addWidget(Label(tr("{count} more", count=len(wanted) - SHOWN), role="small", tone="muted"))
        self.setVisible(bool(wanted))
        lead_here(self, ways)

    def _row(self, rule: Rule) -> tuple[QWidget, QWidget]:
        words, ruling = ruling_words(), rule.action.word
        effect = QWidget()
        effect.setLayout(row(ruling_pill(ruling), None, gap=0))
        effect.setFixedWidth(max(pill_size(word).width() for word in words.values()))
        about = ElidedLabel(rule.about, role="code", middle=True)
        said = column(about, gap=0)
        if rule.why:
            said.addWidget(ElidedLabel(rule.why, role="small", tone="muted"))
        there = line_button(rule.line, f"{words[ruling]}, {rule.about}", lambda: self.chosen.emit(rule.line))
        line = QWidget()
        across = row(effect, there, gap=Space.S)
        across.insertLayout(1, said, 1)
        line.setLayout(across)
        return line, there
