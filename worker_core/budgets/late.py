"""Budgets, made when the first execution asks: a worker that waits does without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker_core.budgets.budgets import Budgets
    from worker_core.paths import Paths
    from worker_core.policy.decision import Permissions
    from worker_core.settings import SettingsInForce
    from worker_core.snapshot import BudgetView


class LateBudgets:
    """One per engine; on its event loop."""

    def __init__(
        self, *, paths: Paths, in_force: SettingsInForce, permissions: Permissions, on_change: Callable[[], None]
    ) -> None:
        """Nothing is imported, read or written. `on_change` hears that a view changed."""
        self._paths = paths
        self._in_force = in_force
        self._permissions = permissions
        self._on_change = on_change
        self._budgets: Budgets | None = None

    def made(self) -> Budgets:
        """The only ones."""
        if self._budgets is None:
            from worker_core.budgets.budgets import Budgets
            from worker_core.budgets.ledger import Ledger
            from worker_core.budgets.limits import BudgetLimits
            from worker_core.budgets.prices import Prices
            from worker_core.budgets.questions import BudgetQuestions

            ledger = Ledger(self._paths.budget_file)
            self._budgets = Budgets(
                ledger=ledger,
                prices=Prices(self._paths.price_file),
                limits=BudgetLimits(ledger, settings=self._in_force, policy=self._permissions.policy),
                questions=BudgetQuestions(ledger, self._permissions, price_file=self._paths.price_file),
                on_change=self._on_change,
            )
        return self._budgets

    def of(self, execution_id: str) -> tuple[BudgetView, ...]:
        """How far each limit of an execution is used up."""
        return () if self._budgets is None else self._budgets.of(execution_id)

    @property
    def day(self) -> tuple[BudgetView, ...]:
        """The same, of the limits that all executions of a day share."""
        return () if self._budgets is None else self._budgets.day
