"""How numbers and days are written where a language is spoken. Pure; knows no Qt.

English keeps the point, the comma and ISO 8601's days, which nobody reads wrongly. The others are those of the Unicode
consortium's locale data (CLDR), with four digits for the year; Qt has them too, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    decimal: str = "."
    group: str = ","
    """Between thousands; never a space at which a line may break."""

    day: str = "%Y-%m-%d"
    """For `strftime`."""

    byte: str = "B"


_DE: Final = Convention(decimal=",", group=".", day="%d.%m.%Y")
_ES: Final = Convention(decimal=",", group=".", day="%d/%m/%Y")
_FR: Final = Convention(decimal=",", group="\N{NARROW NO-BREAK SPACE}", day="%d/%m/%Y", byte="o")
_SWISS: Final = replace(_DE, decimal=".", group="'")
_NORTH: Final = replace(_ES, decimal=".", group=",")

CONVENTIONS: Final = {
    "en": Convention(),
    "de": _DE, "de-ch": _SWISS, "de-li": _SWISS,
    "es": _ES, **dict.fromkeys(("es-do", "es-gt", "es-hn", "es-mx", "es-ni", "es-pe", "es-sv", "es-us"), _NORTH),
    "fr": _FR, "fr-ca": replace(_FR, day="%Y-%m-%d"), "fr-ch": replace(_FR, group="'", day="%d.%m.%Y"),
    "ja": Convention(day="%Y/%m/%d"),
}  # fmt: skip
"""A language, or a language and a region that differs from it -> how it is written there."""


def convention(language: str, names: Sequence[str] = ()) -> Convention:
    """The convention of `language`, as in the first of `names` (`fr-CA`, `fr-Latn-CA`) that is a region of it.

    So French that was chosen in Settings is written as in Canada where the system's locale is Canada's.
    """
    parts = [name.partition(".")[0].replace("_", "-").lower().split("-") for name in names]
    regional = (said[-1] for said in parts if said[0] == language and len(said) > 1 and len(said[-1]) == len("ca"))
    found = f"{language}-{next(regional, '')}"
    return CONVENTIONS.get(found) or CONVENTIONS.get(language) or CONVENTIONS["en"]
