"""Where settings are kept: the worker's TOML file, read and written whole, and the window's own preferences."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from worker_core import settings as worker_settings
from worker_core.errors import ConfigurationError
from worker_core.settings import ENVIRONMENT, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the window alone cares about."""

    appearance: str = "system"
    """`system`, `light` or `dark`."""
    notifications: str = "all"
    """`all`, `problems` or `none`."""
    keep_awake: bool = True
    drain_before_sleep: bool = True
    pause_below_battery_percent: int = 0
    """0: never mind the battery."""
    pause_on_metered_network: bool = False
    start_worker: bool = True


class SettingsStore(Protocol):
    """Settings as pages see them. Writing raises ConfigurationError, whose sentence is shown beside the field."""

    def settings(self) -> Settings: ...
    def preferences(self) -> Any:
        """A frozen dataclass; the page shows the fields that it knows."""
        ...

    def decided_elsewhere(self, name: str) -> str:
        """The environment variable that decides this field; empty where the file does."""
        ...

    def change(self, name: str, text: str | bool) -> None: ...
    def reset(self, name: str) -> None: ...
    def is_changed(self, name: str) -> bool: ...
    def prefer(self, **changes: Any) -> None: ...


class TrayStore(Protocol):
    """The store of the tray's composition."""

    preferences: Any
    paths: Any

    def save_preferences(self, **changes: Any) -> object: ...


class PolicyStore(Protocol):
    """The policy as text."""

    def text(self) -> str: ...
    def check(self, text: str) -> str:
        """A sentence on what is wrong; empty where nothing is."""
        ...

    def save(self, text: str) -> None: ...


class SettingsFile:
    """The worker's `settings.toml` and, beside it, `desktop.toml`. What is wrong is never written."""

    def __init__(self, *, file: Path, environ: Mapping[str, str] | None = None) -> None:
        self._file = file
        self._own = file.with_name("desktop.toml")
        self._environ = os.environ if environ is None else environ

    def settings(self) -> Settings:
        return worker_settings.load(environ=self._environ, file=self._file)

    def preferences(self) -> Any:
        plain = Preferences()
        known = {spec.name: type(getattr(plain, spec.name)) for spec in fields(Preferences)}
        found: dict[str, Any] = {
            name: value for name, value in _read(self._own).items() if isinstance(value, known.get(name, type))
        }
        return replace(plain, **found)

    def decided_elsewhere(self, name: str) -> str:
        return next((key for key, field in ENVIRONMENT.items() if field == name and self._environ.get(key)), "")

    def is_changed(self, name: str) -> bool:
        return name in _read(self._file)

    def change(self, name: str, text: str | bool) -> None:
        """Check one field as the worker would, and write it.

        Raises:
            ConfigurationError: it is not valid, or the file cannot be written.
        """
        before = _read(self._file)
        value: Any = text.strip() if isinstance(text, str) else text
        if value == "":
            self.reset(name)
            return
        trial = {key: old for key, old in before.items() if key != name} | {name: value}
        checked = Settings()
        for key, one in trial.items():
            checked = worker_settings.change(checked, key, one)
        _write(self._file, {**before, name: _plain(getattr(checked, name))})

    def reset(self, name: str) -> None:
        before = _read(self._file)
        if before.pop(name, None) is not None:
            _write(self._file, before)

    def prefer(self, **changes: Any) -> None:
        now = replace(self.preferences(), **changes)
        plain = Preferences()
        kept = {spec.name: getattr(now, spec.name) for spec in fields(Preferences)}
        _write(self._own, {name: value for name, value in kept.items() if value != getattr(plain, name)})


class _OverTray(SettingsFile):
    """The worker's file as here, the preferences as the tray keeps them."""

    def __init__(self, store: TrayStore) -> None:
        super().__init__(file=store.paths.settings_file)
        self._store = store

    def preferences(self) -> Any:
        return self._store.preferences

    def prefer(self, **changes: Any) -> None:
        try:
            self._store.save_preferences(**changes)
        except OSError as error:
            raise ConfigurationError(f"The preferences cannot be written: {error.strerror}.") from error


def adapted(store: SettingsStore | TrayStore) -> SettingsStore:
    """A store as pages want it."""
    return _OverTray(store) if hasattr(store, "save_preferences") else store  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    match value:
        case timedelta():
            seconds = value.total_seconds()
            return int(seconds) if seconds.is_integer() else seconds
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case _:
            return value


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The settings file {file} cannot be read: {error}.") from error


def _write(file: Path, values: Mapping[str, Any]) -> None:
    # JSON's strings, numbers, booleans and lists of them are TOML's too.
    text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())
    beside = file.with_name(f"{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise ConfigurationError(f"The settings file {file} cannot be written: {error.strerror}.") from error
