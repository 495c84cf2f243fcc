"""A conversation as it happens: messages, tool cards, approvals, remarks; what streams changes only its own end."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QHideEvent, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import QApplication, QFrame, QScrollArea, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import when_text
from desktop.models.conversation import Conversation
from desktop.models.conversation_items import Approval, Item, Message, Notice, ToolCall
from desktop.widgets.approval_card import Answer, ApprovalCard, Read
from desktop.widgets.buttons import Button
from desktop.widgets.layouts import column, row, settle
from desktop.widgets.markdown import MarkdownView
from desktop.widgets.surfaces import Icon
from desktop.widgets.text import ElidedLabel, Label, widget
from desktop.widgets.tool_card import ToolCard

SHOWN = 80
"""Items shown at once; a button brings as many earlier ones."""

SEEN = 8
"""Items made before the first picture of a conversation; the rest of `SHOWN` comes bit by bit, above them."""

PIECE = 3
"""Items made in one go after that: less than a picture's time."""

PIECE_EVERY_MS = 16
"""So that what is there is painted before."""

FAR = 2 * SHOWN
"""Items before those that are shown: what is further away is shown alone, with what is around it."""

WIDTH = 780

MARKED_MS = 2_500
"""How long what was jumped to is marked."""


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
        self._name = name
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
        self.setAccessibleName(f"{self._name}: {said.text[:200]} {self._fate.text()}".strip())


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


