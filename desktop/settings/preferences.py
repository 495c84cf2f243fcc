"""What the user chose for the tray itself. Knows no Qt."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from worker_core.basics.files import write_private
from worker_core.paths import private_directory

log = logging.getLogger(__name__)

Appearance = Literal["system", "light", "dark"]
NotificationLevel = Literal["all", "problems", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Of the tray alone; kept in `desktop.json`. What is not valid there counts as not given."""

    appearance: Appearance = "system"
    notifications: NotificationLevel = "all"
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

    check_for_updates: bool = False
    """Ask once a day whether there is a newer release. Off: no request is made."""

    update_asked: str = ""
    """When that was asked last, in ISO format."""

    update_told: str = ""
    """The release that the user was told of."""

    told_key_end: str = ""
    """The end of the key, and the warning about it that came last."""

    told_no_tray: bool = False
    """The user has read that this desktop has no tray."""


def read(file: Path) -> Preferences:
    """What the file says, as far as it is valid."""
    default = Preferences()
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
    except (OSError, ValueError) as error:
        log.warning("The preferences in %s cannot be read (%s); the defaults are used.", file, type(error).__name__)
        return default
    given = said if isinstance(said, dict) else {}
    valid = {
        spec.name: given[spec.name]
        for spec in fields(Preferences)
        if spec.name in given and type(given[spec.name]) is type(getattr(default, spec.name))
    }
    for name, possible in (("notifications", NotificationLevel), ("appearance", Appearance)):
        if name in valid and valid[name] not in get_args(possible):
            del valid[name]
    return Preferences(**valid)


def write(file: Path, chosen: Preferences) -> None:
    """Raises OSError."""
    private_directory(file.parent)
    write_private(file, f"{json.dumps(asdict(chosen), indent=2)}\n".encode(), durable=False)
