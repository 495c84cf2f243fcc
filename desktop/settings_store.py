"""What the user chose: the worker's settings file, and the tray's own preferences beside it."""

from __future__ import annotations

import json
import logging
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal

from worker_core import settings as settings_of
from worker_core.errors import ConfigurationError
from worker_core.paths import Paths, private_directory
from worker_core.settings import Settings

log = logging.getLogger(__name__)

NotificationLevel = Literal["all", "problems", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Of the tray alone; kept in `desktop.json`. What is not valid there counts as not given."""

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

    told_no_tray: bool = False
    """The user has read that this desktop has no tray."""


class SettingsStore(QObject):
    """Reads and writes both files; tells who looks."""

    changed = Signal()

    def __init__(self, paths: Paths, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.paths = paths
        self._preferences_file = paths.config / "desktop.json"
        self.preferences = _read_preferences(self._preferences_file)

    def settings(self, environ: Mapping[str, str] = os.environ) -> Settings:
        """As the worker would start with them now: file, then environment.

        Raises:
            ConfigurationError: a value is not valid.
        """
        return settings_of.load(environ=environ, file=self.paths.settings_file)

    def save_settings(self, **changes: Any) -> Settings:
        """Change the file; None takes a setting out, so that its default counts. Comments in it are lost.

        Raises:
            ConfigurationError: a value is not valid (nothing is written then), or the file cannot be written.
        """
        file = self.paths.settings_file
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"The settings file {file} cannot be read: {error}.") from error
        for name, value in changes.items():
            if value is None:
                values.pop(name, None)
            else:
                values[name] = value
        text = "".join(f"{name} = {_toml(value)}\n" for name, value in sorted(values.items()))
        draft = file.with_suffix(".new")
        try:
            private_directory(file.parent)
            draft.write_text(text, encoding="utf-8")
            try:
                settings = settings_of.load(environ={}, file=draft)
            except ConfigurationError as error:
                draft.unlink()
                raise ConfigurationError(str(error).replace(str(draft), str(file))) from error
            draft.replace(file)
        except OSError as error:
            raise ConfigurationError(f"The settings file {file} cannot be written: {error.strerror}.") from error
        self.changed.emit()
        return settings

    def save_preferences(self, **changes: Any) -> Preferences:
        """Raises TypeError for a preference that does not exist, OSError where the file cannot be written."""
        self.preferences = replace(self.preferences, **changes)
        private_directory(self._preferences_file.parent)
        draft = self._preferences_file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self.preferences), indent=2) + "\n", encoding="utf-8")
        draft.replace(self._preferences_file)
        self.changed.emit()
        return self.preferences


def _read_preferences(file: Path) -> Preferences:
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
    if valid.get("notifications") not in {None, "all", "problems", "none"}:
        del valid["notifications"]
    return Preferences(**valid)


def _toml(value: object) -> str:
    """One value as TOML; JSON's strings, numbers and lists of strings are TOML as well."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False)
