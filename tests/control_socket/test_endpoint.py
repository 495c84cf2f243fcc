"""The files by which workers are found: those of dead ones, of other machines, and what is none."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.support.engine import LIMIT_SECONDS
from worker_core.control_socket import endpoint as endpoints
from worker_core.control_socket.client import running_workers
from worker_core.control_socket.endpoint import Endpoint, found

on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems keep the time of day that it was then, and have no birth marks"
)


def dead_endpoint(runtime: Path, **changes: Any) -> tuple[Path, Path]:
    """What a killed worker leaves: its file and its socket."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(LIMIT_SECONDS)
    runtime.mkdir(exist_ok=True)
    left = runtime / f"worker-{ended.pid}-abc.sock"
    left.touch()
    fields = {"pid": ended.pid, "born": 1.0, "host": socket.gethostname(), "path": str(left), **changes}
    file = runtime / f"worker-{ended.pid}-abc.json"
    file.write_bytes(msgspec.json.encode(Endpoint(**fields)))
    return file, left


def test_what_dead_workers_left_is_removed(tmp_path: Path) -> None:
    file, left = dead_endpoint(tmp_path)
    assert running_workers(tmp_path) == []
    assert not file.exists()
    assert not left.exists()


def test_a_pid_that_was_given_again_is_noticed(tmp_path: Path) -> None:
    file, _ = dead_endpoint(tmp_path, pid=os.getpid())
    assert running_workers(tmp_path) == []
    assert not file.exists()


@on_linux
def test_a_clock_that_was_set_makes_nobody_dead(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day when a process began moves with the machine's clock, a day or a century."""
    listener, _, file = endpoints.listen(short / "run", transport=endpoints.default_transport())
    began = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: began(self) - 86_400.0)
    with contextlib.closing(listener):
        [one] = found(short / "run")
        assert one.pid == os.getpid()
        assert file.exists()
    endpoints.forget(one, file)


@on_linux
def test_a_pid_that_was_given_again_at_the_same_time_of_day_is_noticed(tmp_path: Path) -> None:
    born = psutil.Process().create_time()
    file, _ = dead_endpoint(tmp_path, pid=os.getpid(), born=born, mark="another-boot/1")
    assert running_workers(tmp_path) == []
    assert not file.exists()


def test_workers_of_other_machines_are_left_alone(tmp_path: Path) -> None:
    file, left = dead_endpoint(tmp_path, host="another")
    assert running_workers(tmp_path) == []
    assert file.exists()
    assert left.exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b'{"pid": "x"}', b"\xff"])
def test_files_that_say_nothing_are_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "worker-1-a.json").write_bytes(content)
    assert running_workers(tmp_path) == []
