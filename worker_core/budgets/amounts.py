"""Amounts of a budget as people read and type them, and what a question for more is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from worker_core.basics.sentences import Worded, joined, worded
from worker_core.settings.budget import LARGEST, Kind, Limit, Scope
from worker_core.snapshot import BudgetView, QuestionField

MORE: Final = "more"
_HOW_MANY: Final[Mapping[Kind, Worded]] = {
    "tokens": worded("How many more tokens"),
    "cost": worded("How many more US dollars"),
    "model_calls": worded("How many more model calls"),
    "tool_calls": worded("How many more tool calls"),
    "wall_time": worded("How many more seconds"),
}


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
            label=_HOW_MANY[limit.kind],
            kind="number" if limit.kind == "cost" else "integer",
            default=limit.number,
            least=0.000001 if limit.kind == "cost" else 1,
            most=LARGEST,
        ),
    )


def amount_text(kind: Kind, amount: float) -> Worded:
    """`2,000 tokens`, `$1.50`, `2 h`."""
    n = round(amount)
    match kind:
        case "cost":
            written = f"{amount:.2f}" if amount >= 0.01 or not amount else f"{amount:.6f}".rstrip("0")
            whole, _, rest = written.partition(".")
            return worded("${whole}.{rest}", whole=int(whole), rest=rest)
        case "wall_time":
            return _time(n)
        case "tokens":
            return worded("1 token") if n == 1 else worded("{n} tokens", n=n)
        case "model_calls":
            return worded("1 model call") if n == 1 else worded("{n} model calls", n=n)
        case "tool_calls":
            return worded("1 tool call") if n == 1 else worded("{n} tool calls", n=n)


def _time(seconds: int) -> Worded:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = (
        worded("{n} d", n=days) if days else "",
        worded("{n} h", n=hours) if hours else "",
        worded("{n} min", n=minutes) if minutes else "",
        worded("{n} s", n=rest) if rest or not seconds else "",
    )
    return joined(*parts)


def view_text(view: BudgetView) -> str:
    """`turn: 1,200 of 2,000 tokens`."""
    kind: Kind = view.kind
    whole = amount_text(kind, view.limit)
    spent: str = amount_text(kind, view.spent)
    if kind not in {"cost", "wall_time"}:
        spent = f"{view.spent:,.0f}"
    unknown = " (some prices are unknown)" if view.unknown else ""
    return f"{view.scope}: {spent} of {whole}{unknown}"
