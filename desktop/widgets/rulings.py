"""What a policy decides, as it is shown: a word in its colour, and the way to the line on which a rule stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from desktop.look.language import tr
from desktop.look.tokens import Tone
from desktop.widgets.buttons import Button
from desktop.widgets.pills import Pill

_TONES: Final[dict[str, Tone]] = {"allow": "success", "ask": "warning", "deny": "danger"}


def ruling_words() -> dict[str, str]:
    """In the user's language, by `Action.word`."""
    return {"allow": tr("Allow"), "ask": tr("Ask"), "deny": tr("Deny")}


def ruling_pill(ruling: str) -> Pill:
    return Pill(ruling_words()[ruling], tone=_TONES[ruling])


def line_button(number: int, about: str, go: Callable[[], object]) -> Button:
    """Leads to the line of a rule; `about` is what a screen reader says besides."""
    button = Button(tr("Line {n}", n=number), variant="quiet")
    button.setAccessibleName(f"{button.text()}: {about}")
    button.clicked.connect(lambda: go())
    return button
