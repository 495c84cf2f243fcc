"""The first run: paste a key, pick queues, and the worker works; or try everything without an account."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from desktop.look.language import fact, tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.settings.keys import Owner
from desktop.settings.onboarding import Onboarding
from desktop.widgets.buttons import Button, Switch
from desktop.widgets.key_field import KeyField
from desktop.widgets.layouts import column, row
from desktop.widgets.queue_choices import QueueChoices
from desktop.widgets.step import Step
from desktop.widgets.text import Label, widget
from desktop.windows.background import Background
from desktop.windows.main import Mark
from worker_core.errors import KubiyaError
from worker_core.secrets import KeychainError
from worker_core.settings import DEFAULT_CONTROL_PLANE_URL

if TYPE_CHECKING:
    from worker_core.control_plane.models import Queue

log = logging.getLogger(__name__)

WIDTH = 560
KEYS_PAGE = "https://compose.kubiya.ai/settings#apiKeys"
"""Where a key of Kubiya's own control plane is made; also what `kubiya` (the CLI) names for it."""


class FirstRunWindow(QWidget):
    """Closing it leaves everything as it was; it comes again until it was finished."""

    finished = Signal()
    playground_wanted = Signal()
    page_wanted = Signal(str)
    """The address of a web page."""

    def __init__(self, onboarding: Onboarding, background: Background) -> None:
        super().__init__()
        theme()
        self._onboarding = onboarding
        self._background = background
        self._background.failed.connect(self._complain)
        self._busy = False
        self.setWindowTitle("Kubiya Worker")
        self.resize(QSize(700, 680))
        self.setMinimumSize(QSize(560, 480))
        self._build()

    # --- building -----------------------------------------------------------------------------------------

    def _build(self) -> None:
        title = Label(tr("Welcome to Kubiya Worker"), role="title")
        words = Label(
            tr("It runs your agents' tasks on this machine, in a sandbox, and asks before it does what matters."),
            tone="muted",
            wrap=True,
        )
        self._key_step, self._queue_step = self._build_key(), self._build_queues()
        self._login_step = Step(3, tr("Start at login"), tr("Off until you ask for it."))
        self.at_login = Switch(tr("Start at login"))
        inside = row(Label(tr("Start Kubiya Worker when you log in")), None, self.at_login)
        self._login_step.inside.setLayout(inside)
        self.start = Button(tr("Start working"), icon="play", variant="primary")
        self.start.setEnabled(False)
        self.start.clicked.connect(self._finish)
        self.try_it = Button(tr("Try it without an account"), variant="quiet")
        self.try_it.clicked.connect(self.playground_wanted)
        self.trouble = Label("", role="small", tone="danger", wrap=True)
        self.trouble.hide()
        steps = [self._key_step, self._queue_step]
        if self._onboarding.can_start_at_login:
            steps.append(self._login_step)
        head = row(Mark(44), column(title, words, gap=Space.XS), gap=Space.L)
        head.setStretch(1, 1)
        content = widget("clear")
        content.setMaximumWidth(WIDTH + 2 * Space.XL)
        content.setLayout(
            column(
                head, Space.M, *steps, self.trouble, row(self.try_it, None, self.start), None,
                gap=Space.M, margins=(Space.XL, Space.XXL, Space.XL, Space.XL),
            )
        )  # fmt: skip
        middle = widget("window")
        middle.setLayout(QHBoxLayout())
        layout = middle.layout()
        assert isinstance(layout, QHBoxLayout)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addStretch(1)
        layout.addWidget(content, 100)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(middle)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll)
        QShortcut(QKeySequence("Ctrl+Return"), self, self.start.click)
        self.key.setFocus()

    def _build_key(self) -> Step:
        step = Step(1, tr("API key"), _key_meaning())
        self.key = KeyField()
        self.key.returnPressed.connect(self._check)
        self.check = Button(tr("Check"), variant="primary")
        self.check.clicked.connect(self._check)
        self.url = QLineEdit(self._control_plane_url())
        self.url.setAccessibleName(tr("Control plane"))
        self.url.returnPressed.connect(self._check)
        self._plane = QWidget()
        self.decided = Label("", role="small", tone="muted", wrap=True)
        name = Label(tr("Control plane"), role="small", tone="muted")
        self._plane.setLayout(column(name, self.url, self.decided, gap=Space.XS))
        self.get = Button(tr("Get a key…"), icon="globe", variant="quiet")
        self.get.clicked.connect(lambda: self.page_wanted.emit(KEYS_PAGE))
        self.elsewhere = Button(tr("Another control plane…"), variant="quiet")
        self.elsewhere.clicked.connect(self._show_plane)
        self._show_plane_if_needed()
        self.said = Label("", role="small", tone="muted", wrap=True)
        self.said.hide()
        self.retry = Button(tr("Try the keychain again"), icon="refresh")
        self.unsaved = Button(tr("Go on without saving it"), variant="quiet")
        self.retry.clicked.connect(self._save)
        self.unsaved.clicked.connect(self._go_on_unsaved)
        for button in (self.retry, self.unsaved):
            button.hide()
        field = row(self.key, self.check)
        field.setStretch(0, 1)
        step.inside.setLayout(
            column(
                field, self._plane, row(self.get, self.elsewhere, None), self.said, row(self.retry, self.unsaved, None)
            )
        )
        step.open()
        self.change = Button(tr("Change…"), variant="quiet")
        self.change.clicked.connect(self._change)
        step.offer(self.change)
        return step

    def _control_plane_url(self) -> str:
        try:
            return self._onboarding.keys.control_plane_url
        except KubiyaError:  # what is wrong with it is said when it is used
            return ""

    def _show_plane_if_needed(self) -> None:
        """Kubiya's own needs no words; another does, and one that the environment names cannot be changed here."""
        decided = self._onboarding.keys.url_decided_by
        own = self.url.text() == DEFAULT_CONTROL_PLANE_URL
        self.get.setVisible(own)
        self._plane.setVisible(not own)
        self.elsewhere.setVisible(own and not decided)
        self.url.setEnabled(not decided)
        self.decided.setText(tr("Set by {variable} in the environment.", variable=decided) if decided else "")
        self.decided.setVisible(bool(decided))

    def _show_plane(self) -> None:
        self._plane.show()
        self.elsewhere.hide()
        self.url.setFocus()

    def _change(self) -> None:
        """Another key, or another control plane: the first step is taken again."""
        self.choices.offer([])
        self._picked()
        self.again.hide()
        self._complain("")
        self._queue_step.shut()
        self._login_step.shut()
        self._key_step.untick(_key_meaning())
        self._key_step.open()
        self.key.setFocus()

    def _build_queues(self) -> Step:
        step = Step(2, tr("Queues"), tr("Where this machine takes its work from."))
        self.choices = QueueChoices()
        self.choices.changed.connect(self._picked)
        self.again = Button(tr("Look again"), icon="refresh")
        self.again.clicked.connect(self._fetch)
        self.again.hide()
        step.inside.setLayout(column(self.choices, row(self.again, None)))
        return step

    # --- the key ------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._busy:
            return
        self._say(tr("Asking the control plane…"))
        self._set_busy(busy=True)
        self._background.ask(self._check_it(self.key.text(), self.url.text()), doing=tr("check the key"))

    async def _check_it(self, key: str, url: str) -> None:
        try:
            owner = await self._onboarding.keys.check(key, url=url)
        except KubiyaError as error:
            log.warning("The key was not taken: %s", error.sentence)
            self._say(fact(error), tone="danger")
            self._set_busy(busy=False)
            self.key.setFocus()
            return
        except BaseException:
            self._set_busy(busy=False)
            raise
        self._owner = owner
        await self._save_it()

    def _save(self) -> None:
        self._set_busy(busy=True)
        self._background.ask(self._save_it(), doing=tr("save the key"))

    async def _save_it(self) -> None:
        self._say(tr("Asking the keychain…"))
        try:
            keychain = await self._onboarding.keys.save()
        except KeychainError as error:
            log.warning("The key was not kept: %s", error.sentence)
            # Locked, missing or silent: the key is good, only not kept.
            self._say(fact(error), tone="danger")
            self.retry.show()
            self.unsaved.show()
            self._set_busy(busy=False)
            self.retry.setFocus()  # once it is enabled: what is not cannot have it
            self._background.ask(self._kept_late(error), doing=tr("save the key"))
        except BaseException:
            self._set_busy(busy=False)
            raise
        else:
            self._set_busy(busy=False)
            await self._key_is_there(tr("It is in {keychain}.", keychain=keychain))

    async def _kept_late(self, error: KeychainError) -> None:
        """The keychain is unlocked while the sentence stands there: nobody need press anything."""
        keychain = await self._onboarding.keys.kept_late(error)
        if keychain and self.retry.isVisibleTo(self) and self.retry.isEnabled():
            await self._key_is_there(tr("It is in {keychain}.", keychain=keychain))

    def _go_on_unsaved(self) -> None:
        self._onboarding.keys.use_unsaved()
        said = tr("It is used until this program ends, and asked for again then.")
        self._background.ask(self._key_is_there(said), doing=tr("go on"))

    async def _key_is_there(self, where: str) -> None:
        self.key.clear()
        for part in (self.retry, self.unsaved, self.said):
            part.hide()
        self._key_step.inside.hide()
        self._key_step.tick(f"{_belongs_to(self._owner)} {where}")
        self._queue_step.open()
        await self._fetch_them()

    # --- queues -------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        self._background.ask(self._fetch_them(), doing=tr("fetch the queues"))

    async def _fetch_them(self) -> None:
        self._complain("")
        self.again.setEnabled(False)
        try:
            found = await self._onboarding.queues()
        except KubiyaError as error:
            self._complain(fact(error))
            self.again.show()
        else:
            self._show_queues(found)
        finally:
            self.again.setEnabled(True)

    def _show_queues(self, found: Sequence[Queue]) -> None:
        self.choices.offer(found)
        self.again.setVisible(not found)
        if not found:
            self.again.setFocus()
            return
        next(iter(self.choices.boxes.values())).setFocus()
        log.info("There are %d queues to choose from.", len(found))

    def _picked(self) -> None:
        count = len(self.choices.picked)
        meaning = tr("Where this machine takes its work from.")
        if count:
            self._queue_step.tick(tr("1 queue") if count == 1 else tr("{count} queues", count=count))
            self._login_step.open()
        else:
            self._queue_step.untick(meaning)
        self.start.setEnabled(bool(count))
        self.start.setDefault(bool(count))

    # --- the end ------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        try:
            self._onboarding.finish(self.choices.picked, at_login=self.at_login.isChecked())
        except KubiyaError as error:
            self._complain(fact(error))
            return
        self.finished.emit()

    def _say(self, sentence: str, *, tone: str = "muted") -> None:
        self.said.set_tone(tone)
        self.said.setText(sentence)
        self.said.setVisible(bool(sentence))
        self.key.setProperty("invalid", tone == "danger" and not self.retry.isVisible())
        self.key.style().polish(self.key)

    def _complain(self, sentence: str) -> None:
        self.trouble.setText(sentence)
        self.trouble.setVisible(bool(sentence))

    def _set_busy(self, *, busy: bool) -> None:
        self._busy = busy
        for part in (self.key, self.url, self.check, self.retry, self.unsaved):
            part.setEnabled(not busy)


def _key_meaning() -> str:
    return tr("From your profile on the control plane. It is kept in this machine's keychain.")


def _belongs_to(owner: Owner) -> str:
    if owner.organization and owner.user:
        return tr("{organization}, as {user}.", organization=owner.organization, user=owner.user)
    return f"{owner.organization or owner.user}." if owner.organization or owner.user else tr("The key is good.")
