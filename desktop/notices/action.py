"""What a person may ask for in one click: on the tray's menu, on a notice, in the palette, or with a key."""

from __future__ import annotations

import enum
from typing import Final

from worker_core.basics.quick_dataclass import dataclass


class Action(enum.Enum):
    """A target (an id, or nothing) says of what."""

    NOTHING = "nothing"
    START = "start"
    STOP = "stop"
    CANCEL_WORK = "cancel work"
    PAUSE_30_MINUTES = "pause 30 minutes"
    PAUSE_HOUR = "pause hour"
    PAUSE_UNTIL_TOMORROW = "pause until tomorrow"
    PAUSE = "pause"
    RESUME = "resume"
    OPEN_EXECUTION = "open execution"
    CANCEL_EXECUTION = "cancel execution"
    OPEN_APPROVAL = "open approval"
    NEW_TASK = "new task"
    OPEN = "open"
    LOGS = "logs"
    SETTINGS = "settings"
    SNOOZE_30_MINUTES = "snooze 30 minutes"
    SNOOZE_HOUR = "snooze hour"
    SNOOZE_UNTIL_TOMORROW = "snooze until tomorrow"
    UNSNOOZE = "unsnooze"
    TOGGLE_AUTOSTART = "toggle autostart"
    QUIT_DRAINED = "quit drained"
    QUIT_NOW = "quit now"

    # Of the window alone:
    PAGE = "page"
    OPEN_QUEUE = "open queue"
    APPEARANCE = "appearance"
    COPY_DIAGNOSTICS = "copy diagnostics"
    COMMANDS = "commands"
    KEYS = "keys"
    SEARCH = "search"
    CLOSE = "close"


PAGE_OF: Final = {
    Action.OPEN_EXECUTION: "executions",
    Action.OPEN_APPROVAL: "approvals",
    Action.OPEN_QUEUE: "queues",
    Action.LOGS: "logs",
    Action.SETTINGS: "settings",
}
"""On which page of the window the target of such an action is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a menu. No title: a separator. `checked` is None where there is nothing to check."""

    title: str = ""
    action: Action = Action.NOTHING
    target: str = ""
    enabled: bool = True
    checked: bool | None = None
    children: tuple[Entry, ...] = ()
