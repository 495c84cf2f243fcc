"""What a person may ask for in one click: on the tray's menu, or on a notice."""

from __future__ import annotations

import enum


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
