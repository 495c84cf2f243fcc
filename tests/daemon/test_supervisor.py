"""The supervisor as a process of its own, with stand-ins for its worker that start at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

import worker_core
from tests.support.processes import LIMIT_SECONDS, alive, wait_until
from worker_core.daemon import endings
from worker_core.daemon.brief import Brief
from worker_core.daemon.instances import DaemonFacts, RunningDaemon, ended_daemons, instances
from worker_core.machine.identity import birth_mark

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in has a Unix socket")

STAND_IN = Path(__file__).with_name("worker_stand_in.py")
BOOT = "import sys; sys.path.insert(0, {root!r}); from worker_core.daemon.supervisor import main; main()"
KEY = "key-canary-778899"


@dataclass(slots=True)
class Running:
    """A supervisor."""

    home: Path
    process: subprocess.Popen[bytes]

    def says(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said

    @property
    def daemon(self) -> RunningDaemon:
        [one] = instances(self.home / "run")
        assert one.daemon is not None
        return one.daemon

    @property
    def facts(self) -> DaemonFacts:
        return self.daemon.facts()

    @property
    def starts(self) -> list[dict[str, Any]]:
        file = self.home / "starts"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def log(self) -> str:
        file = self.home / "log"
        return file.read_text() if file.exists() else ""

    def ended(self) -> int:
        return self.process.wait(LIMIT_SECONDS)

    def nothing_is_left(self) -> bool:
        """What was killed is gone a moment later: nobody here waits for a worker's child."""
        return not any(alive(one[of]) for one in self.starts for of in ("pid", "child"))


