"""A question whether a tool may run, with its answers."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QMenu

from desktop.look.language import tr
from desktop.look.tokens import Space, Tone
from desktop.look.wording import ago_text
from desktop.models.conversation import Approval
from desktop.widgets.buttons import Button
from desktop.widgets.form import Form
from desktop.widgets.layouts import column, row
from desktop.widgets.pills import Pill
from desktop.widgets.question import QuestionView
from desktop.widgets.surfaces import IconTile
from desktop.widgets.text import Label
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
    ):
        super().__init__()
        self.setProperty("ground", "card")
        self.approval, self._answer = approval, answer
        self._tile = IconTile("approvals", tone="warning", size=36)
        asks = tr("{tool} asks you", tool=visible_line(approval.tool))
        title = asks if approval.in_call else tr("{tool} asks to run", tool=visible_line(approval.tool))
        self.setAccessibleName(f"{title}: {approval.summary[:300]}")
        self._pill = Pill()
        when = "  ·  ".join(part for part in (where, ago_text(approval.asked_at)) if part)
        head = row(
            self._tile,
            column(Label(title, role="strong"), Label(when, role="small", tone="muted"), gap=1),
            None,
            self._pill,
            gap=Space.M,
        )
        allow = tr("Answer") if approval.in_call else tr("Allow once")
        self._allow = Button(allow, icon="check", variant="primary")
        self._more = Button(tr("Allow always…"))
        if approval.in_call:
            self._more.hide()
        self._deny = Button(tr("Decline") if approval.in_call else tr("Deny"), variant="danger")
        self.form = Form(approval.fields)
        self._allow.clicked.connect(lambda: self._say(allow=True, scope="once"))
        self._deny.clicked.connect(lambda: self._say(allow=False, scope="once"))
        self._asked = False
        menu = QMenu(self)
        menu.addAction(tr("For this execution")).triggered.connect(lambda: self._say(allow=True, scope="execution"))
        self._always = menu.addAction(tr("Always (writes a rule)"))
        self._always.triggered.connect(lambda: self._say(allow=True, scope="always"))
        self._more.setMenu(menu)
        self._buttons = QFrame()
        line = row(self._allow, self._more, self._deny, None)
        if show is not None:
            look = Button(tr("Show conversation"), variant="quiet")
            look.clicked.connect(lambda: show())
            line.addWidget(look)
        self._buttons.setLayout(line)
        self._question = QuestionView(approval.parts, read=lambda: read(approval))
        self.setLayout(column(head, self._question, self.form, self._buttons, gap=Space.M, margins=(16, 14, 16, 14)))
        self.refresh()

    def refresh(self) -> None:
        said: dict[str, tuple[str, Tone]] = {
            "": (tr("Waits for you"), "warning"),
            "allowed": (tr("Allowed"), "success"),
            "denied": (tr("Denied"), "danger"),
            "expired": (tr("Expired"), "neutral"),
        }
        text, tone = said.get(self.approval.answer, (self.approval.answer, "neutral"))
        self._pill.say(text, tone)
        self._tile.set_tone("approvals", tone)
        self._buttons.setVisible(self.approval.waits)
        self.form.setVisible(self.approval.waits and bool(self.approval.fields))
        self._question.show_parts(self.approval.parts)
        self._question.whole.setVisible(self.approval.waits)
        self._wake()

    def _say(self, *, allow: bool, scope: Scope) -> None:
        self._asked = True
        self._wake()
        self.approval.values = self.form.values
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
        self._deny.setEnabled(not self._asked)
