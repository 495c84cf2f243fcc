"""Numbers of the last days, read from the ledger and added up: for the terminal, the window and spreadsheets.

Reading takes no lock that a worker would wait for, and changes nothing.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Final, Literal

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.budgets.ledger import FORMAT, LedgerError

LONGEST_DAYS: Final = 90
"""That may be asked for, today among them."""

_WAIT_SECONDS: Final = 5.0

CSV_HEAD: Final = (
    "day", "agent_id", "agent", "queue_id", "queue", "turns", "failed_turns", "tokens", "cost_usd",
    "model_calls_without_price",
)  # fmt: skip

Part = Literal["agent", "queue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageNumbers:
    """What something took."""

    turns: int = 0
    """That ended, the failed among them."""

    failed: int = 0
    tokens: int = 0
    cost: float = 0.0
    """US dollars, of the calls whose price is known."""

    unpriced: int = 0
    """Model calls whose price nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayNumbers:
    """Of one agent on one queue, on one day of this machine. An id is empty where it was not known."""

    day: date
    agent_id: str
    queue_id: str
    numbers: UsageNumbers

    def of(self, part: Part) -> str:
        return self.agent_id if part == "agent" else self.queue_id


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyUsage:
    """All numbers of some days, the oldest first."""

    first: date
    last: date
    rows: tuple[DayNumbers, ...] = ()
    agents: Mapping[str, str]
    """Names by id, as far as they were heard."""

    queues: Mapping[str, str]

    def name(self, part: Part, id_: str) -> str:
        """What to call it: its name, else its id; empty where neither is known."""
        return (self.agents if part == "agent" else self.queues).get(id_) or id_

    def by(self, part: Part) -> tuple[tuple[str, UsageNumbers], ...]:
        """Id and numbers of each agent, or queue; who took most tokens first."""
        found: dict[str, list[UsageNumbers]] = {}
        for row in self.rows:
            found.setdefault(row.of(part), []).append(row.numbers)
        summed = [(id_, added(numbers)) for id_, numbers in found.items()]
        return tuple(sorted(summed, key=lambda one: (-one[1].tokens, -one[1].turns, one[0])))

    def by_day(
        self, *, agent_id: str | None = None, queue_id: str | None = None
    ) -> tuple[tuple[date, UsageNumbers], ...]:
        """Each day from the first to the last, also those on which nothing was spent. None: of all."""
        found: dict[date, list[UsageNumbers]] = {day: [] for day in days_between(self.first, self.last)}
        for row in self.of(agent_id=agent_id, queue_id=queue_id).rows:
            found[row.day].append(row.numbers)
        return tuple((day, added(numbers)) for day, numbers in found.items())

    def of(self, *, agent_id: str | None = None, queue_id: str | None = None) -> DailyUsage:
        """What one agent took, or one queue, or an agent on a queue. None: of all."""
        rows = tuple(row for row in self.rows if agent_id in {None, row.agent_id} and queue_id in {None, row.queue_id})
        return DailyUsage(first=self.first, last=self.last, rows=rows, agents=self.agents, queues=self.queues)

    def day_by(self, part: Part) -> Mapping[tuple[date, str], UsageNumbers]:
        """The numbers of each day and agent, or queue, by day and id; only where there were some, the oldest first."""
        found: dict[tuple[date, str], list[UsageNumbers]] = {}
        for row in self.rows:
            found.setdefault((row.day, row.of(part)), []).append(row.numbers)
        return {place: added(numbers) for place, numbers in sorted(found.items())}

    @property
    def total(self) -> UsageNumbers:
        return added(row.numbers for row in self.rows)


def days_between(first: date, last: date) -> tuple[date, ...]:
    """Both among them; none where the last comes before the first."""
    return tuple(first + timedelta(days=number) for number in range((last - first).days + 1))


def added(numbers: Iterable[UsageNumbers]) -> UsageNumbers:
    """Their sum, whatever their order."""
    every = tuple(numbers)
    return UsageNumbers(
        turns=sum(map(attrgetter("turns"), every)),
        failed=sum(map(attrgetter("failed"), every)),
        tokens=sum(map(attrgetter("tokens"), every)),
        cost=math.fsum(map(attrgetter("cost"), every)),
        unpriced=sum(map(attrgetter("unpriced"), every)),
    )


def read_usage(file: Path, *, days: int = LONGEST_DAYS, today: date | None = None) -> DailyUsage:
    """The numbers of the last `days` days, today among them. Blocks; for a thread.

    Args:
        file: `Paths.budget_file`. Where there is none, nothing was spent.
        days: from 1 to LONGEST_DAYS.
        today: by default that of this machine.

    Raises:
        LedgerError: there is one, and it cannot be read.
    """
    import sqlite3

    last = today or datetime.now().astimezone().date()
    first = last - timedelta(days=days - 1)
    nothing = DailyUsage(first=first, last=last, agents={}, queues={})
    if not file.exists():
        return nothing
    try:
        place = f"{file.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(place, uri=True, timeout=_WAIT_SECONDS)) as database:
            if database.execute("PRAGMA user_version").fetchone()[0] > FORMAT:
                raise sqlite3.DatabaseError("a later version of this program has written it")
            database.execute("BEGIN")  # one state for all that is read
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'days'").fetchone():
                return nothing  # an earlier version has written it
            rows = database.execute(
                "SELECT day, agent, queue, turns, failed, tokens, cost, unpriced FROM days WHERE day BETWEEN ? AND ?"
                " ORDER BY day, agent, queue",
                (str(first), str(last)),
            ).fetchall()
            names = database.execute("SELECT kind, id, name FROM names").fetchall()
        return DailyUsage(
            first=first,
            last=last,
            rows=tuple(_row(*row) for row in rows),
            agents={str(id_): str(name) for kind, id_, name in names if kind == "agent"},
            queues={str(id_): str(name) for kind, id_, name in names if kind == "queue"},
        )
    except (OSError, sqlite3.Error, ValueError) as error:
        raise LedgerError(
            worded(
                "What was spent cannot be read from {file} ({why}). Repair the folder's rights; a file that is broken "
                "may be removed.",
                file=str(file),
                why=str(error),
            )
        ) from error


def csv_text(usage: DailyUsage) -> str:
    """A line for each day, agent and queue, below a head; lines end as RFC 4180 says."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(CSV_HEAD)
    for row in usage.rows:
        numbers = row.numbers
        called = (
            row.agent_id, usage.name("agent", row.agent_id), row.queue_id, usage.name("queue", row.queue_id),
        )  # fmt: skip
        writer.writerow(
            (
                row.day, *map(_no_formula, called), numbers.turns, numbers.failed, numbers.tokens,
                f"{numbers.cost:.6f}", numbers.unpriced,
            )
        )  # fmt: skip
    return file.getvalue()


def _no_formula(text: str) -> str:
    """Spreadsheets calculate what begins so; names come from strangers."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _row(
    day: str, agent: str, queue: str, turns: int, failed: int, tokens: int, cost: float, unpriced: int
) -> DayNumbers:
    numbers = UsageNumbers(
        turns=int(turns), failed=int(failed), tokens=int(tokens), cost=float(cost), unpriced=int(unpriced)
    )
    return DayNumbers(day=date.fromisoformat(day), agent_id=str(agent), queue_id=str(queue), numbers=numbers)
