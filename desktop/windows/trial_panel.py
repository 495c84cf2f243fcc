"""Settings, the policy: a call that is typed, and what would become of it by the rules as they stand there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.settings.policy_trial import USUAL_TOOLS, Outlook, TrialKind, TrialReason, TrialWish
from desktop.widgets.buttons import Button
from desktop.widgets.choice import Choice
from desktop.widgets.layouts import column, empty, row, top
from desktop.widgets.rulings import line_button, ruling_pill, ruling_words
from desktop.widgets.tab_order import lead_on
from desktop.widgets.text import ElidedLabel, Label
from desktop.windows.background import Background

TYPING_MS: Final = 150
"""Without a key, before a call is tried."""

SHOWN: Final = 12
"""Reasons; the rest is counted."""

KIND_WIDTH: Final = 150

_EXAMPLES: Final[dict[TrialKind, str]] = {
    "command": "git push origin main",
    "path": "~/reports/june.csv",
    "host": "api.github.com",
    "tool": "python",
}
_BETWEEN_IDS: Final = re.compile(r"[\s,;]+")


class TrialPanel(QWidget):
    """Fields, and below them what would happen, by which rules. It is tried anew with each change."""

    line_wanted = Signal(int)
    """The line, from 1, on which a rule stands."""

    def __init__(
        self,
        judge: Callable[[TrialWish], Awaitable[Outlook]],
        background: Background,
        *,
        policy: Callable[[], str],
        usual_id: str = "",
    ) -> None:
        """`policy` is asked for the text, saved or not; `usual_id` counts where none is named."""
        super().__init__()
        self._judge, self._background, self._policy = judge, background, policy
        self._turn = 0
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._try)
        self.kind = Choice(
            tr("What the call names"),
            [
                ("command", tr("Command")),
                ("path", tr("File or folder")),
                ("host", tr("Host or URL")),
                ("tool", tr("Tool alone")),
            ],
        )
        self.kind.setFixedWidth(theme().scaled(KIND_WIDTH))
        self.call, self.tool, self.ids = QLineEdit(), QLineEdit(), QLineEdit()
        self.call.setFont(theme().font("code"))
        self.call.setAccessibleName(tr("The call to try"))
        self.tool.setAccessibleName(tr("Tool"))
        self.ids.setAccessibleName(tr("Queue, agent or team"))
        self.ids.setPlaceholderText(usual_id or tr("any"))
        self._outlook = QVBoxLayout()
        self._outlook.setContentsMargins(0, 0, 0, 0)
        self._outlook.setSpacing(Space.S)
        line = row(self.kind, self.call, gap=Space.S)
        line.setStretch(1, 1)
        self._of_tool = QWidget()
        self._of_tool.setLayout(column(Label(tr("Tool"), role="small", tone="muted"), self.tool, gap=2))
        of_whom = column(Label(tr("Queue, agent or team"), role="small", tone="muted"), self.ids, gap=2)
        more = row(self._of_tool, of_whom, gap=Space.M)
        more.setStretch(0, 1)
        more.setStretch(1, 1)
        says = tr("Type a call, and see what would become of it by the rules as they stand here. Nothing is run.")
        head = column(Label(tr("Try a call"), role="medium"), Label(says, role="small", tone="muted", wrap=True), gap=2)
        self.setLayout(column(head, line, more, self._outlook, gap=Space.M))
        self.kind.currentIndexChanged.connect(self._named_otherwise)
        for field in (self.call, self.tool, self.ids):
            field.textChanged.connect(self.try_again)
        self._named_otherwise()

    def try_again(self) -> None:
        """Something that counts is another; it is tried when nobody has typed for a moment."""
        self._turn += 1
        if self.call.text().strip():
            self._typing.start()
        else:
            self._typing.stop()
            empty(self._outlook)

    def _named_otherwise(self) -> None:
        self.call.setPlaceholderText(_EXAMPLES[self._kind])
        self.tool.setPlaceholderText(USUAL_TOOLS[self._kind])
        self._of_tool.setVisible(self._kind != "tool")
        self.try_again()

    @property
    def _kind(self) -> TrialKind:
        match self.kind.chosen:
            case "path" | "host" | "tool" as kind:
                return kind
        return "command"

    def _try(self) -> None:
        turn = self._turn
        wish = TrialWish(
            kind=self._kind,
            text=self.call.text().strip(),
            tool=self.tool.text().strip() if self._kind != "tool" else "",
            ids=tuple(one for one in _BETWEEN_IDS.split(self.ids.text()) if one),
            policy=self._policy(),
        )

        async def ask() -> None:
            found = await self._judge(wish)
            if turn == self._turn:  # else another call stands there by now
                self.show_outlook(found)

        self._background.ask(ask(), doing=tr("try the call"))

    def show_outlook(self, found: Outlook) -> None:
        """Say what would become of the call."""
        empty(self._outlook)
        said = Label(found.sentence, role="medium" if found.outcome else "body", wrap=True)
        head = row(said, gap=Space.S)
        head.setStretch(0, 1)
        if found.outcome is not None:
            pill = ruling_pill(found.outcome)
            head.insertWidget(0, pill)
            top(pill, head)
        heard = f"{ruling_words()[found.outcome]}: {found.sentence}" if found.outcome else found.sentence
        first = QWidget()
        first.setLayout(head)
        first.setAccessibleName(heard)
        self._outlook.addWidget(first)
        ways: list[QWidget] = []
        for reason in found.reasons[:SHOWN]:
            line, there = self._reason(reason)
            self._outlook.addWidget(line)
            if there is not None:
                ways.append(there)
        lead_on(self.ids, ways)
        if (more := len(found.reasons) - SHOWN) > 0:
            self._outlook.addWidget(Label(tr("{count} more", count=more), role="small", tone="muted"))
        for note in found.notes:
            self._outlook.addWidget(Label(note, role="small", tone="muted", wrap=True))
        if QAccessible.isActive():
            spoken = " ".join((heard, *(one.what for one in found.reasons[:SHOWN]), *found.notes))
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self.call, spoken))

    def _reason(self, reason: TrialReason) -> tuple[QWidget, Button | None]:
        what = Label(reason.what, wrap=True)
        rule = ElidedLabel(reason.rule, role="code", tone="muted", middle=True)
        line = QWidget()
        across = row(column(what, rule, gap=2), gap=Space.S)
        across.setStretch(0, 1)
        line.setLayout(across)
        if not reason.line:
            place = tr("built in")
            across.addWidget(Label(place[:1].upper() + place[1:], role="small", tone="muted"))
            across.addSpacing(Space.S)
            return line, None
        there = line_button(reason.line, reason.rule, lambda: self.line_wanted.emit(reason.line))
        across.addWidget(there)
        return line, there
