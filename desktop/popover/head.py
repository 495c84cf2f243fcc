"""The top of the popover: the mark and the sentence that icon and tooltip have, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from PySide6.QtWidgets import QWidget

from desktop.look.language import tr
from desktop.look.menus import Menu
from desktop.look.standing import icon_of, tone_of, unprotected
from desktop.look.tokens import Space
from desktop.notices.action import Action, Entry
from desktop.tray.facts import TrayFacts
from desktop.tray.menu import control
from desktop.tray.picture import reason, status
from desktop.widgets.buttons import Button, IconButton
from desktop.widgets.layouts import column, empty, row, top
from desktop.widgets.pills import Pill
from desktop.widgets.surfaces import IconTile
from desktop.widgets.text import Label
from desktop.widgets.wrapping import Wrapped
from worker_core.summary import Standing, summary

_ICONS: Final = {
    Action.START: "play",
    Action.RESUME: "play",
    Action.STOP: "stop",
    Action.CANCEL_WORK: "stop",
    Action.SETTINGS: "key",
}

Choose = Callable[[Action, str], object]
"""An action, and what it is about."""


class PopoverHead(QWidget):
    """Says what it is given; `choose` is told of what is pressed."""

    def __init__(self, choose: Choose) -> None:
        super().__init__()
        self._choose = choose
        self._entries: tuple[Entry, ...] = ()
        self._tile = IconTile("power", size=40)
        self._state = Label("", role="heading", wrap=True)
        self._reason = Label("", role="small", tone="muted", wrap=True)
        self._warning = Pill(unprotected(), tone="warning")
        self._settings = IconButton("settings", tr("Settings"))
        self._settings.clicked.connect(lambda: choose(Action.SETTINGS, ""))
        self._controls = Wrapped()
        words = column(self._state, self._reason, self._warning, gap=2)
        said = row(self._tile, words, self._settings, gap=Space.M)
        said.setStretch(1, 1)
        top(self._tile, said)
        top(self._settings, said)
        self.setLayout(column(said, self._controls, gap=Space.M, margins=(Space.M, Space.M, Space.M, Space.M)))

    def take(self, facts: TrayFacts, *, locked: bool) -> None:
        """Show this. While the screen is locked, nothing of what an agent wrote."""
        said = summary(facts.snapshot)
        self._tile.set_tone(icon_of(said), tone_of(said))
        self._state.setText(status(facts))
        hidden = locked and said.standing is Standing.QUESTIONS
        why = tr("Unlock the screen to read it.") if hidden else reason(facts, lasting=True)
        self._reason.setText(why)
        self._reason.setVisible(bool(why))
        self._warning.setVisible(said.unprotected)
        self.setAccessibleName(f"{status(facts)}. {why}")
        self._show_controls(control(facts))

    def _show_controls(self, entries: tuple[Entry, ...]) -> None:
        """Made anew only where they are others: somebody may be about to press one."""
        if entries == self._entries:
            return
        self._entries = entries
        had_focus = self.isAncestorOf(focused) if (focused := self.window().focusWidget()) is not None else False
        empty(self._controls)
        made = [self._button(entry) for entry in entries]
        for one in made:
            self._controls.addWidget(one)
            one.show()
        if had_focus and made:
            made[0].setFocus()

    def _button(self, entry: Entry) -> Button:
        if entry.children:
            made = Button(entry.title, icon="pause")
            menu = Menu(made)
            menu.setAccessibleName(entry.title)
            for one in entry.children:
                menu.addAction(one.title).triggered.connect(partial(self._picked, one))
            made.setMenu(menu)
            return made
        begins = entry.action in {Action.START, Action.RESUME}
        made = Button(entry.title, icon=_ICONS.get(entry.action, ""), variant="primary" if begins else "")
        made.clicked.connect(partial(self._picked, entry))
        return made

    def _picked(self, entry: Entry, *_: object) -> None:
        self._choose(entry.action, entry.target)
