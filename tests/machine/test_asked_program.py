"""A program that is asked something: it answers, or does not, and nobody waits for it longer than he said."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from tests.support.processes import alive, pid_in, wait_until, written_pid
from worker_core.machine import asked_program
from worker_core.machine.asked_program import MOST_BYTES, AskedProgram, ProgramAnswer, StillThere, TooMuchSaid, TooSlow

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
PATIENT = 60.0
"""Seconds, where an answer comes."""


def ask(asked: AskedProgram, script: str, *, seconds: float = PATIENT) -> ProgramAnswer:
    return asked.ask(["/bin/sh", "-c", script], environment={"PATH": os.defpath, "ONE": "1"}, seconds=seconds)


def test_what_it_says_and_how_it_ends() -> None:
    said = ask(AskedProgram(), 'echo "$ONE$HOME"; echo wrong >&2; exit 9')
    assert said == ProgramAnswer(code=9, output="1\n", errors="wrong\n")
    assert ask(AskedProgram(), "printf '\\377'").output == "\ufffd"


def test_one_that_is_not_there() -> None:
    with pytest.raises(OSError, match="No such file"):
        AskedProgram().ask(["/nowhere/nvidia-smi"], environment={}, seconds=PATIENT)


def test_one_that_hangs_ends_with_all_that_it_started(tmp_path: Path) -> None:
    file, asked = tmp_path / "pid", AskedProgram()
    script = f"sleep 1000 & echo $! > {file}; wait"
    with pytest.raises(TooSlow):
        ask(asked, script, seconds=0.5)
    if file.exists():  # a busy machine may not have come so far
        pid = pid_in(file)
        wait_until(lambda: not alive(pid))
    assert ask(asked, "echo there").output == "there\n"


def test_one_whose_child_holds_its_output_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with pytest.raises(TooSlow):
        ask(AskedProgram(), f"sleep 1000 & echo $! > {file}", seconds=1.0)
    if written_pid(file) is not None:
        wait_until(lambda: not alive(pid_in(file)))


@pytest.mark.parametrize("where", ["1", "2"])
def test_it_may_say_so_much_and_no_more(where: str) -> None:
    asked = AskedProgram()
    most = ask(asked, f"head -c {MOST_BYTES} /dev/zero >&{where}")
    assert len(most.output) + len(most.errors) == MOST_BYTES
    with pytest.raises(TooMuchSaid):
        ask(asked, f"head -c {2 * MOST_BYTES} /dev/zero >&{where}")
    with pytest.raises(TooMuchSaid):
        ask(asked, f"exec cat /dev/zero >&{where}")


def test_one_that_cannot_be_killed_is_not_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits in its driver. It is left alone until it is gone."""
    asked, started, go = AskedProgram(), tmp_path / "started", tmp_path / "go"
    script = f"echo x >> {started}; until [ -e {go} ]; do sleep 0.05; done"
    monkeypatch.setattr(asked_program, "_END_SECONDS", 0.05)
    with monkeypatch.context() as unkillable:
        unkillable.setattr(asked_program, "_kill", lambda process: None)
        with pytest.raises(TooSlow):
            ask(asked, script, seconds=1.0)
    for _ in range(3):
        with pytest.raises(StillThere):
            ask(asked, f"echo y >> {started}")
    assert "y" not in (started.read_text() if started.exists() else "")
    left = asked._left
    assert left is not None
    go.touch()
    wait_until(lambda: left.poll() is not None)
    assert ask(asked, "echo there").output == "there\n"


def test_one_at_a_time(tmp_path: Path) -> None:
    """Who comes while another asks waits for his turn, and no longer than he said."""
    asked, go, said = AskedProgram(), tmp_path / "go", []
    first = threading.Thread(
        target=lambda: said.append(ask(asked, f"until [ -e {go} ]; do sleep 0.02; done; echo one").output)
    )
    first.start()
    wait_until(asked._lock.locked)
    with pytest.raises(TooSlow):
        ask(asked, "echo two", seconds=0.1)
    go.touch()
    assert ask(asked, "echo three").output == "three\n"
    first.join()
    assert said == ["one\n"]
