"""`execute` where no worker serves the queue: it says so, and goes on once one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.support.engine import new_queue
from tests.support.playground import Stage
from tests.support.worker_process import LIMIT_SECONDS, worker_process


def executing(commands: CommandLine, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker_core", "execute", "--agent", "demo-agent", "hello", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **commands.environment},
    )  # fmt: skip


async def test_it_is_said_once_and_the_execution_waits_for_a_worker(
    online: CommandLine, stage: Stage, tmp_path: Path
) -> None:
    queue_id = online.environment["QUEUE_ID"] = await new_queue(stage)
    with executing(online, "--json") as command:
        assert command.stdout is not None
        notes = (event for event in map(json.loads, command.stdout) if event["event"] in {"note", "result"})
        said = next(notes)["data"]["message"]
        assert said.startswith("No worker serves the queue ")
        assert said.endswith(f" now. The execution waits until one does: kubiya-worker start --queue-id {queue_id}")
        with worker_process(stage, tmp_path / "worker", queue_id) as worker:
            worker.wait_ready()
            assert next(notes)["status"] == "waiting_for_input"
            assert command.wait(LIMIT_SECONDS) == 0
            assert worker.terminate() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process is POSIX")
async def test_whoever_has_read_it_may_leave(online: CommandLine, stage: Stage) -> None:
    online.environment["QUEUE_ID"] = await new_queue(stage)
    with executing(online) as command:
        assert command.stdout is not None
        while "No worker serves the queue" not in (line := command.stdout.readline()):
            assert line, "it ended"
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=LIMIT_SECONDS)
    assert "The execution goes on. Follow it" in err
    assert command.returncode == 130
