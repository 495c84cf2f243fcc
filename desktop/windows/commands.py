"""What can be asked of the window by name or by key: the tray's menu, pages, executions, queues and settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtGui import QShortcut
from PySide6.QtWidgets import QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.wording import short, status_text
from desktop.models.commands import CommandIndex, NamedCommand
from desktop.notices.action import PAGE_OF, Action, Entry
from desktop.windows.bindings import bindings, opening, sections
from desktop.windows.desk import Desk
from desktop.windows.diagnostics_card import copy_facts
from desktop.windows.keys_sheet import KeysSheet
from desktop.windows.palette import CommandPalette

RECENT: Final = 12
"""Commands that were used last and are remembered."""

NEWEST: Final = 5
"""Executions that stand above the commands where nothing is typed."""

ENDS: Final = frozenset(
    {Action.STOP, Action.CANCEL_WORK, Action.CANCEL_EXECUTION, Action.QUIT_DRAINED, Action.QUIT_NOW}
)
"""Nobody should do these by pressing Enter once too often."""

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_ICONS: Final = {
    Action.START: "play", Action.RESUME: "play", Action.STOP: "stop", Action.CANCEL_WORK: "stop",
    Action.PAUSE: "pause", Action.PAUSE_30_MINUTES: "pause", Action.PAUSE_HOUR: "pause",
    Action.PAUSE_UNTIL_TOMORROW: "pause", Action.OPEN_EXECUTION: "executions", Action.CANCEL_EXECUTION: "stop",
    Action.OPEN_APPROVAL: "approvals", Action.LOGS: "logs", Action.SETTINGS: "settings",
    Action.SNOOZE_30_MINUTES: "bell", Action.SNOOZE_HOUR: "bell", Action.SNOOZE_UNTIL_TOMORROW: "bell",
    Action.UNSNOOZE: "bell", Action.TOGGLE_AUTOSTART: "power", Action.QUIT_DRAINED: "power", Action.QUIT_NOW: "power",
    Action.OPEN_QUEUE: "queues", Action.COPY_DIAGNOSTICS: "copy", Action.SEARCH: "search", Action.KEYS: "info",
    Action.CLOSE: "close", Action.NEW_TASK: "plus",
}  # fmt: skip


class WindowCommands(QObject):
    """Binds the keys, shows palette and sheet, and carries out what is picked in them."""

    def __init__(
        self,
        window: QWidget,
        desk: Desk,
        *,
        search: Callable[[], object],
        settings: Callable[[], Iterable[tuple[str, str, str]]],
    ) -> None:
        """`search` searches the page that is shown; `settings` has name, title and meaning of each setting."""
        super().__init__(window)
        self._window, self._desk, self._search, self._settings = window, desk, search, settings
        self._palette: CommandPalette | None = None
        self._sheet: KeysSheet | None = None
        for one in bindings():
            for keys in one.keys if one.action is not Action.NOTHING else ():
                QShortcut(keys, window, partial(self.carry_out, one.action, one.target))

    def carry_out(self, action: Action, target: str = "") -> None:
        """Do it: the window's own here, everything else as the tray does."""
        match action:
            case Action.PAGE:
                self._desk.frame.show_page(target)
            case _ if page := PAGE_OF.get(action):
                self._desk.frame.show_page(page, target)
            case Action.NEW_TASK:
                self._desk.frame.task_wanted.emit()
            case Action.APPEARANCE:
                self._desk.settings.remember(appearance=target)
                theme().set_mode(target)  # type: ignore[arg-type]
            case Action.COPY_DIAGNOSTICS:
                copy_facts(self._desk)
                self._desk.frame.say(tr("The diagnostics are on the clipboard."), tone="success")
            case Action.COMMANDS:
                self._show_palette()
            case Action.KEYS:
                self._show_keys()
            case Action.SEARCH:
                self._search()
            case Action.CLOSE:
                self._window.close()
            case _:
                self._desk.carry_out(action, target)

    def all(self) -> list[NamedCommand]:
        """Every command that there is now, each once; those of the menu as it is now."""
        found: dict[tuple[Action, str], NamedCommand] = {}
        menu, executions = list(self._of_menu()), list(self._executions())
        parts = (
            (one for one in menu if one.action is Action.OPEN_APPROVAL), self._pages(), executions[:NEWEST], menu,
            self._of_window(), executions[NEWEST:], self._queues(), self._of_settings(),
        )  # fmt: skip
        for one in chain.from_iterable(parts):
            known = found.get(one.key)
            if known is None:
                found[one.key] = one
            elif known is not one:  # under both names
                words = f"{known.words} {one.title} {one.words}"
                found[one.key] = replace(known, words=words, about=known.about or one.about)
        keys = {(one.action, one.target): one.said for one in bindings()}
        return [replace(one, keys=keys[one.key]) if one.key in keys else one for one in found.values()]

    # -- what there is --------------------------------------------------------------------------------------------

    def _of_menu(self) -> Iterator[NamedCommand]:
        known = {one.execution_id for one in self._desk.executions.all()}
        for title, entry in _flat(self._desk.menu()):
            # "Open" is what has happened; an execution that is known has a better name below.
            if entry.action is Action.OPEN or (entry.action is Action.OPEN_EXECUTION and entry.target in known):
                continue
            yield NamedCommand(
                title=title,
                action=entry.action,
                target=entry.target,
                kind=tr("Waits for you") if entry.action is Action.OPEN_APPROVAL else tr("Command"),
                icon=_ICONS.get(entry.action, "tool"),
                about="" if entry.checked is None else tr("On") if entry.checked else tr("Off"),
                ends=entry.action in ENDS,
            )

    def _pages(self) -> Iterator[NamedCommand]:
        for section in sections():
            action, target = opening(section.name)
            yield NamedCommand(title=section.title, action=action, target=target, kind=tr("Page"), icon=section.icon)

    def _of_window(self) -> Iterator[NamedCommand]:
        for one in bindings():
            if one.action not in {Action.NOTHING, Action.PAGE, Action.COMMANDS, *PAGE_OF}:
                yield NamedCommand(
                    title=one.title, action=one.action, target=one.target, kind=tr("Command"),
                    icon=_ICONS.get(one.action, "tool"), ends=one.action in ENDS,
                )  # fmt: skip
        yield NamedCommand(
            title=tr("Copy the diagnostics"), action=Action.COPY_DIAGNOSTICS, kind=tr("Command"),
            icon=_ICONS[Action.COPY_DIAGNOSTICS],
        )  # fmt: skip
        modes = {"system": tr("As the system"), "light": tr("Light"), "dark": tr("Dark")}
        for mode, title in modes.items():
            yield NamedCommand(
                title=_path(tr("Appearance"), title), action=Action.APPEARANCE, target=mode, kind=tr("Command"),
                icon="settings", about=tr("On") if mode == theme().mode else "",
            )  # fmt: skip

    def _executions(self) -> Iterator[NamedCommand]:
        for one in self._desk.executions.all():
            yield NamedCommand(
                title=one.name,
                action=Action.OPEN_EXECUTION,
                target=one.execution_id,
                kind=tr("Execution"),
                icon="executions",
                about="  ·  ".join(part for part in (one.agent, status_text(one.status)) if part),
                words=f"{one.execution_id} {one.queue}",
            )

    def _queues(self) -> Iterator[NamedCommand]:
        for one in self._desk.worker.snapshot.queues:
            yield NamedCommand(
                title=one.queue_name or one.queue_id, action=Action.OPEN_QUEUE, target=one.queue_id, kind=tr("Queue"),
                icon="queues", about=one.environment_name, words=one.queue_id,
            )  # fmt: skip

    def _of_settings(self) -> Iterator[NamedCommand]:
        for name, title, meaning in self._settings():
            yield NamedCommand(
                title=title, action=Action.SETTINGS, target=name, kind=tr("Setting"), icon="settings", about=meaning,
                words=name,
            )  # fmt: skip

    # -- palette and sheet ----------------------------------------------------------------------------------------

    def _show_palette(self) -> None:
        if self._palette is None:
            self._palette = CommandPalette(self._window)
            self._palette.picked.connect(self._picked)
        if self._palette.isVisible():
            self._palette.close()
            return
        self._palette.offer(CommandIndex(self.all(), recent=self._recent()), unknown=_unknown_execution)

    def _show_keys(self) -> None:
        self._sheet = self._sheet or KeysSheet(self._window)
        if self._sheet.isVisible():
            self._sheet.close()
        else:
            self._sheet.open()

    def _picked(self, command: NamedCommand) -> None:
        if not command.ends:
            mine = "\t".join((command.action.value, command.target))
            before = [line for line in self._desk.settings.preferences.recent_commands.split("\n") if line != mine]
            self._desk.settings.remember(recent_commands="\n".join([mine, *before][:RECENT]))
        self.carry_out(command.action, command.target)

    def _recent(self) -> list[tuple[Action, str]]:
        """The latest first; what this version does not know, or should not be at hand, is left out."""
        actions = {one.value: one for one in Action}
        found = []
        for line in self._desk.settings.preferences.recent_commands.split("\n")[:RECENT]:
            name, _, target = line.partition("\t")
            if (action := actions.get(name)) is not None and action not in ENDS:
                found.append((action, target))
        return found


def _flat(entries: Sequence[Entry], above: str = "") -> Iterator[tuple[str, Entry]]:
    """Every line that does something, with the names of the menus that it is in."""
    for one in entries:
        title = _path(above, one.title)
        if one.children:
            yield from _flat(one.children, title)
        elif one.title and one.enabled and one.action is not Action.NOTHING:
            yield title, one


def _path(above: str, title: str) -> str:
    return f"{above} › {title}" if above else title


def _unknown_execution(typed: str) -> NamedCommand | None:
    """For an id that the window has not heard of: the control plane may have."""
    if not _ID.fullmatch(typed.strip()):
        return None
    wanted = typed.strip().lower()
    return NamedCommand(
        title=tr("Open the execution {id}", id=short(wanted, 40)), action=Action.OPEN_EXECUTION, target=wanted,
        kind=tr("Execution"), icon="executions",
    )  # fmt: skip
