"""The words that people read: every visible text goes through `tr`, and a catalogue may put it in another language.

A catalogue is a JSON object in `languages/`, English text -> translation. What it lacks stays English.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "languages"

LANGUAGES: Final = (("en", "English"), ("de", "Deutsch"), ("es", "Español"))
"""Those that the program speaks, each by its own name."""

_catalogue: dict[str, str] = {}


def tr(text: str, /, **values: object) -> str:
    """`text` in the user's language, with `{name}` replaced by `values`."""
    said = _catalogue.get(text, text)
    return said.format_map(values) if values else said


def translated(text: str) -> str:
    """A text that is declared elsewhere, in `worker_core.settings`, in the user's language."""
    return _catalogue.get(text, text)


def use(catalogue: Mapping[str, str]) -> None:
    """Speak by this catalogue from now on; an empty one is English."""
    _catalogue.clear()
    _catalogue.update(catalogue)


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
            use(json.loads(file.read_text(encoding="utf-8")))
            return short
    use({})
    return "en"
