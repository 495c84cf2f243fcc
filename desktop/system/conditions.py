"""Whether the machine is in a state to take work, and why not, as a worker's sentence. Pure; knows no Qt."""

from __future__ import annotations

from desktop.settings.preferences import Preferences
from desktop.system.platforms.ports import Charge, PowerSupply
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """None: the system does not tell."""

    battery_percent: float | None = None
    on_battery: bool | None = None
    metered: bool | None = None


def battery() -> Charge:
    """By psutil, where the system has nobody who tells (`ports.PowerSupply`)."""
    import psutil

    try:
        found = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):
        return Charge()
    if found is None:
        return Charge()
    return Charge(
        percent=float(found.percent), used_up=None if found.power_plugged is None else not found.power_plugged
    )


def charge(supply: PowerSupply | None) -> Charge:
    """What the machine's batteries hold now, by whoever tells; else by psutil."""
    told = supply.charge() if supply is not None else None
    return told if told is not None else battery()


def why_not(machine: Machine, preferences: Preferences) -> str:
    """Why nothing new should be taken; empty where there is no reason. Unknown counts as fine."""
    limit = preferences.pause_below_battery_percent
    if machine.on_battery and machine.battery_percent is not None and machine.battery_percent < limit:
        return worded("Paused: on battery, and below {percent} %.", percent=limit)
    if preferences.pause_on_metered_network and machine.metered:
        return worded("Paused: the network is metered.")
    return ""
