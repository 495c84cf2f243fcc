"""What the user chose: the worker's settings file, and the window's and the tray's own preferences beside it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop.settings import preferences
from desktop.settings.preferences import Preferences
from worker_core import settings as settings_of
from worker_core.basics.durations import duration_as_typed
from worker_core.basics.sentences import worded
from worker_core.basics.toml_text import basic_string
from worker_core.basics.whole_text import whole
from worker_core.errors import ConfigurationError
from worker_core.network.proxy import use_proxy
from worker_core.paths import Paths
from worker_core.settings import FORMAT, FORMAT_KEY, SETTINGS, Reading, Settings, text_file


class SettingsStore(QObject):
    """Reads and writes both files; tells who looks. What is wrong is never written, and nothing else is changed."""

    changed = Signal()

    def __init__(self, paths: Paths, *, environ: Mapping[str, str] = os.environ, parent: QObject | None = None) -> None:
        """`environ` wins over the file, as for the worker."""
        super().__init__(parent)
        self.paths = paths
        self._environ = environ
        self._preferences_file = paths.preferences_file
        self.preferences = preferences.read(self._preferences_file)

    # --- the worker's settings ----------------------------------------------------------------------------

    def settings(self) -> Settings:
        """As the worker would start with them now: file, then environment.

        Raises:
            ConfigurationError: a value is not valid.
        """
        return self.reading().settings()

    def reading(self) -> Reading:
        """The same, with where each value is from, what is wrong and what has no effect. Never raises."""
        return settings_of.read(environ=self._environ, file=self.paths.settings_file)

    def settings_in_use(self) -> Settings:
        """The same, for a connection that is about to be made: from here on, this process uses their proxy."""
        found = self.settings()
        use_proxy(found.proxy)
        return found

    def decided_elsewhere(self, name: str) -> str:
        """The environment variable that decides this field; empty where the file does."""
        variable = SETTINGS[name].variable
        return variable if self._environ.get(variable) else ""

    def change(self, **changes: Any) -> None:
        """Check fields as the worker would, and write them. Texts are read as typed; None or "" takes a field out.

        Raises:
            ConfigurationError: a value is not valid (nothing is written then), or the file cannot be written.
        """
        file = self.paths.settings_file
        text, mark = text_file.read(file, what=worded("settings file"))
        text = text or f"{FORMAT_KEY} = {FORMAT}\n"
        values = settings_of.parse(text, file=file)
        for name, value in changes.items():
            given = _typed(value)
            if given is None or given == "":
                values.pop(name, None)
                continue
            values[name] = given
        checked = Settings()
        for name, value in values.items():
            checked = settings_of.change(checked, name, value)
        text = edited(text, {name: getattr(checked, name) if name in values else None for name in changes})
        if _read_back(text, file=file) != checked:
            raise ConfigurationError(
                worded(
                    "The settings file {file} was left as it is: these values cannot be written to it.", file=str(file)
                )
            )
        try:
            text_file.replace(file, mark + text)
        except OSError as error:
            said = worded("The settings file {file} cannot be written: {why}.", file=str(file), why=str(error.strerror))
            raise ConfigurationError(said) from error
        self.changed.emit()

    # --- preferences --------------------------------------------------------------------------------------

    def prefer(self, **changes: Any) -> Preferences:
        """Raises TypeError for a preference that does not exist, ConfigurationError where they cannot be written."""
        self.preferences = replace(self.preferences, **changes)
        try:
            preferences.write(self._preferences_file, self.preferences)
        except OSError as error:
            raise ConfigurationError(
                worded("The preferences cannot be written: {why}.", why=str(error.strerror))
            ) from error
        self.changed.emit()
        return self.preferences

    def remember(self, **changes: Any) -> None:
        """The same for what the program notes for itself: where it cannot be written, something is said once more."""
        with contextlib.suppress(ConfigurationError):
            self.prefer(**changes)


def edited(text: str, changes: Mapping[str, Any]) -> str:
    """A TOML text with some of its values changed and everything else as it was: comments, order, how it is written.

    Args:
        text: valid TOML.
        changes: values of settings by name; None takes one out.
    """
    import tomlkit  # not at the start: it is needed when somebody changes a setting

    document = tomlkit.parse(text)
    for name, value in changes.items():
        if value is None:
            document.pop(name, None)
        else:
            document[name] = tomlkit.value(_toml(value))
    return tomlkit.dumps(document)


def _typed(value: Any) -> Any:
    """Without blanks around it, and with whole characters: no file has halves of them."""
    if isinstance(value, str):
        return whole(value.strip())
    return [_typed(one) for one in value] if isinstance(value, list | tuple) else value


def _read_back(text: str, *, file: Path) -> Settings:
    found = Settings()
    for name, value in settings_of.parse(text, file=file).items():
        found = settings_of.change(found, name, value)
    return found


def _toml(value: object) -> str:
    """One value as TOML: numbers and switches are written as JSON writes them."""
    if isinstance(value, timedelta):
        value = duration_as_typed(value)
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str):
        return basic_string(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(basic_string(str(one)) for one in value)}]"
    return json.dumps(value)
