"""Whether an execution may go on spending: the limits of this machine, what was spent, and the question for more.

A limit is looked at before each call, so it is passed by one call at most. Where it is reached, the owner of the
machine is asked, as for a tool call: the question stands on disk, and what he allows is added to the limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.budgets.ledger import Ledger, LedgerError, Spender, Spending
from worker_core.budgets.limits import BudgetLimits, Reached, wished_limits
from worker_core.budgets.questions import Asker, BudgetQuestions, Over, Waits
from worker_core.settings.budget import KINDS, Kind
from worker_core.snapshot import BudgetView

if TYPE_CHECKING:
    from worker_core.budgets.prices import Prices
    from worker_core.policy.questions import Asked

log = logging.getLogger(__name__)

REST_SECONDS: Final = 0.05
"""Of a call's time, behind the last that was counted: not worth another visit to the ledger."""

_BEFORE_A_TOOL: Final[frozenset[Kind]] = frozenset({"tool_calls", "wall_time"})


@dataclass(slots=True, kw_only=True)
class _Busy:
    """An execution of which calls are under way."""

    since: float
    """Of this monotonic moment, their time is not counted yet."""

    calls: int = 0
    counted: bool = False
    """Some of it is."""


class Budgets:
    """One per engine; on its event loop."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        prices: Prices,
        limits: BudgetLimits,
        questions: BudgetQuestions,
        on_change: Callable[[], None] = lambda: None,
        today: Callable[[], date] = date.today,
    ) -> None:
        """Nothing is read or written before something is spent.

        Args:
            ledger: what was spent.
            prices: what models cost where their gateway does not say.
            limits: of this machine, and of executions.
            questions: for more.
            on_change: hears that a view changed.
            today: the day of this machine.
        """
        self.prices = prices
        self._ledger = ledger
        self._limits = limits
        self._questions = questions
        self._on_change = on_change
        self._today = today
        self._views: dict[str, tuple[BudgetView, ...]] = {}
        self._day: tuple[BudgetView, ...] = ()
        self._busy: dict[str, _Busy] = {}

    # --- an execution -------------------------------------------------------------------------------------

    async def begin(
        self,
        execution_id: str,
        *,
        agent_id: str,
        wished: object,
        agent_name: str = "",
        queue_id: str = "",
        queue_name: str = "",
    ) -> tuple[str, ...]:
        """An execution begins here. Sentences about what cannot be honoured of the limits that came with it.

        Args:
            execution_id: whose spending follows.
            agent_id: its agent or team.
            wished: the limits that came with it, as they came.
            agent_name: what people call the agent, for the numbers of days.
            queue_id: where it came from.
            queue_name: what people call the queue.

        Raises:
            LedgerError: limits are set, and what is spent cannot be kept.
        """
        limits, wrong = wished_limits(wished)
        texts = [str(one) for one in limits]
        try:
            await asyncio.to_thread(
                self._ledger.begin, execution_id, agent_id=agent_id, limits=texts, day=self._today(),
                agent_name=agent_name, queue_id=queue_id, queue_name=queue_name,
            )  # fmt: skip
        except LedgerError as error:
            self._pass_over(error, "What this execution spends", limited=bool(limits))
        return wrong

    async def end_turn(self, execution_id: str, turn: int, *, queue_id: str, failed: bool) -> None:
        """A turn has ended, or its execution in it; the first time counts. It does not fail."""
        try:
            await asyncio.to_thread(
                lambda: self._ledger.end_turn(self._spender(execution_id, turn, queue_id), failed=failed)
            )
        except LedgerError as error:
            log.warning("A turn's end is not counted. %s", error.sentence)

    async def forget(self, execution_id: str) -> None:
        """It has ended; what it spent today still counts."""
        self._views.pop(execution_id, None)
        self._busy.pop(execution_id, None)
        try:
            await asyncio.to_thread(self._ledger.forget, execution_id)
        except LedgerError as error:
            log.warning("%s", error.sentence)

    # --- before a call ------------------------------------------------------------------------------------

    async def before_model_call(self, asker: Asker) -> Waits | Over | None:
        """Whether a model may be called. None: it may.

        Raises:
            LedgerError: limits are set, and what was spent cannot be read.
        """
        try:
            spender, reached = await asyncio.to_thread(
                self._first_look, asker, KINDS, self._under_way(asker.execution_id)
            )
            return await self._judged(asker, spender, KINDS, reached)
        except LedgerError as error:
            self._pass_over(error, "A model call")
            return None

    async def before_tool_call(self, asker: Asker, call_id: str) -> Waits | Over | None:
        """Whether a tool may be called; then it counts, once. None: it may.

        Raises:
            LedgerError: limits are set, and what was spent cannot be read or written.
        """
        try:
            looked = await asyncio.to_thread(self._look_at_call, asker, call_id, self._under_way(asker.execution_id))
            if looked is None:
                return None
            spender, reached = looked
            ruling = await self._judged(asker, spender, _BEFORE_A_TOOL, reached)
            if ruling is None:
                self._show(spender, await asyncio.to_thread(self._count_call, spender, call_id))
        except LedgerError as error:
            self._pass_over(error, "A tool call")
            return None
        return ruling

    async def _judged(
        self, asker: Asker, spender: Spender, kinds: Collection[Kind], reached: Reached | None
    ) -> Waits | Over | None:
        """`reached` is what the first look found."""
        while reached is not None:
            if (ruling := await self._questions.ruling(asker, spender, reached)) is not None:
                await self._look(spender)
                return ruling
            reached = await self._reached(spender, kinds)
        await self._questions.drop(asker.execution_id, kinds)
        return None

    async def _reached(self, spender: Spender, kinds: Collection[Kind]) -> Reached | None:
        return await asyncio.to_thread(
            self._limits.reached, spender, kinds, under_way_seconds=self._under_way(spender.execution_id)
        )

    def _under_way(self, execution_id: str) -> float:
        busy = self._busy.get(execution_id)
        return time.monotonic() - busy.since if busy is not None else 0.0

    # Each is one visit to a thread: a change of threads costs more than a look into the ledger.

    def _first_look(
        self, asker: Asker, kinds: Collection[Kind], under_way_seconds: float
    ) -> tuple[Spender, Reached | None]:
        spender = self._spender(asker.execution_id, asker.turn)
        return spender, self._limits.reached(spender, kinds, under_way_seconds=under_way_seconds)

    def _look_at_call(
        self, asker: Asker, call_id: str, under_way_seconds: float
    ) -> tuple[Spender, Reached | None] | None:
        """None: it has been counted already."""
        if self._ledger.knows_call(asker.execution_id, call_id):
            return None
        return self._first_look(asker, _BEFORE_A_TOOL, under_way_seconds)

    def _count_call(self, spender: Spender, call_id: str) -> tuple[BudgetView, ...]:
        self._ledger.add_tool_call(spender, call_id)
        return self._limits.views(spender)

    def _count(
        self, execution_id: str, turn: int, spending: Spending, queue_id: str
    ) -> tuple[Spender, tuple[BudgetView, ...]]:
        spender = self._spender(execution_id, turn, queue_id)
        self._ledger.add(spender, spending)
        return spender, self._limits.views(spender)

    def _spender(self, execution_id: str, turn: int, queue_id: str = "") -> Spender:
        agent_id, _ = self._ledger.about(execution_id)
        return Spender(execution_id=execution_id, turn=turn, agent_id=agent_id, day=self._today(), queue_id=queue_id)

    def _pass_over(self, error: LedgerError, what: str, *, limited: bool = False) -> None:
        """Where nothing is limited, a ledger that cannot be used stops nobody."""
        if limited or self._limits.own():
            raise error
        log.warning("%s is not counted. %s", what, error.sentence)

    # --- spending -----------------------------------------------------------------------------------------

    async def spend(self, execution_id: str, turn: int, spending: Spending, *, queue_id: str = "") -> None:
        """It was spent: nothing undoes that, and it does not fail. `queue_id`: for the numbers of days.

        The time at work until now is counted with it.
        """
        if (busy := self._busy.get(execution_id)) is not None:
            now = time.monotonic()
            spending = replace(spending, seconds=spending.seconds + now - busy.since)
            busy.since, busy.counted = now, True
        try:
            self._show(*await asyncio.to_thread(self._count, execution_id, turn, spending, queue_id))
        except LedgerError as error:
            log.error("%s", error.sentence)

    @contextlib.asynccontextmanager
    async def at_work(self, execution_id: str, turn: int) -> AsyncIterator[None]:
        """A model or a tool is at work. Calls side by side take their time once."""
        self._begin_work(execution_id)
        try:
            yield
        finally:
            await self._end_work(execution_id, turn)

    @contextlib.asynccontextmanager
    async def resting(self, execution_id: str, turn: int) -> AsyncIterator[None]:
        """What is at work waits for somebody."""
        await self._end_work(execution_id, turn)
        try:
            yield
        finally:
            self._begin_work(execution_id)

    def _begin_work(self, execution_id: str) -> None:
        busy = self._busy.setdefault(execution_id, _Busy(since=time.monotonic()))
        busy.calls += 1

    async def _end_work(self, execution_id: str, turn: int) -> None:
        if (busy := self._busy.get(execution_id)) is None:
            return  # the execution has ended
        busy.calls -= 1
        if not busy.calls:
            del self._busy[execution_id]
            seconds = time.monotonic() - busy.since
            if not busy.counted or seconds > REST_SECONDS:
                await self.spend(execution_id, turn, Spending(seconds=seconds))

    # --- answers and views --------------------------------------------------------------------------------

    async def answered(self, asked: Asked) -> list[Asked]:
        """More was allowed on this machine. The questions that it answers besides: their workflows are to be told."""
        try:
            spender = await self._questions.take(asked, self._spender)
            if spender is None:
                return []
            await self._look(spender)
            return [
                msgspec.structs.replace(one, answer="allow", by=asked.by)
                for one in self._questions.standing()
                if await self._makes_room(one)
            ]
        except LedgerError as error:  # the execution says so when it goes on
            log.error("%s", error.sentence)
            return []

    async def _makes_room(self, asked: Asked) -> bool:
        turn, kind = self._questions.about(asked)
        spender = await asyncio.to_thread(self._spender, asked.execution_id, turn)
        if await self._reached(spender, (kind,)) is not None:
            return False
        await self._questions.drop(asked.execution_id, (kind,))
        return True

    def of(self, execution_id: str) -> tuple[BudgetView, ...]:
        """How far each limit of an execution is used up, as of its last call."""
        return self._views.get(execution_id, ())

    @property
    def day(self) -> tuple[BudgetView, ...]:
        """The same, of the limits that all executions of a day share."""
        return self._day

    async def _look(self, spender: Spender) -> None:
        self._show(spender, await asyncio.to_thread(self._limits.views, spender))

    def _show(self, spender: Spender, views: tuple[BudgetView, ...]) -> None:
        day = tuple(one for one in views if one.scope == "day")
        if views != self._views.get(spender.execution_id, ()) or day != self._day:
            self._views[spender.execution_id], self._day = views, day
            self._on_change()
