"""What the user chose: the worker's settings file, and the tray's own preferences beside it."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop import preferences
from desktop.preferences import Preferences
from worker_core import settings as settings_of
from worker_core.errors import ConfigurationError
from worker_core.paths import Paths, private_directory
from worker_core.settings import Settings


class SettingsStore(QObject):
    """Reads and writes both files; tells who looks."""

    changed = Signal()

    def __init__(self, paths: Paths, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.paths = paths
        self._preferences_file = paths.config / "desktop.json"
        self.preferences = preferences.read(self._preferences_file)

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
        preferences.write(self._preferences_file, self.preferences)
        self.changed.emit()
        return self.preferences


def _toml(value: object) -> str:
    """One value as TOML; JSON's strings, numbers and lists of strings are TOML as well."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False)
