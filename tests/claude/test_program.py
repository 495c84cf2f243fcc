"""The program behind the SDK, with a stand-in that leaves late."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.sandbox.processes import alive, eventually, pid_in, written_pid
from worker_core.claude import installation
from worker_core.sandbox.launcher import Command, DirectLauncher

pytestmark = [
    pytest.mark.skipif(not installation.installed(), reason="claude-agent-sdk (the extra `claude`) is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell's"),
]


async def test_nothing_is_left_however_often_the_end_is_cancelled(tmp_path: Path) -> None:
    from worker_core.claude.program import Program

    stays = "trap '' TERM; echo $$ >pid; while :; do sleep 0.05; done"
    command = Command(argv=["/bin/bash", "-c", stays], cwd=tmp_path, environment={"PATH": os.environ["PATH"]})
    program = Program(command, launcher=DirectLauncher(), workspace=tmp_path)
    await program.connect()
    await eventually(lambda: written_pid(tmp_path / "pid"))
    closing = asyncio.create_task(program.close())
    await asyncio.sleep(0)  # it has begun
    while not closing.done():
        closing.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await closing
    await eventually(lambda: not alive(pid_in(tmp_path / "pid")))
