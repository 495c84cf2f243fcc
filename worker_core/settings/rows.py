"""Every setting as it is shown: its value, and where that is from. Secrets are stars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.secrets import Secret
from worker_core.settings.declaration import as_text
from worker_core.settings.fields import SETTINGS, Settings
from worker_core.settings.reading import Origin, Reading, Source

_STARS: Final = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSetting:
    """One setting. `value` is a text, a number, true or false, a list of texts, or None: the program decides."""

    name: str
    value: Any
    source: Source
    where: str
    live: bool
    """It may change while a worker runs."""

    @property
    def text(self) -> str:
        """The value as it is typed; empty where there is none."""
        value = ", ".join(self.value) if isinstance(self.value, list) else "" if self.value is None else self.value
        return str(value).lower() if isinstance(value, bool) else str(value)

    @property
    def origin(self) -> str:
        return self.where or self.source


def rows(
    settings: Settings, reading: Reading, *, others: Mapping[str, tuple[object, Origin]] | None = None
) -> list[ShownSetting]:
    """In the order of the page.

    Args:
        settings: their values.
        reading: where these are from.
        others: what holds where nobody decided: by name, a value and who decided it.
    """
    found = []
    for name, one in SETTINGS.items():
        value, origin = getattr(settings, name), reading.origin(name)
        if origin.source == "default" and name in (others or {}):
            value, origin = (others or {})[name]
        found.append(
            ShownSetting(name=name, value=_plain(value), source=origin.source, where=origin.where, live=one.live)
        )
    return found


def _plain(value: object) -> Any:
    match value:
        case Secret():
            return _STARS if value else ""
        case None | bool() | int():
            return value
        case tuple():
            return [str(one) for one in value]
        case _:
            return as_text(value)
