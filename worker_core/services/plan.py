"""What a service is to be, before it is written in the words of one system."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ConfigurationError
from worker_core.services.notify import LEAVING_MARGIN

Scope = Literal["user", "system"]

LABEL: Final = "kubiya-worker"
WATCHDOG: Final = timedelta(minutes=2)
NO_RESTART_AFTER: Final = (2, 3, 4, 5)
"""Exit codes behind which a restart would end the same: usage, configuration, a refused key, an unusable queue."""

GOOD_ENDS: Final = (8, 130)
"""Besides 0: somebody wanted it to leave, and would not wait for what was running."""

_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """One service. Nothing in it is a secret."""

    name: str = ""
    """Empty, where there is only one of them here."""

    scope: Scope
    program: tuple[str, ...]
    """What is started, without the settings."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings that it is to have, by their names, as text."""

    keys: Mapping[str, Path] = field(default_factory=dict)
    """Key files, by the names of their credentials."""

    drain_timeout: timedelta

    def __post_init__(self) -> None:
        if self.name and not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"{self.name!r} is no name for a service: it may have small letters, digits and hyphens, 32 at most."
            )
        for text in (*self.program, *self.settings.values(), *map(str, self.keys.values())):
            if any(character < " " or character == "\x7f" for character in text):
                raise ConfigurationError(
                    f"{text!r} holds a control character, which no service file can hold. Nothing was written."
                )

    @property
    def label(self) -> str:
        """Its name among all services of the machine."""
        return f"{LABEL}-{self.name}" if self.name else LABEL

    @property
    def stop_limit(self) -> timedelta:
        """What the system gives it to leave."""
        return self.drain_timeout + LEAVING_MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFile:
    """A file that belongs to a service."""

    path: Path
    content: bytes
    mode: int = 0o644
    shared: bool = False
    """Other services of ours need it as well."""

    @property
    def text(self) -> str:
        """The content, as a text: UTF-16 where it begins with a byte order mark of it, else UTF-8."""
        return self.content.decode("utf-16" if self.content.startswith(_MARKS) else "utf-8")
