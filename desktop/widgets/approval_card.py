"""A question whether a tool may run, with its answers."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QMenu

from desktop.language import tr
from desktop.models.conversation import Approval
from desktop.theme import Space, Tone
from desktop.widgets.buttons import Button
from desktop.widgets.code import CodeBlock
from desktop.widgets.layouts import column, row
from desktop.widgets.pills import Pill
from desktop.widgets.surfaces import IconTile
from desktop.widgets.text import Label
from desktop.wording import ago_text

Answer = Callable[[Approval, bool, str], None]
"""Approval, allow, and scope: `once`, `execution` or `always`."""


class ApprovalCard(QFrame):
    """Shows one `Approval`. The buttons go as soon as an answer arrives; until then they wait for it."""

    def __init__(
        self, approval: Approval, *, answer: Answer, where: str = "", show: Callable[[], object] | None = None
    ):
        super().__init__()
        self.setProperty("ground", "card")
        self._approval, self._answer = approval, answer
        self._tile = IconTile("approvals", tone="warning", size=36)
        title = tr("{tool} asks to run", tool=approval.tool)
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
        self._allow = Button(tr("Allow once"), icon="check", variant="primary")
        self._more = Button(tr("Allow always…"))
        self._deny = Button(tr("Deny"), variant="danger")
        self._allow.clicked.connect(lambda: self._say(allow=True, scope="once"))
        self._deny.clicked.connect(lambda: self._say(allow=False, scope="once"))
        menu = QMenu(self)
        for text, scope in ((tr("For this execution"), "execution"), (tr("Always (writes a rule)"), "always")):
            menu.addAction(text).triggered.connect(lambda *_, scope=scope: self._say(allow=True, scope=scope))
        self._more.setMenu(menu)
        self._buttons = QFrame()
        line = row(self._allow, self._more, self._deny, None)
        if show is not None:
            look = Button(tr("Show conversation"), variant="quiet")
            look.clicked.connect(lambda: show())
            line.addWidget(look)
        self._buttons.setLayout(line)
        would_do = CodeBlock(approval.summary[:8_000], name=tr("What it would do"), lines=8)
        layout = column(head, would_do, gap=Space.M, margins=(16, 14, 16, 14))
        if approval.reason or approval.rule:
            said = approval.reason + (f"  {tr('Rule: {rule}', rule=approval.rule)}" if approval.rule else "")
            layout.addWidget(Label(said.strip(), role="small", tone="muted", wrap=True))
        layout.addWidget(self._buttons)
        self.setLayout(layout)
        self.refresh()

    def refresh(self) -> None:
        said: dict[str, tuple[str, Tone]] = {
            "": (tr("Waits for you"), "warning"),
            "allowed": (tr("Allowed"), "success"),
            "denied": (tr("Denied"), "danger"),
            "expired": (tr("Expired"), "neutral"),
        }
        text, tone = said.get(self._approval.answer, (self._approval.answer, "neutral"))
        self._pill.say(text, tone)
        self._tile.set_tone("approvals", tone)
        self._buttons.setVisible(self._approval.waits)

    def _say(self, *, allow: bool, scope: str) -> None:
        for button in (self._allow, self._more, self._deny):
            button.setEnabled(False)
        self._answer(self._approval, allow, scope)

    def wake(self) -> None:
        """The answer did not get through: it can be given again."""
        for button in (self._allow, self._more, self._deny):
            button.setEnabled(True)
