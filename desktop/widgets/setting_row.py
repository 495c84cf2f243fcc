"""One setting: its name and meaning on the left, its control on the right, what is wrong with it below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QLineEdit, QSizePolicy, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.widgets.buttons import IconButton, Switch
from desktop.widgets.choice import Choice
from desktop.widgets.choice_or_text import ChoiceOrText
from desktop.widgets.layouts import column, row
from desktop.widgets.surfaces import Card, Line
from desktop.widgets.text import Label

CONTROL_WIDTH = 300

_SentenceTone = Literal["muted", "warning", "danger"]
_IN_ORDER: tuple[_SentenceTone, ...] = ("muted", "warning", "danger")
"""From top to bottom."""


class SettingRow(QWidget):
    """`change` gets the new value and returns the sentence that says why it is not taken, or nothing."""

    def __init__(
        self,
        title: str,
        meaning: str,
        control: QLineEdit | Switch | Choice | ChoiceOrText,
        *,
        change: Callable[[str | bool], str],
        reset: Callable[[], None] | None = None,
        picks_file: bool = False,
        aside: QWidget | None = None,
    ) -> None:
        super().__init__()
        self._control, self._change = control, change
        control.setAccessibleName(title)
        control.setAccessibleDescription(meaning)
        words = column(Label(title, role="medium", wrap=True), gap=2)
        if meaning:
            words.addWidget(Label(meaning, role="small", tone="muted", wrap=True))
        self._below, self._sentences = words, dict[_SentenceTone, Label]()
        self.title, self.meaning = title, meaning
        self._words = f"{title} {meaning}".casefold()
        side = row(gap=Space.XS)
        side.addStretch(1)
        self._reset = self._resets_by(reset) if reset is not None else None
        if self._reset is not None:
            side.addWidget(self._reset)
        if aside is not None:
            side.addWidget(aside)
        if picks_file:
            pick = IconButton("folder", tr("Choose a file for {title}", title=title))
            pick.clicked.connect(self._pick)
            side.addWidget(pick)
        if isinstance(control, QLineEdit):
            control.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        side.addWidget(control)
        if isinstance(control, Switch | Choice):
            whole = row(words, side, gap=Space.XL)
        else:
            holder = QWidget()
            holder.setFixedWidth(CONTROL_WIDTH + 34)
            holder.setLayout(side)
            whole = row(words, holder, gap=Space.XL)
        whole.setStretch(0, 1)
        self.setLayout(whole)
        match control:
            case QLineEdit():
                control.editingFinished.connect(lambda: self._try(control.text()))
            case Choice():
                control.currentIndexChanged.connect(lambda *_: self._try(control.chosen))
            case Switch():
                control.toggled.connect(self._try)
            case ChoiceOrText():
                control.given.connect(self._try)
        self._shown: str | bool = ""

    def _resets_by(self, reset: Callable[[], None]) -> IconButton:
        """Its place stays free where there is nothing to reset."""
        button = IconButton("refresh", tr("Reset {title}", title=self.title))
        policy = button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        button.setSizePolicy(policy)
        button.setVisible(False)
        button.clicked.connect(lambda: reset())
        return button

    def show_value(self, value: str | bool, *, changed: bool = False, elsewhere: str = "") -> None:
        """The value in force; `elsewhere` names the environment variable that decides it."""
        self._shown = value
        control = self._control
        control.blockSignals(True)
        match control:
            case QLineEdit():
                control.setText(str(value))
            case Choice():
                control.choose(str(value))
            case Switch():
                control.setChecked(bool(value))
            case ChoiceOrText():
                control.show_value(str(value))
        control.blockSignals(False)
        control.update()
        control.setEnabled(not elsewhere)
        self.remark(tr("Set by {variable} in the environment.", variable=elsewhere) if elsewhere else "")
        if self._reset is not None:
            self._reset.setVisible(changed and not elsewhere)
        self.complain("")

    @property
    def value(self) -> str:
        """The one that is in force, as text."""
        return str(self._shown)

    def take_focus(self) -> None:
        """The person was led here."""
        self._control.setFocus(Qt.FocusReason.OtherFocusReason)

    def remark(self, sentence: str, *, tone: Literal["warning", "muted"] = "warning") -> None:
        """What is to be known of the value, below its meaning; nothing for an empty text."""
        self._say("warning", sentence)
        if sentence:
            self._sentences["warning"].set_tone(tone)

    def note(self, sentence: str) -> None:
        """What else is known of the value; nothing for an empty text."""
        self._say("muted", sentence)

    def complain(self, sentence: str) -> None:
        self._say("danger", sentence)
        marked = self._control.field if isinstance(self._control, ChoiceOrText) else self._control
        invalid = "true" if sentence else "false"
        if (marked.property("invalid") or "false") != invalid:
            marked.setProperty("invalid", invalid)
            marked.style().unpolish(marked)
            marked.style().polish(marked)

    def _say(self, tone: _SentenceTone, sentence: str) -> None:
        """Most settings never have anything to say: a label is made with its first sentence."""
        label = self._sentences.get(tone)
        if label is None:
            if not sentence:
                return
            label = self._sentences[tone] = Label("", role="small", tone=tone, wrap=True)
            below = (self._sentences[one] for one in _IN_ORDER[_IN_ORDER.index(tone) + 1 :] if one in self._sentences)
            error = next((one for one in below if one is not label), None)
            self._below.insertWidget(self._below.indexOf(error) if error is not None else -1, label)
        label.setText(sentence)
        label.setVisible(bool(sentence))

    def matches(self, words: str) -> bool:
        """Whether name or meaning hold all of these words, in any order and case."""
        return all(word in self._words for word in words.casefold().split())

    @property
    def complaint(self) -> str:
        return self._sentences["danger"].text() if "danger" in self._sentences else ""

    def _try(self, value: str | bool) -> None:
        if value != self._shown:
            self.complain(self._change(value))
        elif self.complaint:
            self.complain("")  # back to what is in force

    def _pick(self) -> None:
        dialog = QFileDialog(self, tr("Choose a file"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._picked)
        dialog.open()

    def _picked(self, path: str) -> None:
        if isinstance(self._control, QLineEdit):
            self._control.setText(path)
            self._try(path)


class SettingCard(Card):
    """Settings that belong together, a hairline between them."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._lines: dict[SettingRow, Line] = {}

    def add(self, line: SettingRow) -> None:
        above = Line()
        self.body.addWidget(above)  # first: what is shown and stands nowhere is a window of its own
        above.setVisible(bool(self._lines))
        self._lines[line] = above
        self.body.addWidget(line)
        if self.isVisible():
            line.show()  # at once, where the card is seen already

    def narrow(self, words: str) -> bool:
        """Show the settings that match, all of them where the title does; whether there are any."""
        whole = words.casefold() in self.title.text().casefold()
        shown = [line for line in self._lines if whole or line.matches(words)]
        for line, above in self._lines.items():
            line.setVisible(line in shown)
            above.setVisible(line in shown[1:])
        self.setVisible(bool(shown))
        return bool(shown)
