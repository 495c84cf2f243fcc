"""What was spent on this machine, on disk: it outlives the worker, and several workers of one home share it.

WAL with synchronous=NORMAL survives `kill -9` whole. All methods block; whoever calls them does it in a thread.
"""

from __future__ import annotations

import contextlib
import json
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from datetime import date
from pathlib import Path
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.budgets import days
from worker_core.errors import KubiyaError
from worker_core.paths import private_file
from worker_core.settings.budget import Kind, Scope

FORMAT: Final = 1
_LOCK_LIMIT_SECONDS: Final = 5.0
_DAYS_KEPT: Final = 3
"""On which something was spent: today's limits need one. A clock that lay ahead for a while brings days that never
were, which must not take today's away: those that lie ahead are kept beside those that do not.
"""

_EXECUTIONS_KEPT: Final = 30
"""Likewise, for executions whose end was not seen here: those that began or spent on one of the newest such days."""

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS spent (place TEXT PRIMARY KEY, execution TEXT NOT NULL, day TEXT NOT NULL,"
    " tokens INTEGER NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0, unpriced INTEGER NOT NULL DEFAULT 0,"
    " model_calls INTEGER NOT NULL DEFAULT 0, tool_calls INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS more (id TEXT NOT NULL, place TEXT NOT NULL, kind TEXT NOT NULL, amount REAL NOT NULL,"
    " execution TEXT NOT NULL, day TEXT NOT NULL, PRIMARY KEY (id, kind))",
    "CREATE TABLE IF NOT EXISTS executions (execution TEXT PRIMARY KEY, agent TEXT NOT NULL, limits TEXT NOT NULL,"
    " day TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tool_calls (execution TEXT NOT NULL, call TEXT NOT NULL,"
    " PRIMARY KEY (execution, call))",
    "CREATE TABLE IF NOT EXISTS refused (execution TEXT NOT NULL, turn INTEGER NOT NULL, place TEXT NOT NULL,"
    " kind TEXT NOT NULL, PRIMARY KEY (execution, turn, place, kind))",
    *days.TABLES,
)
_OF_AN_EXECUTION: Final = ("spent", "more", "executions", "tool_calls", "refused")


