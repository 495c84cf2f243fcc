"""What the tray knows, as one value; icon, tooltip and menu are functions of it."""

from __future__ import annotations

from datetime import datetime

from desktop.system.platforms.ports import Autostart
from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import EngineSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class TrayFacts:
    """`snapshot` is the worker's own word; the rest is the tray's."""

    snapshot: EngineSnapshot
    attached: bool = False
    paused_until: datetime | None = None
    autostart: Autostart = Autostart.OFF
    snoozed_until: datetime | None = None
    unset: bool = False
    """Nobody has said yet what to serve."""

    now: datetime | None = None
    """For words such as "tomorrow"; None: the present."""
