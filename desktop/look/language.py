"""The words that people read: every visible text goes through `tr`, and a catalogue may put it in another language.

A catalogue is a JSON object in `languages/`, English text -> translation. What it lacks stays English.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from desktop.look.conventions import Convention, convention
from worker_core.basics.sentences import Phrase, Worded, filled
from worker_core.errors import KubiyaError

FOLDER: Final = Path(__file__).parent / "languages"

LANGUAGES: Final = (("en", "English"), ("de", "Deutsch"), ("es", "Español"), ("fr", "Français"), ("ja", "日本語"))
"""Those that the program speaks, each by its own name."""

_catalogue: dict[str, str] = {}
_spoken = "en"
_writes = Convention()


def spoken() -> str:
    """The language in use, such as `de`."""
    return _spoken


def tr(text: str, /, **values: object) -> str:
    """`text` in the user's language, with `{name}` replaced by `values`."""
    said = _catalogue.get(text, text)
    return said.format_map(values) if values else said


def translated(text: str) -> str:
    """A text that is declared elsewhere, in `worker_core.settings`, in the user's language."""
    return _catalogue.get(text, text)


def retold(text: str, said: Sequence[Phrase] = ()) -> str:
    """A worker's sentence in the user's language.

    Args:
        text: in English.
        said: what it is made of, as a view has it; a `Worded` has it with it. What the catalogue lacks of it, as an
            older or newer worker may say it, stays English.
    """
    parts = text.said if isinstance(text, Worded) else said
    return _spoken_parts(parts) if parts and _catalogue else str(text)


def fact(error: KubiyaError) -> str:
    """What happened, in the user's language. Not what repairs it in a terminal: a window has fields and buttons."""
    return retold(error.fact)


def _spoken_parts(said: Sequence[Phrase]) -> str:
    told = ""
    for one in said:
        gap = "" if not told or told.endswith("。") else " "  # Japanese has none between sentences
        told += gap + filled(_catalogue.get(one.text, one.text), one.values, _spoken_value)
    return told


def _spoken_value(value: str | float | Sequence[Phrase]) -> str:
    match value:
        case str():
            return value
        case int() | float():
            written = f"{value:g}" if isinstance(value, float) else str(value)
            places = len(written.partition(".")[2])
            return written if "e" in written else number_text(value, places=places)
        case _:
            return _spoken_parts(value)


def number_text(value: float, *, places: int = 0) -> str:
    """`1,234.5`, as the user's language writes it, with so many decimal places."""
    marks = {".": _writes.decimal, ",": _writes.group}
    return "".join(marks.get(mark, mark) for mark in f"{value:,.{places}f}")


def day_text(at: datetime) -> str:
    """The day of `at`, in its own time zone, as the user's language writes it: `2026-11-28`."""
    return at.strftime(_writes.day)


def byte_sign() -> str:
    """`B`, or what stands for a byte in the user's language."""
    return _writes.byte


def use(catalogue: Mapping[str, str], *, name: str = "en", writes: Convention | None = None) -> None:
    """Speak by this catalogue from now on, and write numbers so; an empty one is English."""
    global _spoken, _writes
    _catalogue.clear()
    _catalogue.update(catalogue)
    _spoken, _writes = name, writes or Convention()


def load(names: list[str]) -> str:
    """Use the first of these languages (such as `de-DE`) that there is a catalogue for; English otherwise.

    Returns:
        The language in use, such as `de`.
    """
    for name in names:
        short = name.replace("_", "-").partition("-")[0].lower()
        if short == "en":
            break
        file = FOLDER / f"{short}.json"
        if file.is_file():
            use(json.loads(file.read_text(encoding="utf-8")), name=short, writes=convention(short, names))
            return short
    use({})
    return "en"
