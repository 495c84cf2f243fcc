"""Settings, the API key: where it is, when it ends, and how it is replaced or forgotten."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from desktop.look.language import fact, tr
from desktop.look.tokens import Tone
from desktop.look.wording import moment_text
from desktop.settings.keys import Keys, KeyState
from desktop.widgets.buttons import Button
from desktop.widgets.key_field import KeyField
from desktop.widgets.layouts import column, row
from desktop.widgets.pills import Dot
from desktop.widgets.surfaces import Card
from desktop.widgets.text import Label
from desktop.windows.background import Background
from worker_core.errors import KubiyaError
from worker_core.secrets import API_KEY_VARIABLE, KeychainError

log = logging.getLogger(__name__)

_TONES: Final[dict[str, Tone]] = {
    "stored": "success",
    "environment": "success",
    "file": "success",
    "missing": "warning",
    "locked": "warning",
    "unavailable": "danger",
}


def key_title() -> str:
    return tr("API key")


class KeyCard(Card):
    """Asks the keychain when it is first seen. The key's text is in the field for as long as it is checked."""

    replaced = Signal()
    """A key that works is there now."""

    def __init__(self, keys: Keys, background: Background) -> None:
        super().__init__(key_title())
        self._keys, self._background = keys, background
        self._asked = self._busy = False
        self._dot = Dot(size=8)
        self.said = Label(tr("Asking the keychain…"), wrap=True)
        self.note = Label("", role="small", tone="muted", wrap=True)
        self.note.hide()
        self.again = Button(tr("Try the keychain again"), icon="refresh")
        self.replace = Button(tr("Replace…"), icon="key")
        self.forget = Button(tr("Forget"), variant="danger")
        self.again.clicked.connect(self.look)
        self.replace.clicked.connect(self.open)
        self.forget.clicked.connect(self._forget)
        words = column(self.said, self.note, gap=2)
        line = row(self._dot, words, self.again, self.forget, self.replace)
        line.setStretch(1, 1)
        self.body.addLayout(line)
        self._entry = self._build_entry()
        self.body.addWidget(self._entry)
        for button in (self.again, self.forget, self.replace):
            button.hide()

    def _build_entry(self) -> QWidget:
        self.key = KeyField()
        self.key.returnPressed.connect(self._check)
        self.check = Button(tr("Check and save"), variant="primary")
        self.check.clicked.connect(self._check)
        self.cancel = Button(tr("Cancel"), variant="quiet")
        self.cancel.clicked.connect(self.close_entry)
        self.trouble = Label("", role="small", tone="danger", wrap=True)
        self.trouble.hide()
        self.save_again = Button(tr("Try the keychain again"), icon="refresh")
        self.unsaved = Button(tr("Go on without saving it"), variant="quiet")
        self.save_again.clicked.connect(self._save)
        self.unsaved.clicked.connect(self._use_unsaved)
        field = row(self.key, self.check, self.cancel)
        field.setStretch(0, 1)
        made = QWidget()
        made.setLayout(column(field, self.trouble, row(self.save_again, self.unsaved, None)))
        made.hide()
        for button in (self.save_again, self.unsaved):
            button.hide()
        return made

    # -- where it is ----------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        if not self._asked:
            self.look()

    def look(self) -> None:
        """Ask where the key is."""
        self._asked = True
        self.again.setEnabled(False)

        async def ask() -> None:
            try:
                self._show(await self._keys.stored())
            finally:
                self.again.setEnabled(True)

        self._background.ask(ask(), doing=tr("ask the keychain"))

    def _show(self, state: KeyState) -> None:
        self._dot.set_tone(_TONES[state.kind])
        match state.kind:
            case "stored":
                said = tr("It is in {keychain}.", keychain=state.keychain)
            case "environment":
                said = tr("It comes from the environment ({name}) and is kept nowhere.", name=API_KEY_VARIABLE)
            case "file":
                said = tr("It stands in the file {file}.", file=state.file)
            case "missing":
                said = tr("{keychain} holds no key for this control plane.", keychain=state.keychain)
            case _:
                said = state.sentence
        self.said.setText(said)
        ends = moment_text(state.ends_at) if state.ends_at is not None else ""
        self.note.setText(tr("It ends on {day}.", day=ends) if ends else "")
        self.note.setVisible(bool(ends))
        self.again.setVisible(state.kind in {"locked", "unavailable"})
        self.forget.setVisible(state.kind == "stored")
        self.replace.setVisible(state.kind not in {"environment", "file"})
        self.replace.setText(tr("Replace…") if state.kind == "stored" else tr("Enter a key…"))
        if state.later is not None:
            self._background.ask(self._look_later(state.later), doing=tr("ask the keychain"))

    async def _look_later(self, answered: Callable[[], Awaitable[bool]]) -> None:
        """Once it is unlocked; a no is said, and nothing asked again."""
        try:
            await answered()
        except KeychainError as error:
            self._show(KeyState(kind="locked", sentence=fact(error)))
        else:
            self.look()

    # -- another one ----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Let the person give a key."""
        self._entry.show()
        self.replace.hide()
        self.key.setFocus(Qt.FocusReason.OtherFocusReason)

    def close_entry(self) -> None:
        self.key.clear()
        self._complain("")
        for part in (self._entry, self.save_again, self.unsaved):
            part.hide()
        self.look()

    def _check(self) -> None:
        if self._busy:
            return
        self._set_busy(busy=True)
        self._complain("")
        self._background.ask(self._check_it(self.key.text()), doing=tr("check the key"))

    async def _check_it(self, key: str) -> None:
        try:
            await self._keys.check(key, url=self._keys.control_plane_url)
        except KubiyaError as error:
            log.warning("The key was not taken: %s", error.sentence)
            self._complain(fact(error))
            self.key.setFocus()
        else:
            await self._save_it()
        finally:
            self._set_busy(busy=False)

    def _save(self) -> None:
        self._set_busy(busy=True)
        self._background.ask(self._save_it(), doing=tr("save the key"))

    async def _save_it(self) -> None:
        try:
            await self._keys.save()
        except KeychainError as error:
            # Locked, missing or silent: the key is good, only not kept.
            self._complain(fact(error))
            self.save_again.show()
            self.unsaved.show()
            self._background.ask(self._kept_late(error), doing=tr("save the key"))
        else:
            self.close_entry()
            self.replaced.emit()
        finally:
            self._set_busy(busy=False)

    async def _kept_late(self, error: KeychainError) -> None:
        """The keychain is unlocked while the sentence stands there: nobody need press anything."""
        if await self._keys.kept_late(error) and self.save_again.isVisibleTo(self) and not self._busy:
            self.close_entry()
            self.replaced.emit()

    def _use_unsaved(self) -> None:
        self._keys.use_unsaved()
        self.close_entry()
        self.replaced.emit()

    def _forget(self) -> None:
        async def forget() -> None:
            await self._keys.forget()
            self.look()

        self._background.ask(forget(), doing=tr("forget the key"))

    def _complain(self, sentence: str) -> None:
        self.trouble.setText(sentence)
        self.trouble.setVisible(bool(sentence))

    def _set_busy(self, *, busy: bool) -> None:
        self._busy = busy
        for part in (self.key, self.check, self.save_again, self.unsaved):
            part.setEnabled(not busy)
