"""What was spent, over processes, days and the end of executions."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from worker_core.budgets.ledger import Ledger, LedgerError, Spender, Spending

TODAY = date(2026, 11, 28)


def spender(execution_id: str = "e", *, turn: int = 1, agent_id: str = "a", day: date = TODAY) -> Spender:
    return Spender(execution_id=execution_id, turn=turn, agent_id=agent_id, day=day)


def test_scopes_add_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state" / "spent.sqlite")
    call = Spending(tokens=10, cost=0.5, unpriced=1, model_calls=1, seconds=2.0)
    ledger.add(spender(), call)
    ledger.add(spender(turn=2), call)
    ledger.add(spender("other"), call)
    ledger.add(spender("stranger", agent_id="b"), call)
    spent = ledger.spent(spender(turn=2))
    assert {scope: one.tokens for scope, one in spent.items()} == {"turn": 10, "execution": 20, "agent": 30, "day": 40}
    assert spent["day"] == Spending(tokens=40, cost=2.0, unpriced=4, model_calls=4, seconds=8.0)


def test_a_tool_call_counts_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "spent.sqlite")
    for _ in range(3):
        ledger.add_tool_call(spender(), "call_1")
    ledger.add_tool_call(spender(), "call_2")
    assert ledger.spent(spender())["turn"].tool_calls == 2
    assert ledger.knows_call("e", "call_1")
    assert not ledger.knows_call("other", "call_1")


def test_the_end_of_an_execution_leaves_what_the_day_has_spent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "spent.sqlite")
    ledger.begin("e", agent_id="a", limits=["turn.tokens=5"], day=TODAY)
    ledger.add(spender(), Spending(tokens=7))
    ledger.extend("q1", spender(), "turn", "tokens", 3)
    ledger.extend("q2", spender(), "day", "tokens", 4)
    ledger.refuse(spender(), "execution", "cost")
    assert ledger.about("e") == ("a", ("turn.tokens=5",))
    ledger.forget("e")
    assert ledger.about("e") == ("", ())
    assert {scope: one.tokens for scope, one in ledger.spent(spender()).items()} == {
        "turn": 0, "execution": 0, "agent": 7, "day": 7,
    }  # fmt: skip
    assert ledger.extended(spender()) == {("day", "tokens"): 4.0}
    assert not ledger.is_refused(spender(), "execution", "cost")


def test_a_new_day_begins_with_nothing_and_old_ones_go(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "spent.sqlite")
    ledger.add(spender(), Spending(tokens=7))
    tomorrow = spender(day=TODAY + timedelta(days=1))
    assert {scope: one.tokens for scope, one in ledger.spent(tomorrow).items()} == {
        "turn": 7, "execution": 7, "agent": 0, "day": 0,
    }  # fmt: skip
    for days in range(10):
        ledger.add(spender(day=TODAY + timedelta(days=days)), Spending(tokens=1))
    assert ledger.spent(spender())["day"].tokens == 0, "days that are over are not kept"
    assert ledger.spent(spender(day=TODAY + timedelta(days=9)))["execution"].tokens == 17


@pytest.mark.parametrize("wrong", [date(1970, 1, 1), date(2026, 11, 27), date(2026, 11, 29), date(2199, 12, 31)])
def test_a_clock_that_was_wrong_for_a_while_gives_nobody_a_new_budget(tmp_path: Path, wrong: date) -> None:
    """A worker starts, spends and goes while the clock lies ahead or behind; each of them sweeps."""
    file = tmp_path / "spent.sqlite"
    Ledger(file).begin("e", agent_id="a", limits=("cost/turn=1",), day=TODAY)
    Ledger(file).add(spender(), Spending(tokens=7))
    Ledger(file).add_tool_call(spender(), "call")
    Ledger(file).extend("question", spender(), "day", "tokens", 100)
    Ledger(file).begin("another", agent_id="a", limits=(), day=wrong)
    Ledger(file).add(spender("another", day=wrong), Spending(tokens=1))
    again = Ledger(file)
    again.add(spender(), Spending(tokens=2))
    assert again.spent(spender())["day"].tokens == 9
    assert again.spent(spender())["execution"].tokens == 9
    assert again.extended(spender())["day", "tokens"] == 100.0
    assert again.about(spender().execution_id) == ("a", ("cost/turn=1",))
    assert again.knows_call(spender().execution_id, "call")


def test_executions_whose_end_nobody_saw_go_after_thirty_days_of_work(tmp_path: Path) -> None:
    file = tmp_path / "spent.sqlite"
    for days in range(40):
        Ledger(file).begin(f"e{days}", agent_id="a", limits=("cost/turn=1",), day=TODAY + timedelta(days=days))
    assert [Ledger(file).about(f"e{days}")[0] for days in (0, 8, 15, 39)] == ["", "", "a", "a"]


def test_an_extension_counts_once_and_a_refusal_is_of_one_turn(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "spent.sqlite")
    for _ in range(2):
        ledger.extend("question", spender(), "execution", "tokens", 100)
    assert ledger.extended(spender(turn=9)) == {("execution", "tokens"): 100.0}
    ledger.refuse(spender(), "execution", "tokens")
    assert ledger.is_refused(spender(), "execution", "tokens")
    assert not ledger.is_refused(spender(turn=2), "execution", "tokens")


def test_several_processes_share_it_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "spent.sqlite"
    program = (
        "import os, signal, sys; from datetime import date; from pathlib import Path\n"
        "from worker_core.budgets.ledger import Ledger, Spender, Spending\n"
        "who = Spender(execution_id='e', turn=1, agent_id='', day=date(2026, 11, 28))\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for _ in range(50): ledger.add(who, Spending(tokens=1))\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(file)]) for _ in range(3)]
    assert all(process.wait(60) != 0 for process in processes)
    assert Ledger(file).spent(spender(agent_id=""))["execution"].tokens == 150


def test_what_is_no_ledger_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "spent.sqlite"
    file.write_text("something else " * 1000)
    with pytest.raises(LedgerError, match="What was spent cannot be kept in"):
        Ledger(file).add(spender(), Spending(tokens=1))


def test_what_a_later_version_has_written_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "spent.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(LedgerError, match="a later version"):
        Ledger(file).add(spender(), Spending(tokens=1))
    assert file.read_bytes()[100:] == before[100:]
