"""`kubiya-worker usage`, over numbers that a ledger has kept."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from worker_core.budgets.ledger import Ledger, Spender, Spending


def today() -> date:
    return datetime.now(UTC).astimezone().date()


@pytest.fixture
def counted(offline: CommandLine) -> CommandLine:
    """Two days, two agents."""
    ledger = Ledger(offline.home / "state" / "budget" / "spent.sqlite")
    for agent, name, ago, tokens in (("a1", "Reviewer", 0, 1_500), ("b2", "=Builder", 3, 40)):
        day = today() - timedelta(days=ago)
        who = Spender(execution_id=f"of {agent}", turn=1, agent_id=agent, queue_id="q1", day=day)
        ledger.begin(
            who.execution_id, agent_id=agent, limits=[], day=day, agent_name=name, queue_id="q1", queue_name="build"
        )
        ledger.add(who, Spending(tokens=tokens, cost=tokens / 1_000, unpriced=int(ago > 0), model_calls=1))
        ledger.end_turn(who, failed=ago > 0)
    return offline


def test_nothing_yet(offline: CommandLine) -> None:
    answer = offline("usage")
    assert answer.code == 0
    assert "Nothing was counted here since" in answer.out
    assert offline("usage", "--json", "--days", "2").json["total"]["tokens"] == 0
    assert offline("usage", "--csv", "-").out.count("\n") == 1


def test_by_day_agent_and_queue(counted: CommandLine) -> None:
    lines = [line.split() for line in counted("usage").out.splitlines()]
    assert lines == [
        ["DAY", "TURNS", "FAILED", "TOKENS", "COST"],
        [str(today() - timedelta(days=3)), "1", "1", "40", "$0.04+"],
        [str(today()), "1", "0", "1,500", "$1.50"],
        ["total", "2", "1", "1,540", "$1.54+"],
    ]
    assert [line.split()[0] for line in counted("usage", "--by", "agent").out.splitlines()] == [
        "AGENT", "Reviewer", "=Builder", "total",
    ]  # fmt: skip
    assert counted("usage", "--by", "queue").out.splitlines()[1].split() == ["build", "2", "1", "1,540", "$1.54+"]
    assert "=Builder" not in counted("usage", "--by", "agent", "--days", "3").out


def test_for_scripts(counted: CommandLine) -> None:
    told = counted("usage", "--json", "--days", "4").json
    assert (told["first"], told["last"], len(told["rows"])) == (str(today() - timedelta(days=3)), str(today()), 4)
    assert told["rows"][-1] == {
        "day": str(today()), "turns": 1, "failed": 0, "tokens": 1500, "cost": 1.5, "unpriced": 0,
    }  # fmt: skip
    [first, _] = counted("usage", "--json", "--by", "agent").json["rows"]
    assert (first["agent_id"], first["agent"]) == ("a1", "Reviewer")
    [queue] = counted("usage", "--json", "--by", "queue").json["rows"]
    assert (queue["queue_id"], queue["queue"], queue["failed"]) == ("q1", "build", 1)


def test_as_csv(counted: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    assert counted("usage", "--csv", str(file)).out == ""
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))
    assert [(row["day"], row["agent"], row["queue"], row["cost_usd"]) for row in rows] == [
        (str(today() - timedelta(days=3)), "'=Builder", "build", "0.040000"),
        (str(today()), "Reviewer", "build", "1.500000"),
    ]
    assert counted("usage", "--csv", "-").out.splitlines() == file.read_text().splitlines()


def test_wrong_usage_and_a_file_that_cannot_be_written(counted: CommandLine, tmp_path: Path) -> None:
    assert counted("usage", "--days", "91").code == 2
    assert "say one of them" in counted("usage", "--csv", "-", "--json").err
    answer = counted("usage", "--csv", str(tmp_path / "no" / "such" / "file.csv"))
    assert (answer.code, "cannot be written" in answer.err) == (3, True)
