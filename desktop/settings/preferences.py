"""What the user chose for the tray itself. Knows no Qt."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, get_args

from worker_core.basics.files import write_private
from worker_core.basics.quick_dataclass import dataclass
from worker_core.paths import private_directory

log = logging.getLogger(__name__)

Appearance = Literal["system", "light", "dark"]
NotificationLevel = Literal["all", "problems", "none"]
IconClick = Literal["popover", "window"]
QueueOrder = Literal["waiting", "name", "state"]
"""Of the page of queues: the longest backlog first, by name, or what is not well first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Of the tray alone; kept in `desktop.json`. What is not valid there counts as not given."""

    appearance: Appearance = "system"
    notifications: NotificationLevel = "all"
    icon_click: IconClick = "popover"
    """What a click on the tray's icon opens, where there is a place for a popover."""

    keep_awake: bool = True
    """While a task runs, the machine does not fall asleep by itself."""

    drain_before_sleep: bool = True
    """When the machine is about to sleep, nothing new is taken."""

    pause_below_battery_percent: int = 0
    """On battery and below this, nothing new is taken. 0: never mind the battery."""

    pause_on_metered_network: bool = False
    start_worker: bool = True
    """The worker starts with the tray."""

    language: str = ""
    """Such as `de`. Empty: the system's."""

    hotkey_on: bool = False
    """Keys open a new task, whatever program has the focus."""

    hotkey: str = "Ctrl+Alt+Space"
    """Which ones, in Qt's portable text."""

    check_for_updates: bool = False
    """Ask once a day whether there is a newer release. Off: no request is made."""

    update_asked: str = ""
    """When that was asked last, in ISO format."""

    update_told: str = ""
    """The release that the user was told of."""

    update_keys_seen: int = 0
    """The generation of the keys that signed the newest list of releases which was believed, and that list's number."""

    update_index_seen: int = 0

    told_key_end: str = ""
    """The end of the key, and the warning about it that came last."""

    told_no_tray: bool = False
    """The user has read that this desktop has no tray."""

    task_agent: str = ""
    """The agent and the queue of the last task that was begun here, by their ids."""

    task_queue: str = ""

    queue_order: QueueOrder = "waiting"
    snoozed: str = ""
    """Notifications that are put off: a line for each, until when in ISO format and of what, with a tab between."""

    recent_commands: str = ""
    """Used last in the palette: a line for each, action and target with a tab between them, the latest first."""

    timeline_open: bool = False
    """An execution's timeline is shown above its conversation."""

    window: str = ""
    """Size and place of the main window, as Qt writes them, in base64."""


def read(file: Path) -> Preferences:
    """What the file says, as far as it is valid."""
    return Preferences(**_valid(_said(file)))


def write(file: Path, chosen: Preferences) -> None:
    """What another version has put there, and this one does not know, stays for that one. Raises OSError."""
    private_directory(file.parent)
    said, default = _said(file), Preferences()
    valid = _valid(said)
    names = {spec.name for spec in fields(Preferences)}
    foreign = {
        name: value
        for name, value in said.items()
        if name not in names or (name not in valid and getattr(chosen, name) == getattr(default, name))
    }
    content = {**asdict(chosen), **foreign}
    write_private(file, f"{json.dumps(content, indent=2)}\n".encode(), durable=False)


def _said(file: Path) -> dict[str, Any]:
    """Empty where there is no file, or none that can be read."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("The preferences in %s cannot be read (%s); the defaults are used.", file, type(error).__name__)
        return {}
    return said if isinstance(said, dict) else {}


def _valid(given: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows, and can use."""
    default = Preferences()
    valid = {
        spec.name: given[spec.name]
        for spec in fields(Preferences)
        if spec.name in given and type(given[spec.name]) is type(getattr(default, spec.name))
    }
    choices = {
        "notifications": NotificationLevel,
        "appearance": Appearance,
        "icon_click": IconClick,
        "queue_order": QueueOrder,
    }
    for name, possible in choices.items():
        if name in valid and valid[name] not in get_args(possible):
            del valid[name]
    return valid
