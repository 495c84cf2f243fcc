"""The numbers of days: written by several workers, read beside them, kept for ninety days, added up."""

from __future__ import annotations

import contextlib
import csv
import io
import sqlite3
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.budgets import days
from worker_core.budgets.ledger import Ledger, LedgerError, Spender, Spending
from worker_core.budgets.usage import (
    CSV_HEAD,
    DailyUsage,
    DayNumbers,
    UsageNumbers,
    added,
    csv_text,
    days_between,
    read_usage,
)

TODAY = date(2026, 11, 28)


def spender(
    execution_id: str = "e", *, turn: int = 1, agent_id: str = "a", queue_id: str = "q", day: date = TODAY
) -> Spender:
    return Spender(execution_id=execution_id, turn=turn, agent_id=agent_id, queue_id=queue_id, day=day)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "budget" / "spent.sqlite"


# --- kept on disk -------------------------------------------------------------------------------------------------


def test_tokens_cost_and_turns_by_agent_and_queue(file: Path) -> None:
    ledger = Ledger(file)
    ledger.begin("e", agent_id="a", limits=[], day=TODAY, agent_name="Reviewer", queue_id="q", queue_name="build")
    ledger.add(spender(), Spending(tokens=10, cost=0.5, model_calls=1))
    ledger.add(spender(), Spending(tokens=5, unpriced=1, model_calls=1))
    ledger.add(spender(), Spending(seconds=3.0))
    ledger.end_turn(spender(), failed=False)
    ledger.end_turn(spender(turn=2), failed=True)
    ledger.add(spender("other", agent_id="b", queue_id="p"), Spending(tokens=1))
    ledger.forget("e")
    usage = read_usage(file, today=TODAY)
    assert usage.by("agent") == (
        ("a", UsageNumbers(turns=2, failed=1, tokens=15, cost=0.5, unpriced=1)),
        ("b", UsageNumbers(tokens=1)),
    )
    assert [(usage.name("queue", id_), numbers.tokens) for id_, numbers in usage.by("queue")] == [
        ("build", 15), ("p", 1),
    ]  # fmt: skip
    assert usage.name("agent", "a") == "Reviewer"
    assert usage.by_day()[-1] == (TODAY, usage.total)


def test_a_turn_counts_once_also_when_its_execution_has_ended(file: Path) -> None:
    ledger = Ledger(file)
    for _ in range(2):
        ledger.end_turn(spender(), failed=False)
    ledger.end_turn(spender(), failed=True)  # the execution failed between its turns
    ledger.forget("e")
    ledger.end_turn(spender(), failed=True)
    assert read_usage(file, today=TODAY).total == UsageNumbers(turns=1)


def test_nothing_is_read_where_nothing_was_spent(file: Path) -> None:
    usage = read_usage(file, days=7, today=TODAY)
    assert (usage.first, usage.last, usage.rows) == (TODAY - timedelta(days=6), TODAY, ())
    assert not file.parent.exists(), "a look makes nothing"
    assert len(usage.by_day()) == 7


def test_what_an_earlier_version_has_written_has_no_days_and_gets_them(file: Path) -> None:
    Ledger(file).add(spender(), Spending(tokens=1))
    with contextlib.closing(sqlite3.connect(file)) as database:
        for table in ("days", "ended_turns", "names"):
            database.execute(f"DROP TABLE {table}")
    assert read_usage(file, today=TODAY).rows == ()
    Ledger(file).add(spender(), Spending(tokens=2))
    assert read_usage(file, today=TODAY).total.tokens == 2


def test_what_is_no_ledger_or_of_a_later_version_is_a_sentence(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("something else " * 1000)
    with pytest.raises(LedgerError, match="cannot be read from"):
        read_usage(file, today=TODAY)
    file.unlink()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="a later version"):
        read_usage(file, today=TODAY)


def test_ninety_days_are_kept_and_no_more(file: Path) -> None:
    for number in range(200):
        day = TODAY + timedelta(days=number)
        Ledger(file).add(spender(day=day), Spending(tokens=1))  # a worker of that day: each sweeps
    last = TODAY + timedelta(days=199)
    assert read_usage(file, today=last).total.tokens == 90
    with contextlib.closing(sqlite3.connect(file)) as database:
        [kept] = database.execute("SELECT count(*) FROM days").fetchone()
    assert kept <= days.KEPT + 1


@pytest.mark.parametrize("wrong", [date(1970, 1, 1), date(2099, 1, 1), date(9999, 12, 1), date(1, 2, 1)])
def test_a_clock_that_was_wrong_costs_nothing(file: Path, wrong: date) -> None:
    for number in range(30):
        Ledger(file).add(spender(day=TODAY - timedelta(days=number)), Spending(tokens=1))
    for number in range(20):
        Ledger(file).add(spender(day=wrong + timedelta(days=number)), Spending(tokens=100))
    for number in range(1, 5):
        Ledger(file).add(spender(day=TODAY + timedelta(days=number)), Spending(tokens=1))
    assert read_usage(file, today=TODAY + timedelta(days=4)).total.tokens == 34


def test_a_day_of_countless_agents_is_bounded(file: Path) -> None:
    ledger = Ledger(file)
    for number in range(days.MOST_PAIRS + 50):
        ledger.add(spender(agent_id=f"agent {number}" + "x" * 1_000), Spending(tokens=1))
    usage = read_usage(file, today=TODAY)
    assert len(usage.rows) == days.MOST_PAIRS + 1
    assert usage.total.tokens == days.MOST_PAIRS + 50
    assert max(len(row.agent_id) for row in usage.rows) == 200


