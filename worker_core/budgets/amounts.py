"""Amounts of a budget as people read and type them, and what a question for more is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from worker_core.basics.durations import duration_as_typed
from worker_core.settings.budget import LARGEST, Kind, Limit, Scope
from worker_core.snapshot import BudgetView, QuestionField

MORE: Final = "more"
_WORDS: Final[Mapping[Kind, str]] = {
    "tokens": "tokens", "cost": "US dollars", "model_calls": "model calls", "tool_calls": "tool calls",
    "wall_time": "seconds",
}  # fmt: skip


class AboutQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What stands with a question in the book."""

    scope: Scope
    kind: Kind
    amount: float
    """Of the limit, which is added where nobody says how much."""

    turn: int
    unpriced: bool = False

    def more(self, content: Mapping[str, Any]) -> tuple[str, float]:
        """What is added, and how much of it. `content`: what was filled in."""
        if self.unpriced:
            return "unpriced", LARGEST
        given = content.get(MORE)
        good = isinstance(given, int | float) and not isinstance(given, bool) and 0 < given <= LARGEST
        return self.kind, float(given) if good and given is not None else self.amount


def question_fields(limit: Limit) -> tuple[QuestionField, ...]:
    """What is filled in by who allows more."""
    return (
        QuestionField(
            name=MORE,
            label=f"How many more {_WORDS[limit.kind]}",
            kind="number" if limit.kind == "cost" else "integer",
            default=limit.number,
            least=0.000001 if limit.kind == "cost" else 1,
            most=LARGEST,
        ),
    )


def amount_text(kind: Kind, amount: float) -> str:
    """`2,000 tokens`, `$1.50`, `2 h`."""
    match kind:
        case "cost":
            return f"${amount:,.2f}" if amount >= 0.01 or not amount else f"${amount:,.6f}".rstrip("0")
        case "wall_time":
            return duration_as_typed(timedelta(seconds=round(amount)))
        case _:
            words = _WORDS[kind]
            return f"{amount:,.0f} {words[:-1] if amount == 1 else words}"


def view_text(view: BudgetView) -> str:
    """`turn: 1,200 of 2,000 tokens`."""
    kind: Kind = view.kind
    whole = amount_text(kind, view.limit)
    spent = amount_text(kind, view.spent)
    if kind not in {"cost", "wall_time"}:
        spent = f"{view.spent:,.0f}"
    unknown = " (some prices are unknown)" if view.unknown else ""
    return f"{view.scope}: {spent} of {whole}{unknown}"