@contextlib.contextmanager
def supervisor(home: Path, *todo: str, hung_after: float = 30.0, restart_after: float = 0.002) -> Iterator[Running]:
    (home / "run").mkdir(parents=True, exist_ok=True)
    (home / "run").chmod(0o700)
    (home / "todo").write_text("\n".join(todo))
    root = str(Path(worker_core.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", BOOT.format(root=root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    running = Running(home, process)
    brief = Brief(
        name="rack-7",
        pid=process.pid,
        born=psutil.Process(process.pid).create_time(),
        mark=birth_mark(process.pid),
        worker=(sys.executable, "-I", "-S", str(STAND_IN), str(home / "run")),
        recorder=("sh", "-c", f"cat >>'{home}/log'; echo >>'{home}/log'"),
        environment={"PATH": os.environ["PATH"]},
        keys={"KUBIYA_API_KEY": KEY},
        folder=str(home),
        runtime=str(home / "run"),
        socket_path=str(home / "run" / "d.sock"),
        log_file=str(home / "log"),
        restart_after=restart_after,
        restart_after_limit=2 * restart_after,
        hung_after=hung_after,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(brief._asdict()).encode() + b"\n")
    process.stdin.flush()
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        for one in running.starts:
            for pid in (one["pid"], one["child"]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_it_weighs_next_to_nothing() -> None:
    """Megabytes that each daemon would hold for months; and nothing that the standard library has not."""
    root = str(Path(worker_core.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {root!r}); import worker_core.daemon.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"asyncio", "dataclasses", "hashlib", "hmac", "inspect", "logging", "ssl", "traceback"}
    assert len(loaded) < 130


def test_twenty_crashes_and_it_still_works(tmp_path: Path) -> None:
    with supervisor(tmp_path, *["crash"] * 20) as running:
        assert running.says()["event"] == "up"
        wait_until(lambda: running.facts.restarts == 20)
        wait_until(lambda: len(running.starts) == 21)
        facts = running.facts
        assert (facts.worker_pid, facts.next_start_at) == (running.starts[-1]["pid"], 0)
        assert "ended with signal SIGKILL" in facts.last_crash
        assert running.log.count("It is started again in") == 20
        with contextlib.closing(running.daemon.stop("drain")) as leaving:
            assert leaving.wait().code == 0
        assert running.ended() == 0
        wait_until(running.nothing_is_left)
        assert instances(tmp_path / "run") == []
        assert ended_daemons(tmp_path / "run") == []


def test_a_worker_that_makes_room_for_a_new_version_has_not_crashed(tmp_path: Path) -> None:
    with supervisor(tmp_path, f"exit {endings.REPLACED}") as running:
        assert running.says()["event"] == "up"
        wait_until(lambda: len(running.starts) == 2)
        said = f"Another version is installed: the worker (pid {running.starts[0]['pid']}) made room for it after"
        wait_until(lambda: running.facts.restarts == 1)
        assert running.facts.last_crash.startswith(said)
        [told] = [one for one in map(json.loads, filter(None, running.log.splitlines())) if said in one["message"]]
        assert told["level"] == "INFO"
        assert "exit code" not in running.log


def test_a_loop_that_stands_still_is_no_life(tmp_path: Path) -> None:
    with supervisor(tmp_path, "stuck", hung_after=0.4) as running:
        assert running.says()["event"] == "up"
        wait_until(lambda: len(running.starts) == 2)
        wait_until(lambda: running.facts.worker_pid == running.starts[1]["pid"])
        first = running.starts[0]
        assert not alive(first["pid"])
        assert not alive(first["child"])
        assert "no progress" in running.facts.last_crash
        assert "SIGABRT" in running.facts.last_crash


def test_a_worker_that_was_stopped_is_ended(tmp_path: Path) -> None:
    with supervisor(tmp_path, hung_after=0.4) as running:
        first = running.says()["worker_pid"]
        os.kill(first, signal.SIGSTOP)
        wait_until(lambda: len(running.starts) == 2)
        assert not alive(first)
        assert "no progress" in running.facts.last_crash


@pytest.mark.parametrize("code", [3, 4, 5, 9])
def test_what_another_worker_would_end_with_as_well_is_said(tmp_path: Path, code: int) -> None:
    with supervisor(tmp_path, "crash", f"exit {code}") as running:
        assert running.says()["event"] == "up"
        said = running.says()
        assert (said["event"], said["code"], said["why"]) == ("ended", code, "The key was refused.")
        assert running.ended() == code
        wait_until(running.nothing_is_left)
        assert len(running.starts) == 2
        [ended] = ended_daemons(tmp_path / "run")
        assert (ended.name, ended.code, ended.why) == ("rack-7", code, "The key was refused.")


def test_a_clean_exit_is_no_crash(tmp_path: Path) -> None:
    with supervisor(tmp_path, "exit 0") as running:
        assert running.ended() == 0
        assert len(running.starts) == 1
        assert ended_daemons(tmp_path / "run") == []


def test_a_worker_that_never_came_up_is_the_command_s_failure(tmp_path: Path) -> None:
    with supervisor(tmp_path, "early 1") as running:
        said = running.says()
        assert (said["event"], said["code"], said["was_up"]) == ("ended", 1, False)
        assert "It cannot begin." in said["why"]
        assert running.ended() == 1
        assert len(running.starts) == 1


def test_the_modes_of_stop_reach_the_worker(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        assert running.says()["event"] == "up"
        with contextlib.closing(running.daemon.stop("cancel")) as leaving:
            assert leaving.wait().code == 8
        wait_until(running.nothing_is_left)


def test_a_signal_stops_it_too(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        assert running.says()["event"] == "up"
        running.process.terminate()
        assert running.ended() == 0
        wait_until(running.nothing_is_left)


def test_it_stops_between_two_workers(tmp_path: Path) -> None:
    with supervisor(tmp_path, "crash", restart_after=1000.0) as running:
        assert running.says()["event"] == "up"
        wait_until(lambda: running.facts.next_start_at > 0)
        [one] = instances(tmp_path / "run")
        assert one.worker is None
        with contextlib.closing(running.daemon.stop("drain")) as leaving:
            assert leaving.wait().code == 0
        assert running.ended() == 0


def test_its_worker_leaves_when_it_is_killed(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        assert running.says()["event"] == "up"
        running.process.kill()
        wait_until(lambda: (tmp_path / "left").exists())
        running.process.wait()
        assert instances(tmp_path / "run") == [], "its file is old, and is taken away"


def test_there_is_one_of_a_name(tmp_path: Path) -> None:
    with supervisor(tmp_path) as first:
        assert first.says()["event"] == "up"
        with supervisor(tmp_path) as second:
            assert second.says() == {"event": "taken"}
            assert second.ended() == 3
        assert len(first.starts) == 1


def test_keys_stand_in_no_argument_file_or_environment(tmp_path: Path) -> None:
    with supervisor(tmp_path, "crash") as running:
        assert running.says()["event"] == "up"
        wait_until(lambda: len(running.starts) == 2)
        assert [one["keys"] for one in running.starts] == [{"KUBIYA_API_KEY": KEY}] * 2
        wait_until(lambda: running.facts.worker_pid == running.starts[1]["pid"])
        for pid in (running.process.pid, running.facts.worker_pid):
            process = psutil.Process(pid)
            assert KEY not in " ".join(process.cmdline())
            with contextlib.suppress(psutil.AccessDenied):  # the supervisor's is closed to all but root
                assert KEY not in " ".join(process.environ().values())
        assert not any(KEY.encode() in file.read_bytes() for file in (tmp_path / "run").iterdir() if file.is_file())


def test_a_number_that_was_given_again_is_never_signalled(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        (tmp_path / "run").mkdir()
        place = {"pid": stranger.pid, "born": 1.0, "host": os.uname().nodename, "name": "rack-7", "path": "/nowhere"}
        (tmp_path / "run" / "daemon-rack-7.json").write_text(json.dumps(place))
        assert instances(tmp_path / "run") == []
        assert stranger.poll() is None
        assert not (tmp_path / "run" / "daemon-rack-7.json").exists()
    finally:
        stranger.kill()
        stranger.wait()