class _Mark(QWidget):
    """A frame around a view, which stays with it for a moment."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._around = parent
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.on: QWidget | None = None
        self._ends = QTimer(self)
        self._ends.setSingleShot(True)
        self._ends.setInterval(MARKED_MS)
        self._ends.timeout.connect(self._go)
        self.hide()

    def lie_on(self, view: QWidget) -> None:
        self._go()
        self.on = view
        view.installEventFilter(self)
        self._place()
        self.raise_()
        self.show()
        self._ends.start()

    def _go(self) -> None:
        if self.on is not None:
            self.on.removeEventFilter(self)
        self.on = None
        self._ends.stop()
        self.hide()

    def _place(self) -> None:
        if self.on is not None:
            self.setGeometry(QRect(self.on.mapTo(self._around, QPoint()), self.on.size()).adjusted(-7, -4, 7, 4))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if event.type() in {QEvent.Type.Move, QEvent.Type.Resize}:
            self._place()
        elif event.type() is QEvent.Type.Hide:
            self._go()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme().palette.accent_ink), 2))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 13, 13)


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
        self._is_cut = False
        self._follows = True
        self._earlier = Button(tr("Show earlier"), variant="quiet")
        self._earlier.clicked.connect(self._show_earlier)
        self._column = QVBoxLayout()
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(Space.S)
        self._later = Button(tr("Show later"), variant="quiet")
        self._later.clicked.connect(self._show_later)
        inside = widget("clear")
        inside.setMaximumWidth(WIDTH)
        inside.setLayout(
            column(self._earlier, self._column, self._later, None, gap=Space.L, margins=(0, Space.L, 0, Space.XL))
        )
        around = widget("clear")
        centered = row(margins=(Space.XL, 0, Space.XL, 0), gap=0)
        centered.addStretch(1)
        centered.addWidget(inside, 1000)
        centered.addStretch(1)
        around.setLayout(centered)
        self.setWidget(around)
        self._inside, self._around = inside, around
        self._mark = _Mark(around)
        self._wanted_first = 0
        self._idle = QTimer(self)
        self._idle.setInterval(PIECE_EVERY_MS)
        self._idle.timeout.connect(self._more_above)
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
        self._show_part(max(0, len(items) - SEEN), len(items))
        self._wanted_first = max(0, len(items) - SHOWN)
        self._fill()

    def heard(self, item: Item | None) -> None:
        """An item of this conversation is new or changed; None: look at all that is shown."""
        if item is None:
            for view in self._views.values():
                view.refresh()
        elif (known := self._views.get(item.key)) is not None:
            known.refresh()
        elif self._conversation is not None and item in self._conversation.items[-200:]:
            if not self._is_cut:
                self._add(item)
                self._trim()
            elif isinstance(item, Message) and item.delivery:  # the person's own: it is at the end
                self.show_conversation(self._conversation)
        self._wind()

    def reveal(self, key: str, *, focus: bool = False) -> bool:
        """Bring the item of this key before the eyes and mark it for a moment; `focus`: the keyboard goes there, too.
        False: the conversation does not have it any more.
        """
        items = self._conversation.items if self._conversation is not None else []
        place = next((number for number, item in enumerate(items) if item.key == key), None)
        if place is None:
            return False
        if key not in self._views:
            if self._first - FAR <= place < self._first:
                while place < self._first:
                    self._show_earlier()
            else:
                self._clear()
                self._show_part(max(0, place - SHOWN // 4), min(len(items), place + SHOWN))
        if (view := self._views.get(key)) is None:
            return False
        self._follows = False
        for layout in (self._column, self._inside.layout(), self._around.layout()):
            if layout is not None:
                layout.activate()
        top = view.mapTo(self._around, QPoint()).y()
        room = self.viewport().height()
        self.verticalScrollBar().setValue(top - max(Space.XL, (room - view.height()) // 3))
        self._mark.lie_on(view)
        if focus:
            able = (one for one in (view, *view.findChildren(QWidget)) if one.focusPolicy() & Qt.FocusPolicy.TabFocus)
            if (found := next((one for one in able if one.isVisibleTo(view)), None)) is not None:
                found.setFocus(Qt.FocusReason.OtherFocusReason)
        return True

    @property
    def marked(self) -> View | None:
        """What `reveal` has marked, while it is."""
        return next((view for view in self._views.values() if view is self._mark.on), None)

    @property
    def at_hand(self) -> str:
        """The key of the item that the keyboard is in, else of what is marked, else of the first that is seen; empty:
        nothing is shown.
        """
        focus, marked, top = QApplication.focusWidget(), self.marked, self.verticalScrollBar().value()
        for key, view in self._views.items():
            if focus is not None and (view is focus or view.isAncestorOf(focus)):
                return key
        for key, view in self._views.items():
            if view is marked or (marked is None and view.mapTo(self._around, QPoint(0, view.height())).y() > top):
                return key
        return ""

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
        self._fill()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 (Qt's own name)
        super().hideEvent(event)
        self._wind()
        self._idle.stop()

    # -- below ----------------------------------------------------------------------------------------------------

    def _add(self, item: Item, *, at: int | None = None) -> None:
        view = self._view(item)
        self._views[item.key] = view
        self._column.insertWidget(self._column.count() if at is None else at, view)
        view.show()  # else the layout does so an event later, and has no room for it until then

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
        for key in tuple(self._views):
            self._drop(key)

    def _drop(self, key: str) -> None:
        view = self._views.pop(key)
        self._column.removeWidget(view)
        view.hide()
        view.deleteLater()

    def _trim(self) -> None:
        """Of what grows while its end is followed, the beginning goes; a button brings it back."""
        if not self._follows or len(self._views) <= 2 * SHOWN or self._conversation is None:
            return
        for key in tuple(self._views)[:-SHOWN]:
            self._drop(key)
        first = next(iter(self._views))
        self._first = next(number for number, item in enumerate(self._conversation.items) if item.key == first)
        self._wanted_first = self._first
        self._earlier.setVisible(self._first > 0)

    def _show_part(self, first: int, last: int) -> None:
        """Show the items from `first` to before `last`."""
        items = self._conversation.items if self._conversation is not None else []
        self._first = self._wanted_first = first
        self._is_cut = last < len(items)
        for item in items[first:last]:
            self._add(item)
        self._earlier.setVisible(first > 0)
        self._later.setVisible(self._is_cut)
        self._wind()

    def _fill(self) -> None:
        """Go on making what is above, while somebody looks."""
        if self._wanted_first < self._first and self.isVisible():
            self._idle.start()
        else:
            self._idle.stop()

    def _more_above(self) -> None:
        """What is looked at stays where it is."""
        settle()
        bar, seen = self.verticalScrollBar(), next(iter(self._views.values()))
        top = seen.mapTo(self._around, QPoint()).y()
        self._add_before(max(self._wanted_first, self._first - PIECE))
        settle()
        if not self._follows:
            bar.setValue(bar.value() + seen.mapTo(self._around, QPoint()).y() - top)
        self._fill()

    def _add_before(self, first: int) -> None:
        assert self._conversation is not None
        before, self._first = self._first, first
        views, self._views = self._views, {}
        for place, item in enumerate(self._conversation.items[first:before]):
            self._add(item, at=place)
        self._views |= views
        self._earlier.setVisible(first > 0)

    def _show_later(self) -> None:
        assert self._conversation is not None
        items = self._conversation.items
        last = max((number for number, item in enumerate(items) if item.key in self._views), default=-1)
        for item in items[last + 1 : last + 1 + SHOWN]:
            self._add(item)
        self._is_cut = last + 1 + SHOWN < len(items)
        self._later.setVisible(self._is_cut)
        self._wind()

    def _show_earlier(self) -> None:
        self._follows = False
        self._add_before(max(0, min(self._first, self._wanted_first) - SHOWN))
        self._wanted_first = self._first
        self._fill()

    def _scrolled(self, value: int) -> None:
        self._follows = not self._is_cut and value >= self.verticalScrollBar().maximum() - 24

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
