"""`kubiya-worker start --daemon` with real workers, and the commands that find them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from tests.cli.conftest import CommandLine
from tests.support.engine import new_queue
from tests.support.playground import Stage
from tests.support.processes import LIMIT_SECONDS, alive, wait_until
from worker_core.daemon.instances import instances
from worker_core.paths import Paths

QUEUE = "01234567-89ab-4def-8123-456789abcdef"
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")


@dataclass(slots=True)
class Machine:
    """Commands of one user."""

    commands: CommandLine

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it prints on stdout; where a failure is expected, on stderr."""
        answer = self.commands(*arguments)
        assert answer.code == code, answer
        return answer.err if code else answer.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def start(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """`start --daemon`, as its user does it: a process that ends before what it started."""
        done = subprocess.run(
            [sys.executable, "-m", "worker_core", "start", "--daemon", *arguments],
            env={**os.environ, **self.commands.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stderr if code else done.stdout

    def daemon(self, name: str, **environment: str) -> dict[str, Any]:
        """Start one."""
        started: dict[str, Any] = json.loads(self.start("--json", "--name", name, **environment))
        return started

    @property
    def paths(self) -> Paths:
        return Paths.from_environment(self.commands.environment)

    def log(self, name: str) -> str:
        return self.paths.log_of(name).read_text()


@pytest.fixture
def machine(offline: CommandLine) -> Iterator[Machine]:
    offline.environment |= {"KUBIYA_WORKER_SANDBOX": "none", "NO_COLOR": "1"}
    yield Machine(offline)
    for process in psutil.process_iter(["environ"]):  # what a failed test left
        if (process.info["environ"] or {}).get("KUBIYA_WORKER_HOME") == str(offline.home):
            process.kill()


async def test_two_daemons_side_by_side(stage: Stage, machine: Machine) -> None:
    queues = {"build-7": await new_queue(stage), "build-8": await new_queue(stage)}
    machine.commands.environment |= {
        "KUBIYA_API_KEY": stage.info.api_key, "CONTROL_PLANE_URL": stage.info.control_plane_url,
    }  # fmt: skip
    up = {name: machine.daemon(name, QUEUE_ID=queue) for name, queue in queues.items()}
    assert [one["state"] for one in up.values()] == ["running", "running"]
    pids = {pid for one in up.values() for pid in (one["pid"], one["worker_pid"])}
    for pid in pids:
        process = psutil.Process(pid)
        assert stage.info.api_key not in " ".join(process.cmdline())
        with contextlib.suppress(psutil.AccessDenied):  # closed to all but root
            assert stage.info.api_key not in " ".join(process.environ().values())

    seen = {one["name"]: one for one in machine.json("status")["workers"]}
    assert {name: one["queues"][0]["queue_id"] for name, one in seen.items()} == queues
    assert {name: one["daemon"]["restarts"] for name, one in seen.items()} == {"build-7": 0, "build-8": 0}
    assert "2 workers run. Choose with --worker" in machine("pause", code=3)
    assert machine.json("pause", "--worker", queues["build-8"])["state"] == "paused"
    assert machine.json("executions", "--worker", "build-7") == {"executions": []}
    assert "paused" in machine("logs", "--worker", "build-8")
    assert "paused" not in machine.log("build-7")
    assert "runs already" in machine.start("--name", "build-7", code=3, QUEUE_ID=queues["build-7"])

    assert machine.json("stop", "--worker", str(up["build-8"]["pid"]))["exit_code"] == 0
    assert "stopped" in machine("stop", "--all")
    assert not any(map(alive, pids))
    assert "No worker of yours runs" in machine("status", code=3)
    assert "No worker of yours runs" in machine("stop", "--all", code=3)


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [(["--queue-id", "00000000-0000-4000-8000-000000000000"], 5, "There is no worker queue"), ([], 3, "no queue")],
)
def test_what_cannot_be_helped_is_said_by_the_command(
    stage: Stage, machine: Machine, flags: list[str], code: int, said: str
) -> None:
    machine.commands.environment |= {
        "KUBIYA_API_KEY": stage.info.api_key, "CONTROL_PLANE_URL": stage.info.control_plane_url,
    }  # fmt: skip
    assert said in machine.start(*flags, code=code)
    assert "No worker of yours runs" in machine("status", code=3)


@posix
def test_a_worker_that_hangs_writes_down_where_and_is_started_again(machine: Machine) -> None:
    up = machine.daemon("worker", QUEUE_ID=QUEUE, KUBIYA_WORKER_HUNG_AFTER="2", KUBIYA_WORKER_RESTART_AFTER="0.01")
    assert up["state"] == "starting"
    following = subprocess.Popen(
        [sys.executable, "-m", "worker_core", "logs", "-f"],
        env={**os.environ, **machine.commands.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    assert "starting: " in following.stdout.readline()
    os.kill(up["worker_pid"], signal.SIGSTOP)

    def restarted() -> bool:
        [one] = instances(machine.paths.runtime)
        return one.worker is not None and one.facts is not None and one.facts.restarts == 1

    wait_until(lambda: not alive(up["worker_pid"]))
    wait_until(lambda: "It is started again in" in machine.log("worker"))
    wait_until(restarted)
    assert any("starting: " in line for line in following.stdout), "the next worker's lines are followed, too"
    assert "no progress for" in machine("status")
    log = machine.log("worker")
    assert "Fatal Python error: Aborted" in log
    assert "key-0123456789" not in log
    [worker] = machine.json("status")["workers"]
    os.kill(worker["daemon"]["pid"], signal.SIGKILL)
    wait_until(lambda: not alive(worker["pid"]))
    assert "The daemon is gone: takes nothing new" in machine.log("worker")
    following.communicate(timeout=LIMIT_SECONDS)
