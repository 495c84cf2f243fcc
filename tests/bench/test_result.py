"""What the bench writes, reads and compares."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.result import RESULTS, Result, changes, committed, in_pairs, merged, read, table, written


def row(name: str, ours: float, bare: float | None = 1.0, goal: float = 5.0) -> Result:
    return Result(name=name, unit="s", ours=ours, bare=bare, goal=goal)


def test_what_is_written_is_read_again_a_row_a_line() -> None:
    rows = [row("start", 1.5), row("cancelled", 0.1, bare=None)]
    text = written(rows)
    assert read(text) == rows
    assert [one["ratio"] for one in json.loads(text)] == [1.5, None]
    assert len(text.splitlines()) == len(rows) + 2


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"name": "a"}]', "<<<<<<< HEAD"])
def test_what_is_none_of_ours_is_nothing(text: str) -> None:
    assert read(text) == []


def test_runs_are_compared_by_ratios_and_not_by_times() -> None:
    before = [row("a", 1.0), row("b", 2.0), row("c", 2.0), row("d", 1.0, bare=None), row("gone", 1.0)]
    twice_as_slow_a_machine = [row("a", 2.0, bare=2.0), row("b", 2.0, bare=2.0), row("c", 6.0, bare=2.0)]
    assert changes(before, [*twice_as_slow_a_machine, row("d", 9.0, bare=None), row("new", 1.0)]) == [
        "faster: b: 1.00x, it was 2.00x",
        "slower: c: 3.00x, it was 2.00x",
    ]


def test_pairs_are_compared_each_in_its_own_moment() -> None:
    """The machine was busy for a while: for two pairs, and for one side of another."""
    one = in_pairs(name="a", unit="s", goal=9, bare=[1, 1, 3, 3, 1], ours=[2, 2, 6, 6, 9])
    assert (one.bare, one.ours, one.ratio) == (1, 6, 2)
    assert read(written([one])) == [one]


def test_rows_that_were_not_measured_stay() -> None:
    assert merged([row("a", 1), row("b", 1)], [row("b", 2), row("c", 3)]) == [row("a", 1), row("b", 2), row("c", 3)]


def test_the_table_says_what_missed_its_goal() -> None:
    first, second = table([row("in time", 4.0), row("late", 6.0, bare=None)]).splitlines()[1:]
    assert first.split() == ["in", "time", "4.000", "s", "1.000", "s", "4.00x", "5", "s"]
    assert second.endswith("missed")


def test_the_results_that_are_kept_can_be_read() -> None:
    assert "process start to ready" in {one.name for one in read(RESULTS.read_text(encoding="utf-8"))}


def test_it_is_compared_with_what_was_committed(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    assert committed(file) == []
    file.write_text(written([row("a", 1)]))
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "measured"]):
        subprocess.run([*git, *command], check=True)
    file.write_text(written([row("a", 2)]))
    assert committed(file) == [row("a", 1)]


def test_one_row_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "masking", "--json", str(tmp_path / "measured.json")]) == 0
    names = [one.name for one in read((tmp_path / "measured.json").read_text())]
    assert len(names) == 2
    said = capsys.readouterr().out
    assert all(name in said for name in names)


def test_a_row_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "everything"])
    said = capsys.readouterr().err
    assert "start" in said
    assert "sandbox" in said
