"""A conversation as it happens: messages, tool cards, approvals, remarks; what streams changes only its own end."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.look.wording import when_text
from desktop.models.conversation import Approval, Conversation, Item, Message, Notice, ToolCall
from desktop.widgets.approval_card import Answer, ApprovalCard, Read
from desktop.widgets.buttons import Button
from desktop.widgets.layouts import column, row
from desktop.widgets.markdown import MarkdownView
from desktop.widgets.surfaces import Icon
from desktop.widgets.text import ElidedLabel, Label, widget
from desktop.widgets.tool_card import ToolCard

SHOWN = 80
"""Items shown at once; a button brings as many earlier ones."""

WIDTH = 780


SendAgain = Callable[[Message], object]


class MessageView(QWidget):
    """Something said: what the user asked in a bubble, what the agent says as plain text."""

    link_chosen = Signal(str)

    def __init__(self, message: Message, *, send_again: SendAgain = lambda _: None) -> None:
        """`send_again` gets a message that was not taken."""
        super().__init__()
        self._message = message
        self._again = Button(tr("Try again"), icon="refresh")
        self._again.clicked.connect(lambda: send_again(message))
        self._fate = Label("", role="small", tone="muted")
        self._text = MarkdownView()
        self._text.link_chosen.connect(self.link_chosen)
        mine = message.role == "user"
        name = message.member or (message.author or tr("You") if mine else tr("Agent"))
        head = ElidedLabel(name, role="caption", tone="muted")
        when = Label(when_text(message.at), role="caption", tone="muted")
        top = row(Icon("user" if mine else "agent", size=14, tone="neutral" if mine else "accent"), head, when, None)
        if mine:
            bubble = QFrame()
            bubble.setProperty("ground", "bubble")
            bubble.setLayout(column(self._text, margins=(14, 10, 14, 4)))
            fate = row(self._fate, self._again, None)
            self.setLayout(column(top, bubble, fate, gap=6, margins=(0, Space.S, 0, Space.S)))
        else:
            self.setLayout(column(top, self._text, gap=6, margins=(0, Space.S, 0, Space.S)))
        self.refresh()

    def refresh(self) -> None:
        said = self._message
        if said.role == "user":
            self._text.show_verbatim(said.text)
        else:
            self._text.show_markdown(said.text)
        failed = said.delivery == "failed"
        self._fate.setText({"": "", "sending": tr("Sending…"), "failed": tr("Not sent.")}[said.delivery])
        self._fate.set_tone("danger" if failed else "muted")
        self._fate.setVisible(said.role == "user" and bool(said.delivery))
        self._again.setVisible(said.role == "user" and failed)
        self.setAccessibleName(f"{said.role}: {said.text[:200]} {self._fate.text()}".strip())


class NoticeView(QFrame):
    """A remark of the worker."""

    def __init__(self, notice: Notice) -> None:
        super().__init__()
        tone = "accent" if notice.severity == "info" else notice.severity
        self.setProperty("ground", tone)
        text = Label(notice.text[:4000], wrap=True).selectable()
        icon = Icon("info" if notice.severity == "info" else "alert", size=16, tone=tone)
        line = row(icon, text, gap=10, margins=(14, 10, 14, 10))
        line.setStretch(1, 1)
        self.setLayout(line)

    def refresh(self) -> None:
        """A remark does not change."""


View = MessageView | NoticeView | ToolCard | ApprovalCard


class ConversationView(QScrollArea):
    """Shows one conversation and follows its end, unless the person scrolled up to read."""

    link_chosen = Signal(str)

    def __init__(self, *, answer: Answer, read: Read, send_again: SendAgain = lambda _: None) -> None:
        super().__init__()
        self.setAccessibleName(tr("Conversation"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._answer, self._read, self._send_again = answer, read, send_again
        self._conversation: Conversation | None = None
        self._views: dict[str, View] = {}
        self._first = 0
        self._follows = True
        self._earlier = Button(tr("Show earlier"), variant="quiet")
        self._earlier.clicked.connect(self._show_earlier)
        self._column = QVBoxLayout()
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(Space.S)
        inside = widget("clear")
        inside.setMaximumWidth(WIDTH)
        inside.setLayout(column(self._earlier, self._column, None, gap=Space.L, margins=(0, Space.L, 0, Space.XL)))
        around = widget("clear")
        centered = row(margins=(Space.XL, 0, Space.XL, 0), gap=0)
        centered.addStretch(1)
        centered.addWidget(inside, 1000)
        centered.addStretch(1)
        around.setLayout(centered)
        self.setWidget(around)
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._tick)
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._grown)

    def show_conversation(self, conversation: Conversation | None) -> None:
        """Show another conversation, from its end."""
        self._conversation = conversation
        self._clear()
        self._follows = True
        items = conversation.items if conversation else []
        self._first = max(0, len(items) - SHOWN)
        for item in items[self._first :]:
            self._add(item)
        self._earlier.setVisible(self._first > 0)
        self._wind()

    def heard(self, item: Item | None) -> None:
        """An item of this conversation is new or changed; None: look at all that is shown."""
        if item is None:
            for view in self._views.values():
                view.refresh()
        elif (known := self._views.get(item.key)) is not None:
            known.refresh()
        elif self._conversation is not None and item in self._conversation.items[-200:]:
            self._add(item)
        self._wind()

    @property
    def views(self) -> tuple[View, ...]:
        """What is shown, in order."""
        return tuple(self._views.values())

    @property
    def follows(self) -> bool:
        return self._follows

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._wind()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 (Qt's own name)
        super().hideEvent(event)
        self._wind()

    # -- below ----------------------------------------------------------------------------------------------------

    def _add(self, item: Item, *, at: int | None = None) -> None:
        view = self._view(item)
        self._views[item.key] = view
        self._column.insertWidget(self._column.count() if at is None else at, view)

    def _view(self, item: Item) -> View:
        match item:
            case Message():
                view = MessageView(item, send_again=self._send_again)
                view.link_chosen.connect(self.link_chosen)
                return view
            case ToolCall():
                return ToolCard(item)
            case Approval():
                return ApprovalCard(item, answer=self._answer, read=self._read)
            case Notice():
                return NoticeView(item)

    def _clear(self) -> None:
        for view in self._views.values():
            self._column.removeWidget(view)
            view.hide()
            view.deleteLater()
        self._views = {}

    def _show_earlier(self) -> None:
        assert self._conversation is not None
        self._follows = False
        before, self._first = self._first, max(0, self._first - SHOWN)
        for place, item in enumerate(self._conversation.items[self._first : before]):
            self._add(item, at=place)
        self._earlier.setVisible(self._first > 0)

    def _scrolled(self, value: int) -> None:
        self._follows = value >= self.verticalScrollBar().maximum() - 24

    def _grown(self, least: int, most: int) -> None:
        if self._follows:
            self.verticalScrollBar().setValue(most)

    def _wind(self) -> None:
        """The clock runs only while a tool that is seen runs."""
        runs = any(isinstance(view, ToolCard) and view.runs for view in self._views.values())
        if runs and self.isVisible():
            if not self._clock.isActive():
                self._clock.start()
        else:
            self._clock.stop()

    def _tick(self) -> None:
        for view in self._views.values():
            if isinstance(view, ToolCard):
                view.tick()
