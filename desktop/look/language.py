"""The words that people read: every visible text goes through `tr`, and a catalogue may put it in another language.

A catalogue is a JSON object in `languages/`, English text -> translation. What it lacks stays English.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from desktop.look.conventions import Convention, convention

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
