"""The settings of a worker that runs: some may change meanwhile."""

from __future__ import annotations

from dataclasses import replace

from worker_core.basics.quick_dataclass import dataclass
from worker_core.settings.fields import SETTINGS, Settings
from worker_core.settings.reading import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What became of new settings. Both are names."""

    applied: tuple[str, ...] = ()
    """They hold from now on."""

    later: tuple[str, ...] = ()
    """They wait for the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What became of the settings that were read again. With faults, nothing was changed."""

    sentence: str
    applied: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


class SettingsInForce:
    """Whoever uses a setting that may change while the worker runs asks `current` each time."""

    def __init__(self, settings: Settings) -> None:
        self.current = settings

    def adopt(self, settings: Settings) -> Adopted:
        """From now on those that may change (`Setting.live`) are as they are here."""
        changed = [name for name in SETTINGS if getattr(settings, name) != getattr(self.current, name)]
        applied = tuple(name for name in changed if SETTINGS[name].live)
        self.current = replace(self.current, **{name: getattr(settings, name) for name in applied})
        return Adopted(applied=applied, later=tuple(name for name in changed if name not in applied))
