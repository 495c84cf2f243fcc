"""Processes that left their group, found by the mark in their environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.processes.strays import end_strays

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="job objects end them there")


def start(*command: str, mark: str) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"]} | ({CALL_MARK: mark} if mark else {})
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)


def test_one_that_becomes_another_program_all_the_time_is_found(tmp_path: Path) -> None:
    """While the kernel loads a program, a process shows no environment."""
    again = tmp_path / "again"
    again.write_text('echo >>"$1"\nexec /bin/sh "$0" "$1"\n')
    for number in range(60):
        begun = tmp_path / str(number)
        with start("/bin/sh", str(again), str(begun), mark=f"strays/{number}") as process:
            try:
                while not begun.exists():
                    assert process.poll() is None
                assert end_strays(f"strays/{number}", seconds=60)
                assert process.poll() is not None
            finally:
                process.kill()


def test_others_are_left_alone() -> None:
    with start("sleep", "1000", mark="strays/of another call") as other, start("sleep", "1000", mark="") as without:
        try:
            end_strays("strays/of this call", seconds=60)
            end_strays("", seconds=60)
            assert (other.poll(), without.poll()) == (None, None)
        finally:
            other.kill()
            without.kill()
