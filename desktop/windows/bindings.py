"""The window's keys: what each does, from which its shortcuts, the palette and the sheet of keys are made."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence

from desktop.look.language import tr
from desktop.notices.action import Action
from worker_core.basics.quick_dataclass import dataclass

_Keys = QKeySequence.StandardKey

TO_TIMELINE: Final = "Ctrl+T"
"""From what is read of an execution to its place in the timeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A page of the window, as the side bar shows it."""

    name: str
    icon: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Keys that do the same. With NOTHING they are those of a part of a page, which listens for them itself."""

    keys: tuple[QKeySequence, ...]
    group: str
    title: str
    action: Action = Action.NOTHING
    target: str = ""

    @property
    def said(self) -> tuple[str, ...]:
        """As they stand on the keyboard."""
        return tuple(map(as_said, self.keys))


def as_said(keys: QKeySequence) -> str:
    """As it stands on the keyboard: Ctrl+K, Strg+K in German, ⌘K on macOS."""
    names = {
        "Ctrl": tr("Ctrl"), "Shift": tr("Shift"), "Return": tr("Enter"), "Esc": tr("Esc"), "Down": "↓", "Up": "↑",
    }  # fmt: skip
    native = keys.toString(QKeySequence.SequenceFormat.NativeText)
    return "+".join(names.get(part, part) for part in native.split("+"))


def sections() -> tuple[Section, ...]:
    """All pages, in the order of the side bar."""
    return (
        Section(name="overview", icon="overview", title=tr("Overview")),
        Section(name="executions", icon="executions", title=tr("Executions")),
        Section(name="queues", icon="queues", title=tr("Queues")),
        Section(name="logs", icon="logs", title=tr("Logs")),
        Section(name="health", icon="health", title=tr("Health")),
        Section(name="usage", icon="usage", title=tr("Usage")),
        Section(name="approvals", icon="approvals", title=tr("Approvals")),
        Section(name="notifications", icon="bell", title=tr("Notifications")),
        Section(name="settings", icon="settings", title=tr("Settings")),
    )


_ALSO: Final = {"settings": ("Ctrl+,",)}
_OPENS_A_PAGE: Final = {"logs": Action.LOGS, "settings": Action.SETTINGS}
"""Those that the tray's menu opens too; the others are a target of PAGE."""


def opening(page: str) -> tuple[Action, str]:
    """What opens a page."""
    return (_OPENS_A_PAGE[page], "") if page in _OPENS_A_PAGE else (Action.PAGE, page)


def bindings() -> tuple[Binding, ...]:
    """All keys, in the window's language."""
    everywhere, going = tr("Everywhere"), tr("Go to a page")
    lists, log = tr("In lists"), tr("In the log")
    one, writing, questions = tr("In an execution"), tr("While writing"), tr("In the palette of commands")

    def of(group: str, title: str, action: Action, *keys: str | _Keys | Qt.Key) -> Binding:
        return Binding(group=group, title=title, action=action, keys=tuple(QKeySequence(one) for one in keys))

    pages = [(number, section, *opening(section.name)) for number, section in enumerate(sections(), start=1)]
    return (
        of(everywhere, tr("Find a command"), Action.COMMANDS, "Ctrl+K"),
        of(everywhere, tr("New task…"), Action.NEW_TASK, _Keys.New),
        of(everywhere, tr("Show all keys"), Action.KEYS, "Ctrl+/", Qt.Key.Key_F1, "?"),
        of(everywhere, tr("Search on this page"), Action.SEARCH, _Keys.Find, Qt.Key.Key_Slash),
        of(everywhere, tr("Close the window"), Action.CLOSE, _Keys.Close),
        *(
            Binding(
                group=going, title=section.title, action=action, target=target,
                keys=tuple(QKeySequence(keys) for keys in (f"Ctrl+{number}", *_ALSO.get(section.name, ()))),
            )
            for number, section, action, target in pages
        ),
        of(lists, tr("Next or previous row"), Action.NOTHING, Qt.Key.Key_Down, Qt.Key.Key_Up),
        of(lists, tr("Open the row"), Action.NOTHING, Qt.Key.Key_Return),
        of(log, tr("Only the lines of this execution, or all again"), Action.NOTHING, Qt.Key.Key_Return),
        of(log, tr("Copy the chosen lines of the log"), Action.NOTHING, _Keys.Copy),
        of(one, tr("Show what is read in the timeline"), Action.NOTHING, TO_TIMELINE),
        of(one, tr("From the timeline to the conversation"), Action.NOTHING, Qt.Key.Key_Return),
        of(writing, tr("Send the message"), Action.NOTHING, Qt.Key.Key_Return),
        of(writing, tr("Begin a new line"), Action.NOTHING, "Shift+Return"),
        of(questions, tr("Choose"), Action.NOTHING, Qt.Key.Key_Down, Qt.Key.Key_Up),
        of(questions, tr("Do what is chosen"), Action.NOTHING, Qt.Key.Key_Return),
        of(questions, tr("Close"), Action.NOTHING, Qt.Key.Key_Escape),
    )  # fmt: skip


def said_keys(action: Action, target: str = "") -> str:
    """The first of its keys, as this system writes them; empty where it has none."""
    return next((one.said[0] for one in bindings() if (one.action, one.target) == (action, target)), "")
