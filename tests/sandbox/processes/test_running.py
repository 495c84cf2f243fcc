"""Whose a process of the machine's is: found by its number there, whatever it has become meanwhile."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from tests.support.processes import alive, eventually, wait_until
from tests.support.walls import bubblewrap, needs_bubblewrap, needs_landlock, without_namespaces
from worker_core.sandbox.call import run_process
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.environment import CALL_MARK, is_mark_of, tool_environment
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.processes.running import RUNNING, RunningTrees

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tools are shell scripts")
OWN, OTHER = "3f0c1d2e-0000-4000-8000-000000000001", "3f0c1d2e-0000-4000-8000-000000000002"


def outside(seconds: str) -> int | None:
    """The number that the machine has for a `sleep`; None: it is not there (yet)."""
    for process in psutil.process_iter():
        try:
            if process.cmdline() == ["sleep", seconds]:
                return process.pid
        except psutil.Error:
            continue
    return None


@pytest.mark.parametrize(
    "name",
    [
        "none", pytest.param("bubblewrap", marks=needs_bubblewrap), pytest.param("landlock", marks=needs_landlock),
    ],
)  # fmt: skip
async def test_a_process_is_its_execution_s_also_where_its_parents_are_gone(name: str, tmp_path: Path) -> None:
    launchers = {
        "none": DirectLauncher,
        "bubblewrap": lambda: bubblewrap(tmp_path / "run"),
        "landlock": lambda: without_namespaces(tmp_path / "run"),
    }
    launcher: Launcher = launchers[name]()
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    # Numbers that no other test of this machine sleeps for.
    child, orphan = (f"{1000 + number}.{os.getpid()}" for number in range(2))
    script = f"(sleep {orphan} &) ; sleep {child} & wait"
    command = launcher.wrap(
        Command(
            argv=["/bin/sh", "-c", script], cwd=workspace,
            environment=tool_environment({}, call_mark=f"{OWN}/call-1"), is_call=True,
        ),
        workspace=workspace,
    )  # fmt: skip
    running = asyncio.create_task(run_process(command, timeout=timedelta(seconds=60), output_limit_bytes=1000))
    try:
        await eventually(lambda: outside(child) is not None and outside(orphan) is not None)
        pids = [pid for seconds in (child, orphan) if (pid := outside(seconds)) is not None]
        everybody = [*pids, os.getpid(), 1, 2**40, 0, -1]
        assert RUNNING.executions_of(everybody, among=[OTHER, OWN]) == dict.fromkeys(pids, OWN)
        assert RUNNING.executions_of(everybody, among=[OTHER]) == {}
        assert RUNNING.executions_of(everybody, among=[]) == {}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert RUNNING.executions_of(pids, among=[OWN]) == {}


def test_the_mark_in_an_environment_makes_nothing_an_execution_s() -> None:
    """Anybody can write one."""
    mark = tool_environment({}, call_mark=f"{OWN}/call-1")[CALL_MARK]
    trees = RunningTrees()
    with subprocess.Popen(["sleep", "1000"], env={CALL_MARK: mark, "PATH": os.defpath}) as forged:
        try:
            with subprocess.Popen(["sleep", "1001"]) as real:
                trees.add(real.pid, mark)
                assert trees.executions_of([forged.pid, real.pid], among=[OWN]) == {real.pid: OWN}
                trees.add(real.pid, tool_environment({}, call_mark=f"{OTHER}/call-1")[CALL_MARK])
                assert trees.executions_of([real.pid], among=[OWN, OTHER]) == {real.pid: OTHER}
                trees.remove(real.pid)
                assert trees.executions_of([real.pid], among=[OWN, OTHER]) == {}
                real.kill()
        finally:
            forged.kill()


@pytest.mark.parametrize("execution_id", [OWN, "an id: with ünusual 文字", "x" * 140])
def test_marks_know_their_execution(execution_id: str) -> None:
    for what in (f"{execution_id}/call-1", f"{execution_id}/mcp/abc", execution_id):
        mark = tool_environment({}, call_mark=what)[CALL_MARK]
        assert is_mark_of(mark, execution_id)
        assert not is_mark_of(mark, "")
        assert not is_mark_of(mark, execution_id[:-1])


def test_what_has_ended_leaves_nothing_behind() -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    wait_until(lambda: not alive(gone.pid))
    trees = RunningTrees()
    trees.add(os.getppid(), tool_environment({}, call_mark=f"{OWN}/call-1")[CALL_MARK])
    assert trees.executions_of([gone.pid], among=[OWN]) == {}
    assert trees.executions_of([os.getpid()], among=[OWN]) == {os.getpid(): OWN}
