from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.processes import alive, pid_in, wait_until, written_pid
from tests.support.worker_like import start_worker_like
from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.processes.warden import Warden

pytestmark = pytest.mark.skipif(os.name == "nt", reason="on Windows the job object does it")


@pytest.fixture
def sleeper() -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "1000"], start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


Sleeper = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def warden() -> Iterator[Warden]:
    warden = Warden()
    yield warden
    warden.close()


def shell_of(warden: Warden) -> psutil.Process:
    assert warden._process is not None
    return psutil.Process(warden._process.pid)


def test_it_ends_what_lives_and_only_that(warden: Warden, sleeper: Sleeper) -> None:
    kept, ended, dropped = sleeper(), sleeper(), sleeper()
    for process in (kept, ended, dropped):
        warden.watch(process.pid, "")
    warden.release(kept.pid, "")
    shell = shell_of(warden)
    warden.close()
    assert ended.wait(60) == dropped.wait(60) == -signal.SIGKILL
    assert not shell.is_running()
    assert kept.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process shows another one's environment")
def test_what_is_started_while_the_worker_dies_is_found_by_its_mark(warden: Warden) -> None:
    warden.watch(None, "execution/one/x")
    warden.watch(None, "execution/another/x")
    warden.release(None, "execution/another/x")
    started = []
    try:
        for call in ("one", "another"):
            environment = {**os.environ, CALL_MARK: f"execution/{call}/x"}
            started.append(subprocess.Popen(["sleep", "1000"], start_new_session=True, env=environment))
        warden.close()
        assert started[0].wait(60) == -signal.SIGKILL
        assert started[1].poll() is None
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_it_ignores_the_signals_that_end_the_worker(warden: Warden, sleeper: Sleeper) -> None:
    process = sleeper()
    warden.watch(process.pid, "")
    shell = shell_of(warden)
    wait_until(lambda: "kubiya-worker-warden" in shell.cmdline())
    wait_until(lambda: shell.status() == psutil.STATUS_SLEEPING)  # it reads from the pipe, its traps are set
    for number in (signal.SIGINT, signal.SIGHUP):
        shell.send_signal(number)
    assert shell.is_running()
    warden.close()
    assert process.wait(60) == -signal.SIGKILL


def test_one_that_was_killed_is_replaced_and_knows_everything(warden: Warden, sleeper: Sleeper) -> None:
    first, second = sleeper(), sleeper()
    warden.watch(first.pid, "")
    old = shell_of(warden)
    old.kill()
    wait_until(lambda: not alive(old.pid))
    warden.watch(second.pid, "")
    assert shell_of(warden).pid != old.pid
    warden.close()
    assert first.wait(60) == second.wait(60) == -signal.SIGKILL


def test_many_calls(warden: Warden, sleeper: Sleeper) -> None:
    process = sleeper()
    warden.watch(process.pid, "")
    for number in range(2000):
        warden.watch(4_000_000 + number, f"e/{number}/x")
        warden.release(4_000_000 + number, f"e/{number}/x")
    warden.close()
    assert process.wait(60) == -signal.SIGKILL


COMMANDS = {
    "group": "sleep 1000 & echo $! >pid; wait",
    "grandchild that ignores SIGTERM": "(trap '' TERM; bash -c 'echo $$ >pid; sleep 1000; true'); true",
    "new session": "setsid bash -c 'echo $$ >pid; exec sleep 1000' & wait",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_kill_9_of_the_worker_ends_its_tools(tmp_path: Path, command: str) -> None:
    if "setsid" in command and sys.platform != "linux":
        pytest.skip("only Linux shows the environment of a process to a shell script")
    with start_worker_like(tmp_path, command) as worker:
        file = tmp_path / "execution" / "pid"
        wait_until(lambda: written_pid(file))
        family = psutil.Process(worker.pid).children(recursive=True)
        warden = [process for process in family if "kubiya-worker-warden" in process.cmdline()]
        assert len(warden) == 1
        worker.kill()
        wait_until(lambda: not alive(pid_in(file)))
        wait_until(lambda: not any(alive(process.pid) for process in family))


def test_a_worker_that_leaves_takes_its_warden_along(tmp_path: Path) -> None:
    with start_worker_like(tmp_path, "ps -o pid= -o args= -e >family") as worker:
        assert worker.wait(60) == 0
    lines = (tmp_path / "execution" / "family").read_text().splitlines()
    wardens = [int(line.split()[0]) for line in lines if "kubiya-worker-warden" in line]
    wait_until(lambda: not any(_child_of_nobody(pid) for pid in wardens))


def _child_of_nobody(pid: int) -> bool:
    """Wardens of other workers on this machine have a living parent."""
    try:
        process = psutil.Process(pid)
        return "kubiya-worker-warden" in process.cmdline() and process.ppid() == 1
    except psutil.NoSuchProcess:
        return False
