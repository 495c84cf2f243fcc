"""How much may be spent: one limit each, as `turn.tokens=200000` or, in a file, a line below `[budget]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Literal, get_args

from worker_core.basics.durations import duration_as_typed, read_duration
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded

Scope = Literal["turn", "execution", "agent", "day"]
"""Of what it is the limit. `agent` and `day` are one day of this machine: of one agent, and of all."""

Kind = Literal["tokens", "cost", "model_calls", "tool_calls", "wall_time"]
"""What is counted. `cost` in US dollars; `wall_time` in seconds, of model and tool calls."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LARGEST: Final = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit; its text is what `read_limit` takes."""

    scope: Scope
    kind: Kind
    amount: float

    def __str__(self) -> str:
        return f"{self.scope}.{self.kind}={self.amount_as_typed}"

    @property
    def amount_as_typed(self) -> str:
        if self.kind == "wall_time":
            return duration_as_typed(timedelta(seconds=self.amount))
        return self.number

    @property
    def number(self) -> str:
        """The amount without a unit: `2000`, `0.5`."""
        return f"{self.amount:.6f}".rstrip("0").rstrip(".")


def read_limit(text: str) -> Limit:
    """`SCOPE.WHAT=AMOUNT`.

    Raises:
        ValueError: it is not that; the message goes on from "X is Y; ".
    """
    name, equals, amount = (part.strip() for part in text.partition("="))
    scope, dot, kind = (part.strip() for part in name.partition("."))
    if not (equals and dot) or scope not in SCOPES or kind not in KINDS:
        raise ValueError(
            worded(
                "each limit is SCOPE.WHAT=AMOUNT: {scopes}, a dot, and {kinds} (such as turn.tokens=200000)",
                scopes=", ".join(SCOPES),
                kinds=", ".join(KINDS),
            )
        )
    found_scope = next(one for one in SCOPES if one == scope)
    found_kind = next(one for one in KINDS if one == kind)
    return Limit(scope=found_scope, kind=found_kind, amount=_amount(found_kind, amount))


def _amount(kind: Kind, text: str) -> float:
    if kind == "wall_time":
        seconds = read_duration(text).total_seconds()
        if not 0 < seconds <= LARGEST:
            raise ValueError(worded("a time must be more than 0"))
        return seconds
    try:
        amount = float(text.replace("_", ""))
    except ValueError:
        amount = -1.0
    if not 0 < amount <= LARGEST:  # neither NaN
        raise ValueError(worded("an amount must be a number, and more than 0"))
    if kind != "cost" and not amount.is_integer():
        raise ValueError(worded("{kind} must be a whole number", kind=kind))
    return amount


def narrowest(*many: Iterable[Limit]) -> Mapping[tuple[Scope, Kind], float]:
    """The least of each limit, whoever set it, from the narrowest scope to the widest."""
    found: dict[tuple[Scope, Kind], float] = {}
    for limits in many:
        for one in limits:
            key = (one.scope, one.kind)
            found[key] = min(one.amount, found.get(key, one.amount))
    return dict(sorted(found.items(), key=lambda one: (SCOPES.index(one[0][0]), KINDS.index(one[0][1]))))
