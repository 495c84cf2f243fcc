"""Which limits hold for an execution, and which of them is used up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Worded, worded
from worker_core.budgets.amounts import amount_text
from worker_core.budgets.ledger import Ledger, Spender, Spending
from worker_core.policy.file import PolicyFile
from worker_core.settings import SETTINGS, SettingsInForce
from worker_core.settings.budget import Kind, Limit, Scope, narrowest, read_limit
from worker_core.snapshot import BudgetView

UNPRICED: Final = "unpriced"
"""What is added where model calls of unknown price may be made although their cost is limited."""

_WHERE: Final[Mapping[Scope, Worded]] = {
    "turn": worded("this turn"),
    "execution": worded("this execution"),
    "agent": worded("this agent today"),
    "day": worded("today"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A limit that is used up."""

    limit: Limit
    """As it was set."""

    allowed: float
    """With what was added to it."""

    spent: Spending
    unpriced: bool = False
    """The cost is limited, and nobody knows it."""

    def sentence(self, *, price_file: Path) -> Worded:
        """What is said of it."""
        limit, where = amount_text(self.limit.kind, self.allowed), _WHERE[self.limit.scope]
        if not self.unpriced:
            spent = amount_text(self.limit.kind, self.spent.of(self.limit.kind))
            return worded(
                "The budget of {limit} for {where} is used up ({spent}).", limit=limit, where=where, spent=spent
            )
        return worded(
            "The budget of {limit} for {where} cannot be held: neither the gateway nor {file} says what {calls} cost.",
            limit=limit,
            where=where,
            file=str(price_file),
            calls=amount_text("model_calls", self.spent.unpriced),
        )


class BudgetLimits:
    """Those of this machine, of its settings and its policy, and those that came with an execution. Blocks."""

    def __init__(self, ledger: Ledger, *, settings: SettingsInForce, policy: PolicyFile) -> None:
        self._ledger = ledger
        self._settings = settings
        self._policy = policy

    def own(self) -> tuple[Limit, ...]:
        """Of this machine."""
        return (*self._settings.current.budget, *self._policy.current().budget)

    def of(self, execution_id: str) -> Mapping[tuple[Scope, Kind], float]:
        """What came with the execution can only be narrower. Raises LedgerError."""
        return narrowest(self.own(), map(read_limit, self._ledger.about(execution_id)[1]))

    def reached(self, spender: Spender, kinds: Collection[Kind], *, under_way_seconds: float) -> Reached | None:
        """The first that is used up, from the narrowest scope on. Raises LedgerError."""
        limits = self.of(spender.execution_id)
        if not limits:
            return None
        spent, more = self._ledger.spent(spender), self._ledger.extended(spender)
        for (scope, kind), amount in limits.items():
            if kind not in kinds or scope not in spent:
                continue
            allowed = amount + more.get((scope, kind), 0.0)
            used_up = spent[scope].of(kind) + (under_way_seconds if kind == "wall_time" else 0.0) >= allowed
            unpriced = kind == "cost" and spent[scope].unpriced > more.get((scope, UNPRICED), 0.0)
            if used_up or unpriced:
                limit = Limit(scope=scope, kind=kind, amount=amount)
                return Reached(limit=limit, allowed=allowed, spent=spent[scope], unpriced=not used_up)
        return None

    def views(self, spender: Spender) -> tuple[BudgetView, ...]:
        """How far each is used up. Raises LedgerError."""
        limits = self.of(spender.execution_id)
        if not limits:
            return ()
        spent, more = self._ledger.spent(spender), self._ledger.extended(spender)
        return tuple(
            BudgetView(
                scope=scope,
                kind=kind,
                spent=spent[scope].of(kind),
                limit=amount + more.get((scope, kind), 0.0),
                unknown=kind == "cost" and spent[scope].unpriced > 0,
            )
            for (scope, kind), amount in limits.items()
            if scope in spent
        )


def wished_limits(wished: object) -> tuple[tuple[Limit, ...], tuple[str, ...]]:
    """Limits that came with an execution, as a table or a list of texts; and a sentence where they cannot be read."""
    if not wished:
        return (), ()
    try:
        return SETTINGS["budget"].read(wished), ()
    except ValueError as error:
        return (), (f"The budget that came with this execution is not honoured: {error}. This machine's own holds.",)
