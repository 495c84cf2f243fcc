"""What the user may decide: each setting declared once (`fields`), read from file, environment and flags (`load`)."""

from worker_core.settings.choices import (
    ANSWERS_BY_COMMAND,
    ApprovalMode,
    ClaudeFallback,
    LogLevel,
    NetworkName,
    RequireSandbox,
    SandboxName,
    TlsMode,
)
from worker_core.settings.declaration import Group, Kind, Setting, as_text, shown
from worker_core.settings.fields import DEFAULT_CONTROL_PLANE_URL, DEFAULT_MODEL, SETTINGS, Settings
from worker_core.settings.in_force import Adopted, Reloaded, SettingsInForce
from worker_core.settings.load import change, load, parse
from worker_core.settings.reading import FORMAT, FORMAT_KEY, Fault, Origin, Reading, read
from worker_core.settings.rows import ShownSetting, rows
from worker_core.settings.source import SettingsSource

__all__ = [
    "ANSWERS_BY_COMMAND",
    "DEFAULT_CONTROL_PLANE_URL",
    "DEFAULT_MODEL",
    "FORMAT",
    "FORMAT_KEY",
    "SETTINGS",
    "Adopted",
    "ApprovalMode",
    "ClaudeFallback",
    "Fault",
    "Group",
    "Kind",
    "LogLevel",
    "NetworkName",
    "Origin",
    "Reading",
    "Reloaded",
    "RequireSandbox",
    "SandboxName",
    "Setting",
    "Settings",
    "SettingsInForce",
    "SettingsSource",
    "ShownSetting",
    "TlsMode",
    "as_text",
    "change",
    "load",
    "parse",
    "read",
    "rows",
    "shown",
]
