"""A tool call as a card: what it was asked, what it is at, what came out, how long it took, and where it ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import duration_text
from desktop.models.conversation_items import ToolCall, pretty
from desktop.widgets.code import CodeBlock
from desktop.widgets.layouts import row
from desktop.widgets.pills import Pill
from desktop.widgets.surfaces import Icon
from desktop.widgets.text import ElidedLabel, Label

OUTPUT_SHOWN = 60_000
"""Characters of an output that the card shows; copying and exporting give the whole."""

_BEHIND_THE_ICON = 16 + 10

_NARROW, _NARROWER = 430, 360
"""Pixels of the card where the system's font has 13."""


def icon_for(tool: str) -> str:
    name = tool.lower()
    for words, icon in (
        (("shell", "bash", "command", "terminal"), "terminal"),
        (("python", "code"), "code"),
        (("file", "read", "write", "edit", "list", "grep", "glob"), "file"),
        (("http", "web", "fetch", "url", "browser", "search"), "globe"),
    ):
        if any(word in name for word in words):
            return icon
    return "tool"


class _Head(QWidget):
    """The line that is always there; Enter, Space or a click open and close the rest."""

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.chosen.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}:
            self.chosen.emit()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() in {QEvent.Type.FocusIn, QEvent.Type.FocusOut}:
            self.update()
        return super().event(event)


class ToolCard(QFrame):
    """Shows one `ToolCall`, and again whenever it changed."""

    def __init__(self, call: ToolCall, *, opened: bool = False) -> None:
        super().__init__()
        self.setProperty("ground", "card")
        self._call = call
        self._head = _Head()
        self._icon = Icon(icon_for(call.name), size=16)
        self._name = Label(call.name, role="strong")
        self._summary = ElidedLabel("", role="code", tone="muted")
        self._took = Label("", role="small", tone="muted")
        self._sandbox = Pill(dot=False)
        self._state = Pill()
        self._arrow = Icon("chevron-right", size=14)
        self._head.setLayout(
            row(self._icon, self._name, self._summary, self._took, self._sandbox, self._state, self._arrow, gap=10)
        )
        self._head.chosen.connect(self.toggle)
        self._progress = ElidedLabel("", role="code", tone="muted")
        self._progress.hide()
        self._inside = QWidget()
        self._inside_layout = QVBoxLayout(self._inside)
        self._inside_layout.setContentsMargins(0, Space.S, 0, 2)
        self._inside_layout.setSpacing(Space.S)
        self._input: CodeBlock | None = None
        self._output: CodeBlock | None = None
        self._inside.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 9, 12, 9)
        layout.setSpacing(0)
        layout.addWidget(self._head)
        layout.addLayout(row(self._progress, margins=(_BEHIND_THE_ICON, Space.XS, 0, 0)))
        layout.addWidget(self._inside)
        self.refresh()
        if opened:
            self.toggle()

    @property
    def call(self) -> ToolCall:
        """What it shows."""
        return self._call

    @property
    def is_open(self) -> bool:
        return not self._inside.isHidden()

    @property
    def runs(self) -> bool:
        return self._call.succeeded is None

    def toggle(self) -> None:
        self._inside.setVisible(self._inside.isHidden())
        self._arrow.show_icon("chevron-down" if self.is_open else "chevron-right", "neutral")
        self.refresh()

    def refresh(self) -> None:
        call = self._call
        self._name.setText(f"{call.member} · {call.name}" if call.member else call.name)
        self._summary.setText(call.summary)
        self._show_took()
        self._progress.setText(call.progress)
        self._progress.setAccessibleName(tr("Latest: {text}", text=call.progress))
        self._progress.setVisible(self.runs and bool(call.progress))
        bare = call.sandbox == "none"
        self._sandbox.say(tr("not isolated") if bare else call.sandbox, "warning" if bare else "neutral")
        match call.succeeded:
            case None:
                self._state.say(tr("Running"), "accent")
            case True:
                self._state.say(tr("Done"), "success")
            case False if call.failure == "denied":
                self._state.say(tr("Denied"), "neutral")
            case False if call.failure == "unknown":
                self._state.say(tr("Outcome unknown"), "warning")
            case False:
                self._state.say(tr("Failed"), "danger")
        state = tr("open") if self.is_open else tr("closed")
        self._head.setAccessibleName(f"{call.name[:100]}, {self._state.text}, {state}")
        self._head.setAccessibleDescription(call.summary)
        if self.is_open:
            self._refresh_inside()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._show_marks()

    def _show_marks(self) -> None:
        """Where there is little room, only that there is none; and where there is less, not how long it took."""
        kind, width = self._call.sandbox, self.width()
        self._sandbox.setVisible(kind == "none" or (bool(kind) and width >= theme().scaled(_NARROW)))
        self._took.setVisible(bool(self._took.text()) and width >= theme().scaled(_NARROWER))

    def tick(self) -> None:
        """Show how long it has been running; called while the card is seen and the tool runs."""
        if self.runs:
            self._show_took()

    def _show_took(self) -> None:
        took: timedelta | float | None = self._call.duration_seconds
        if self.runs and self._call.started_at is not None:
            took = max(timedelta(0), datetime.now(UTC) - self._call.started_at)
        self._took.setText("" if took is None else duration_text(took))
        self._show_marks()

    def _refresh_inside(self) -> None:
        asked, language = self._asked()
        if self._input is None and asked:
            self._input = CodeBlock(language=language, name=tr("Input"), lines=14)
            self._inside_layout.insertWidget(0, self._input)
        if self._input is not None:
            self._input.show_text(asked[:OUTPUT_SHOWN])
        said = "\n".join(part for part in (self._call.output, self._call.error) if part)
        if self._output is None and said:
            self._output = CodeBlock(name=tr("Output"))
            self._inside_layout.addWidget(self._output)
        if self._output is not None:
            self._output.show_text(said[:OUTPUT_SHOWN])

    def _asked(self) -> tuple[str, str]:
        arguments = self._call.arguments
        if isinstance(arguments, dict) and len(arguments) == 1:
            (name, only), *_ = arguments.items()
            if isinstance(only, str):
                return only, {"command": "bash", "cmd": "bash", "code": "python"}.get(name, "")
        return pretty(arguments), "json"