def test_names_go_with_their_days(file: Path) -> None:
    ledger = Ledger(file)
    ledger.begin("e", agent_id="idle", limits=[], day=TODAY, agent_name="Never used")
    ledger.begin("f", agent_id="a", limits=[], day=TODAY, agent_name="Used")
    ledger.add(spender(), Spending(tokens=1))
    Ledger(file).add(spender(day=TODAY + timedelta(days=40)), Spending(tokens=1))
    assert dict(read_usage(file, today=TODAY).agents) == {"a": "Used"}


def test_two_workers_count_side_by_side_and_a_kill_loses_nothing_that_was_counted(file: Path) -> None:
    program = (
        "import os, signal, sys; from datetime import date; from pathlib import Path\n"
        "from worker_core.budgets.ledger import Ledger, Spender, Spending\n"
        "ledger, who = Ledger(Path(sys.argv[1])), sys.argv[2]\n"
        "for turn in range(40):\n"
        "    one = Spender(execution_id=who, turn=turn, agent_id=who, queue_id='q', day=date(2026, 11, 28))\n"
        "    ledger.add(one, Spending(tokens=3, cost=0.25))\n"
        "    ledger.end_turn(one, failed=turn % 4 == 0)\n"
        "print('counted', flush=True)\n"
        "ledger._database.execute('BEGIN IMMEDIATE')\n"
        "ledger._database.execute('UPDATE days SET tokens = 0')\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, str(file), who], stdout=subprocess.PIPE) for who in ("a", "b")
    ]
    said = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [text.split() for text in said] == [[b"counted"], [b"counted"]]
    assert all(worker.returncode != 0 for worker in workers)
    usage = read_usage(file, today=TODAY)
    assert usage.by("agent") == tuple(
        (who, UsageNumbers(turns=40, failed=10, tokens=120, cost=10.0)) for who in ("a", "b")
    )


def test_a_look_waits_for_no_worker_and_no_worker_for_a_look(file: Path) -> None:
    ledger = Ledger(file)
    ledger.add(spender(), Spending(tokens=1))
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE days SET tokens = 1000")
        assert read_usage(file, today=TODAY).total.tokens == 1, "as it was before what is under way"
        writer.execute("ROLLBACK")
    with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT sum(tokens) FROM days").fetchone() == (1,)
        ledger.add(spender(), Spending(tokens=1))
        assert reader.execute("SELECT sum(tokens) FROM days").fetchone() == (1,)
    assert read_usage(file, today=TODAY).total.tokens == 2


def test_a_full_disk_is_said_and_what_was_counted_stays(file: Path) -> None:
    ledger = Ledger(file)
    ledger.add(spender(), Spending(tokens=1))
    [pages] = ledger._opened().execute("PRAGMA page_count").fetchone()
    ledger._opened().execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="full"):
        ledger.end_turn(spender("x" * 100_000), failed=False)
    assert read_usage(file, today=TODAY).total.tokens == 1


# --- added up -----------------------------------------------------------------------------------------------------

NUMBERS = st.builds(
    UsageNumbers,
    turns=st.integers(0, 10**6), failed=st.integers(0, 10**6), tokens=st.integers(0, 10**12),
    cost=st.floats(0, 10**6), unpriced=st.integers(0, 10**6),
)  # fmt: skip
IDS = st.sampled_from(["", "a", "b", "c"])


@st.composite
def usages(draw: st.DrawFn) -> DailyUsage:
    first = draw(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
    last = first + timedelta(days=draw(st.integers(0, 89)))
    keys = draw(st.sets(st.tuples(st.dates(first, last), IDS, IDS), max_size=12))
    rows = tuple(
        DayNumbers(day=day, agent_id=agent, queue_id=queue, numbers=draw(NUMBERS)) for day, agent, queue in sorted(keys)
    )
    names = st.dictionaries(IDS.filter(bool), st.text(max_size=8))
    return DailyUsage(first=first, last=last, rows=rows, agents=draw(names), queues=draw(names))


def close(one: UsageNumbers, other: UsageNumbers) -> bool:
    whole = ("turns", "failed", "tokens", "unpriced")
    return all(getattr(one, name) == getattr(other, name) for name in whole) and one.cost == pytest.approx(other.cost)


@given(usages())
def test_however_they_are_added_up_it_is_the_same(usage: DailyUsage) -> None:
    for parts in (usage.by_day(), usage.by("agent"), usage.by("queue")):
        assert close(added(numbers for _, numbers in parts), usage.total)
    for agent_id, numbers in usage.by("agent"):
        assert close(added(part for _, part in usage.by_day(agent_id=agent_id)), numbers)
    for queue_id, numbers in usage.by("queue"):
        assert close(added(part for _, part in usage.by_day(queue_id=queue_id)), numbers)


@given(usages())
def test_every_day_is_there_once_and_the_largest_come_first(usage: DailyUsage) -> None:
    found = [day for day, _ in usage.by_day()]
    assert found == list(days_between(usage.first, usage.last))
    assert (found[0], found[-1]) == (usage.first, usage.last)
    tokens = [numbers.tokens for _, numbers in usage.by("agent")]
    assert tokens == sorted(tokens, reverse=True)


@given(usages())
def test_a_csv_file_says_what_was_read_and_calculates_nothing(usage: DailyUsage) -> None:
    head, *lines = csv.reader(io.StringIO(csv_text(usage), newline=""))
    assert tuple(head) == CSV_HEAD
    assert [(line[0], int(line[5]), int(line[6]), int(line[7]), int(line[9])) for line in lines] == [
        (str(row.day), row.numbers.turns, row.numbers.failed, row.numbers.tokens, row.numbers.unpriced)
        for row in usage.rows
    ]
    assert [float(line[8]) for line in lines] == pytest.approx([row.numbers.cost for row in usage.rows], abs=1e-6)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for line in lines for cell in line)
