"""A question whether a tool may run, with its answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame

from desktop.look.language import tr
from desktop.look.menus import Menu
from desktop.look.tokens import Space, Tone
from desktop.look.wording import moment, when_text
from desktop.models.conversation_items import Approval
from desktop.models.own_rule import verdict
from desktop.widgets.buttons import Button
from desktop.widgets.form import Form
from desktop.widgets.layouts import column, row
from desktop.widgets.pills import Pill
from desktop.widgets.question import QuestionView
from desktop.widgets.rule_panel import RulePanel
from desktop.widgets.surfaces import IconTile
from desktop.widgets.text import ElidedLabel
from desktop.widgets.wrapping import Wrapped
from worker_core.basics.visible import visible_line
from worker_core.snapshot import Scope

Answer = Callable[[Approval, bool, Scope], None]
"""Approval, allow, and scope: `once`, `execution` or `always`."""

Read = Callable[[Approval], None]
"""Gets the whole question; `refresh` shows it."""


class ApprovalCard(QFrame):
    """Shows one `Approval`. The buttons go as soon as an answer arrives; until then they wait for it.

    What is not shown cannot be allowed: where some of it is left out, it is read whole first.
    """

    def __init__(
        self,
        approval: Approval,
        *,
        answer: Answer,
        read: Read,
        where: str = "",
        show: Callable[[], object] | None = None,
        narrow: bool = False,
    ):
        """`narrow`: for a column of some 300 pixels, where all that is shown waits for an answer."""
        super().__init__()
        self.setProperty("ground", "card")
        self.approval, self._answer = approval, answer
        self._tile = IconTile("approvals", tone="warning", size=36)
        asks = tr("{tool} asks you", tool=visible_line(approval.tool))
        title = asks if approval.in_call else tr("{tool} asks to run", tool=visible_line(approval.tool))
        if approval.about_budget:
            title = tr("A budget is used up")
        self.setAccessibleName(f"{title}: {approval.summary[:300]}")
        self._pill = Pill()
        if narrow:
            self._pill.hide()
        self._where = where
        self._when = ElidedLabel("", role="small", tone="muted")
        head = row(
            self._tile,
            column(ElidedLabel(title, role="strong"), self._when, gap=1),
            self._pill,
            gap=Space.M,
        )
        head.setStretch(1, 1)
        allow = tr("Answer") if approval.in_call else tr("Allow once")
        deny = tr("Decline") if approval.in_call else tr("Deny")
        if approval.about_budget:
            allow, deny = tr("Allow more"), tr("End the turn")
        self._allow = Button(allow, icon="check", variant="primary")
        self._more = Button(tr("Allow always…"))
        if approval.in_call:
            self._more.hide()
        self._deny = Button(deny, variant="danger")
        self.form = Form(approval.fields)
        self._allow.clicked.connect(lambda: self._say(allow=True, scope="once"))
        self._deny.clicked.connect(lambda: self._say(allow=False, scope="once"))
        self._asked = False
        menu = Menu(self)
        menu.addAction(tr("For this execution")).triggered.connect(lambda: self._say(allow=True, scope="execution"))
        self._always = menu.addAction(tr("Always…"))
        self._always.triggered.connect(self._show_rule)
        self._more.setMenu(menu)
        self._buttons = QFrame()
        answers = Wrapped(self._allow, self._more, self._deny)
        line = row(answers)
        line.setStretch(0, 1)
        if show is not None:
            look = Button(tr("Show conversation"), variant="quiet")
            look.clicked.connect(lambda: show())
            (answers if narrow else line).addWidget(look)
            line.setAlignment(look, Qt.AlignmentFlag.AlignTop)
        self._buttons.setLayout(line)
        self._question = QuestionView(approval.parts, read=lambda: read(approval), narrow=narrow)
        self.rule = RulePanel(
            write=lambda: self._say(allow=True, scope="always"),
            back=self._hide_rule,
            verdict=lambda text: verdict(approval, text),
        )
        margins = (12, 12, 12, 12) if narrow else (16, 14, 16, 14)
        self.setLayout(column(head, self._question, self.form, self.rule, self._buttons, gap=Space.M, margins=margins))
        self.refresh()

    def refresh(self) -> None:
        said: dict[str, tuple[str, Tone]] = {
            "": (tr("Waits for you"), "warning"),
            "allowed": (tr("Allowed"), "success"),
            "denied": (tr("Denied"), "danger"),
            "expired": (tr("Expired"), "neutral"),
        }
        text, tone = said.get(self.approval.answer, (self.approval.answer, "neutral"))
        if self.approval.adrift and not self.approval.answer:
            text, tone = tr("Waits for a worker"), "neutral"
        self._pill.say(text, tone)
        until = self.approval.expires_at if self.approval.waits else None
        limit = tr("waits until {time}", time=moment(until, datetime.now(UTC))) if until is not None else ""
        told = (limit, self._where, when_text(self.approval.asked_at))
        self._when.setText("  ·  ".join(part for part in told if part))
        self._tile.set_tone("approvals", tone)
        self.rule.setVisible(self.approval.waits and not self.rule.isHidden())
        self._buttons.setVisible(self.approval.waits and self.rule.isHidden())
        self.form.setVisible(self.approval.waits and bool(self.approval.fields))
        self._question.show_parts(self.approval.parts)
        self._question.whole.setVisible(self.approval.waits)
        self._wake()

    def _show_rule(self) -> None:
        """What would be written is seen before it is; where it is not known, at least that a rule is."""
        self.rule.show_rule(self.approval.rule, editable=bool(self.approval.workspace))
        self.rule.show()
        self._buttons.hide()
        self.rule.write.setFocus()

    def _hide_rule(self) -> None:
        self.rule.hide()
        self._buttons.setVisible(self.approval.waits)
        self._more.setFocus()

    def _say(self, *, allow: bool, scope: Scope) -> None:
        self._asked = True
        self._wake()
        self.approval.values, self.approval.own_rule = self.form.values, self.rule.changed
        self._answer(self.approval, allow, scope)

    def wake(self) -> None:
        """The answer did not get through: it can be given again."""
        self._asked = False
        self._wake()

    def _wake(self) -> None:
        """What can be answered now. A rule is written for what was shown at once alone."""
        self._allow.setEnabled(not self._asked and self.approval.was_shown)
        self._more.setEnabled(not self._asked and self.approval.was_shown)
        self._always.setVisible(not self.approval.left_out and self.approval.lasts)
        self.rule.allow_writing(not self._asked and self.approval.was_shown and not self.approval.left_out)
        self._deny.setEnabled(not self._asked)
