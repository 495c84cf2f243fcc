"""What each day took, by agent and queue: tables of the ledger, for people, kept longer than limits need.

No clock is believed where something is removed: the newest days stay, those that lie ahead beside those that do not, so
a clock that was wrong for a while costs nothing that was counted before.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

KEPT: Final = 92
"""Days on which something was spent: ninety, and those that are whole and not whole at both ends."""

MOST_PAIRS: Final = 200
"""Of agents and queues, of one day. What is spent beyond is counted without a name."""

_ENDED_TURNS_KEPT: Final = timedelta(days=30)
_LONGEST: Final = 200
"""Characters of an id or a name."""

TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS days (day TEXT NOT NULL, agent TEXT NOT NULL, queue TEXT NOT NULL,"
    " turns INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, tokens INTEGER NOT NULL DEFAULT 0,"
    " cost REAL NOT NULL DEFAULT 0, unpriced INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (day, agent, queue))",
    "CREATE TABLE IF NOT EXISTS ended_turns (execution TEXT NOT NULL, turn INTEGER NOT NULL, day TEXT NOT NULL,"
    " PRIMARY KEY (execution, turn))",
    "CREATE TABLE IF NOT EXISTS names (kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL,"
    " PRIMARY KEY (kind, id))",
)


def name(run: Any, day: date, kind: str, id_: str, called: str) -> None:
    """What an `agent` or a `queue` is called, as was heard on that day."""
    if id_ and called:
        run("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?)", (kind, id_[:_LONGEST], called[:_LONGEST], str(day)))


def add(
    run: Any, day: date, agent_id: str, queue_id: str, *,
    turns: int = 0, failed: int = 0, tokens: int = 0, cost: float = 0.0, unpriced: int = 0,
) -> None:  # fmt: skip
    """To a day's numbers; within a transaction that writes."""
    if not any((turns, failed, tokens, cost, unpriced)):
        return
    pair = (agent_id[:_LONGEST], queue_id[:_LONGEST])
    known = "SELECT 1 FROM days WHERE day = ? AND agent = ? AND queue = ?"
    if run(known, (str(day), *pair)).fetchone() is None:
        [of_day] = run("SELECT count(*) FROM days WHERE day = ?", (str(day),)).fetchone()
        if of_day >= MOST_PAIRS:
            pair = ("", "")
    run(
        "INSERT INTO days VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, agent, queue) DO UPDATE SET"
        " turns = turns + excluded.turns, failed = failed + excluded.failed, tokens = tokens + excluded.tokens,"
        " cost = cost + excluded.cost, unpriced = unpriced + excluded.unpriced",
        (str(day), *pair, turns, failed, tokens, cost, unpriced),
    )


def end_turn(run: Any, day: date, agent_id: str, queue_id: str, *, execution_id: str, turn: int, failed: bool) -> None:
    """A turn counts once, however often its last step is tried."""
    new = run("INSERT OR IGNORE INTO ended_turns VALUES (?, ?, ?)", (execution_id, turn, str(day))).rowcount
    if new:
        add(run, day, agent_id, queue_id, turns=1, failed=int(failed))


def sweep(run: Any, day: date) -> None:
    """Let go of what is older than is kept. `day`: today, as far as anybody knows."""
    for side in ("<=", ">"):
        run(
            f"DELETE FROM days WHERE day {side} ? AND day NOT IN"  # noqa: S608 (a sign of our own)
            f" (SELECT DISTINCT day FROM days WHERE day {side} ? ORDER BY day DESC LIMIT {KEPT})",
            (str(day), str(day)),
        )
    around = (
        str(max(day, date.min + _ENDED_TURNS_KEPT) - _ENDED_TURNS_KEPT),
        str(min(day, date.max - _ENDED_TURNS_KEPT) + _ENDED_TURNS_KEPT),
    )
    run("DELETE FROM ended_turns WHERE day < ? OR day > ?", around)
    run(
        "DELETE FROM names WHERE (day < ? OR day > ?) AND NOT EXISTS (SELECT 1 FROM days WHERE"
        " names.id = CASE names.kind WHEN 'agent' THEN days.agent ELSE days.queue END)",
        around,
    )
