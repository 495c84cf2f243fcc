"""Reading a skill's configuration: whatever the server sends, there is a value, and what is not honoured is named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One skill's settings (protocol, section 9.4). Missing keys take their defaults, unknown ones are tolerated."""

    values: Mapping[str, Any]
    unknown: list[str]
    """Gets a sentence for everything that is not honoured."""

    def text(self, *keys: str) -> str:
        """The first of the keys that holds a text."""
        found = (self.values.get(key) for key in keys)
        return next((value.strip() for value in found if isinstance(value, str) and value.strip()), "")

    def switch(self, key: str, *, default: bool) -> bool:
        """A switch; screens store some as text."""
        value = self.values.get(key)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
            return value.strip().lower() == "true"
        if value is not None:
            self.unknown.append(f"The setting {key} = {value!r} of a skill is neither true nor false; it counts as "
                                f"{str(default).lower()}.")  # fmt: skip
        return default

    def names(self, key: str) -> tuple[str, ...] | None:
        """A list of names, which some screens store as one text with commas. None: not configured."""
        value = self.values.get(key)
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list | tuple):
            return None
        names = tuple(str(item).strip() for item in value if str(item).strip())
        return names or None

    def folder(self, *keys: str) -> str:
        """A folder of the workspace; the workspace itself where it is another one."""
        folder = self.text(*keys)
        if folder.startswith(("/", "~", "\\")) or ":" in folder or ".." in folder.replace("\\", "/").split("/"):
            self.unknown.append(f"The folder {folder!r} of a skill is outside the workspace; the workspace is used.")
            return ""
        return folder

    def seconds(
        self, key: str, *, default: timedelta, longest: timedelta, shortest: timedelta = timedelta(0)
    ) -> timedelta:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            self.unknown.append(
                f"The setting {key} = {value!r} of a skill is not a number of seconds; the default is used."
            )
            return default
        return max(min(timedelta(seconds=min(value, 1e6)), longest), shortest)

    def count(self, key: str, *, default: int, most: int) -> int:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 1:
            self.unknown.append(f"The setting {key} = {value!r} of a skill is not a number; the default is used.")
            return default
        return int(min(value, most))

    def not_honoured(self, key: str, why: str, *, unless: object = None) -> None:
        """Name a setting of the protocol that this worker has no use for, where it is set to something that matters.

        Args:
            key: the setting.
            why: the end of a sentence that begins with the setting.
            unless: a value that asks for nothing else than what is done.
        """
        value = self.values.get(key)
        if value is not None and value != unless and value not in ("", [], {}, ()):
            self.unknown.append(f"The setting {key} of a skill is not honoured: {why}.")