class LedgerError(KubiyaError):
    """What was spent cannot be read or written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What calls took."""

    tokens: int = 0
    cost: float = 0.0
    """US dollars, of the calls whose price is known."""

    unpriced: int = 0
    """Model calls whose price nobody knows."""

    model_calls: int = 0
    tool_calls: int = 0
    seconds: float = 0.0
    """In which a model or a tool was at work."""

    def of(self, kind: Kind) -> float:
        return self.seconds if kind == "wall_time" else float(getattr(self, kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spender:
    """Whose spending it is, and when."""

    execution_id: str
    turn: int
    agent_id: str
    day: date
    queue_id: str = ""

    def places(self) -> Mapping[Scope, str]:
        """By scope, the name of what adds up there."""
        found: dict[Scope, str] = {
            "turn": f"turn/{self.execution_id}/{self.turn}",
            "execution": f"execution/{self.execution_id}",
        }
        if self.agent_id:
            found["agent"] = f"agent/{self.day}/{self.agent_id}"
        return {**found, "day": f"day/{self.day}"}


class Ledger:
    """Usable from any thread. Made without touching the disk; opened by the first that is asked."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._database: Any = None
        self._lock = threading.Lock()
        self._swept: date | None = None

    # --- executions ---------------------------------------------------------------------------------------

    def begin(
        self,
        execution_id: str,
        *,
        agent_id: str,
        limits: Sequence[str],
        day: date,
        agent_name: str = "",
        queue_id: str = "",
        queue_name: str = "",
    ) -> None:
        """Keep whose execution it is, what they are called, and the limits that came with it. Raises LedgerError."""
        with self._transaction(day) as run:
            days.name(run, day, "agent", agent_id, agent_name)
            days.name(run, day, "queue", queue_id, queue_name)
            row = (execution_id, agent_id, json.dumps(list(limits)), str(day))
            run("INSERT OR REPLACE INTO executions VALUES (?, ?, ?, ?)", row)

    def about(self, execution_id: str) -> tuple[str, tuple[str, ...]]:
        """Its agent and the limits that came with it; empty where it did not begin here. Raises LedgerError."""
        with self._transaction() as run:
            row = run("SELECT agent, limits FROM executions WHERE execution = ?", (execution_id,)).fetchone()
        return ("", ()) if row is None else (str(row[0]), tuple(map(str, json.loads(row[1]))))

    def forget(self, execution_id: str) -> None:
        """The execution has ended; what it spent today still counts. Raises LedgerError."""
        with self._transaction() as run:
            for table in _OF_AN_EXECUTION:
                run(f"DELETE FROM {table} WHERE execution = ?", (execution_id,))  # noqa: S608 (names of our own)

    # --- spending -----------------------------------------------------------------------------------------

    def add(self, spender: Spender, spending: Spending) -> None:
        """In all scopes at once. Raises LedgerError."""
        with self._transaction(spender.day) as run:
            _add(run, spender, spending)
            days.add(
                run, spender.day, spender.agent_id, spender.queue_id,
                tokens=spending.tokens, cost=spending.cost, unpriced=spending.unpriced,
            )  # fmt: skip

    def end_turn(self, spender: Spender, *, failed: bool) -> None:
        """A turn has ended. It counts once, however often that is said. Raises LedgerError."""
        with self._transaction(spender.day) as run:
            days.end_turn(
                run, spender.day, spender.agent_id, spender.queue_id,
                execution_id=spender.execution_id, turn=spender.turn, failed=failed,
            )  # fmt: skip

    def add_tool_call(self, spender: Spender, call_id: str) -> None:
        """A call counts once, however often it is tried. Raises LedgerError."""
        with self._transaction(spender.day) as run:
            new = run("INSERT OR IGNORE INTO tool_calls VALUES (?, ?)", (spender.execution_id, call_id)).rowcount
            if new:
                _add(run, spender, Spending(tool_calls=1))

    def knows_call(self, execution_id: str, call_id: str) -> bool:
        """Whether a tool call was counted. Raises LedgerError."""
        with self._transaction() as run:
            found = run("SELECT 1 FROM tool_calls WHERE execution = ? AND call = ?", (execution_id, call_id)).fetchone()
        return found is not None

    def spent(self, spender: Spender) -> Mapping[Scope, Spending]:
        """In each scope. Raises LedgerError."""
        found: dict[Scope, Spending] = {}
        with self._transaction() as run:
            for scope, place in spender.places().items():
                row = run(
                    "SELECT tokens, cost, unpriced, model_calls, tool_calls, seconds FROM spent WHERE place = ?",
                    (place,),
                ).fetchone()
                names = ("tokens", "cost", "unpriced", "model_calls", "tool_calls", "seconds")
                found[scope] = Spending(**dict(zip(names, row, strict=True))) if row else Spending()
        return found

    # --- more ---------------------------------------------------------------------------------------------

    def extend(self, extension_id: str, spender: Spender, scope: Scope, kind: str, amount: float) -> None:
        """So much more may be spent there; the same extension counts once. Raises LedgerError."""
        of_day = scope in {"agent", "day"}
        with self._transaction(spender.day) as run:
            row = (
                extension_id, spender.places()[scope], kind, amount,
                "" if of_day else spender.execution_id, str(spender.day),
            )  # fmt: skip
            run("INSERT OR IGNORE INTO more VALUES (?, ?, ?, ?, ?, ?)", row)

    def extended(self, spender: Spender) -> Mapping[tuple[Scope, str], float]:
        """What may be spent beyond the limits, by scope and kind. Raises LedgerError."""
        found: dict[tuple[Scope, str], float] = {}
        with self._transaction() as run:
            for scope, place in spender.places().items():
                for kind, amount in run("SELECT kind, sum(amount) FROM more WHERE place = ? GROUP BY kind", (place,)):
                    found[scope, kind] = float(amount)
        return found

    def refuse(self, spender: Spender, scope: Scope, kind: Kind) -> None:
        """Nothing more in this turn: it was asked, and is not to be asked again. Raises LedgerError."""
        with self._transaction(spender.day) as run:
            row = (spender.execution_id, spender.turn, spender.places()[scope], kind)
            run("INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?)", row)

    def is_refused(self, spender: Spender, scope: Scope, kind: Kind) -> bool:
        """Whether that was said in this turn. Raises LedgerError."""
        with self._transaction() as run:
            found = run(
                "SELECT 1 FROM refused WHERE execution = ? AND turn = ? AND place = ? AND kind = ?",
                (spender.execution_id, spender.turn, spender.places()[scope], kind),
            ).fetchone()
        return found is not None

    # --- pieces -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self, day: date | None = None) -> Iterator[Any]:
        import sqlite3

        with self._lock:
            try:
                run = self._opened().execute
                run("BEGIN IMMEDIATE" if day is not None else "BEGIN")
                try:
                    if day is not None and day != self._swept:
                        _sweep(run, day)
                        self._swept = day
                    yield run
                except BaseException:
                    run("ROLLBACK")
                    raise
                run("COMMIT")
            except (OSError, sqlite3.Error) as error:
                raise LedgerError(
                    worded(
                        "What was spent cannot be kept in {file} ({why}). Make room or repair the folder; a file that "
                        "is broken may be removed.",
                        file=str(self._file),
                        why=str(error),
                    )
                ) from error

    def _opened(self) -> Any:
        import sqlite3

        if self._database is None:
            database = sqlite3.connect(
                private_file(self._file), timeout=_LOCK_LIMIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("PRAGMA synchronous=NORMAL")
                if database.execute("PRAGMA user_version").fetchone()[0] > FORMAT:
                    raise sqlite3.DatabaseError("a later version of this program has written it")
                for table in _TABLES:
                    database.execute(table)
                database.execute(f"PRAGMA user_version = {FORMAT}")
            except sqlite3.Error:
                database.close()
                raise
            self._database = database
            # Whoever lets go of this closes it, a worker that leaves at once as well.
            weakref.finalize(self, database.close)
        return self._database


def _add(run: Any, spender: Spender, spending: Spending) -> None:
    for scope, place in spender.places().items():
        execution = "" if scope in {"agent", "day"} else spender.execution_id
        run(
            "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (place) DO UPDATE SET"
            " tokens = tokens + excluded.tokens, cost = cost + excluded.cost, unpriced = unpriced + excluded.unpriced,"
            " model_calls = model_calls + excluded.model_calls, tool_calls = tool_calls + excluded.tool_calls,"
            " seconds = seconds + excluded.seconds, day = excluded.day",
            (place, execution, str(spender.day), *astuple(spending)),
        )


def _sweep(run: Any, day: date) -> None:
    """Days that are over, and executions that ended elsewhere. No clock is believed, as in `days`."""
    days.sweep(run, day)
    for table in ("spent", "more"):
        for side in ("<=", ">"):
            run(
                f"DELETE FROM {table} WHERE execution = '' AND day {side} ? AND day NOT IN"  # noqa: S608 (our own)
                f" (SELECT DISTINCT day FROM {table} WHERE execution = '' AND day {side} ?"
                f" ORDER BY day DESC LIMIT {_DAYS_KEPT})",
                (str(day), str(day)),
            )
    kept = {
        found
        for side in ("<=", ">")
        for (found,) in run(
            f"SELECT day FROM (SELECT day FROM executions UNION SELECT day FROM spent WHERE execution != '')"  # noqa: S608
            f" WHERE day {side} ? ORDER BY day DESC LIMIT {_EXECUTIONS_KEPT}",
            (str(day),),
        )
    }
    last = run(
        "SELECT execution, executions.day, (SELECT max(day) FROM spent WHERE spent.execution = executions.execution)"
        " FROM executions"
    ).fetchall()
    for execution in (one for one, began, spent in last if began not in kept and spent not in kept):
        for table in _OF_AN_EXECUTION:
            run(f"DELETE FROM {table} WHERE execution = ?", (execution,))  # noqa: S608
