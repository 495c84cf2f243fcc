"""Where a supervisor is asked, by both of its ways: a Unix socket, and a port with a token."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.processes import wait_until
from worker_core.control_socket.client import WorkerSilent
from worker_core.control_socket.endpoint import Endpoint
from worker_core.daemon.door import REQUEST_LIMIT_BYTES, Door
from worker_core.daemon.instances import DaemonFacts, RunningDaemon

NOBODY = 2**22 + 1
FACTS = DaemonFacts(
    name="rack-7", pid=NOBODY, since=1.0, worker_pid=0, worker_since=0.0, restarts=3, last_crash="It hung.",
    last_crash_at=2.0, next_start_at=3.0, stopping=False, log_file="/log",
)  # fmt: skip
LIMIT_SECONDS = 60.0


@pytest.fixture(params=["port"] if sys.platform == "win32" else ["socket", "port"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Door, list[str]]]:
    told: list[str] = []
    path = str(tmp_path / "d.sock") if request.param == "socket" else ""
    made = Door(path, facts=lambda: msgspec.to_builtins(FACTS), stop=told.append)
    yield made, told
    made.close(code=0, why="")


def endpoint_of(door: Door) -> Endpoint:
    return Endpoint(pid=NOBODY, born=1.0, host="here", name="rack-7", path=door.path, port=door.port, token=door.token)


def test_facts(door: tuple[Door, list[str]]) -> None:
    assert RunningDaemon(endpoint_of(door[0])).facts() == FACTS


def test_whoever_waits_hears_how_it_ended(door: tuple[Door, list[str]]) -> None:
    leaving = RunningDaemon(endpoint_of(door[0])).stop("cancel")
    door[0].close(code=8, why="Cancelled.")
    ended = leaving.wait()
    assert (ended.code, ended.why) == (8, "Cancelled.")
    wait_until(lambda: door[1] == ["cancel"])  # it answers first, so that the end cannot come before


def test_a_port_asks_for_its_token(door: tuple[Door, list[str]]) -> None:
    if not door[0].port:
        return
    stranger = RunningDaemon(msgspec.structs.replace(endpoint_of(door[0]), token="guessed"))
    with pytest.raises(WorkerSilent):
        stranger.facts()
    with pytest.raises(WorkerSilent):
        stranger.stop("now")
    assert door[1] == []


@pytest.mark.parametrize(
    "request_",
    [b"nonsense\n", b"[]\n", b'{"verb": "stop", "mode": "fast"}\n', b"x" * (REQUEST_LIMIT_BYTES + 1), b"\xff\n"],
)
def test_what_is_no_request_changes_nothing(door: tuple[Door, list[str]], request_: bytes) -> None:
    with endpoint_of(door[0]).connect(limit_seconds=LIMIT_SECONDS) as connection:
        connection.sendall(request_)
        with contextlib.suppress(OSError):  # not all of it was read, and the connection may be gone by now
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert door[1] == []
    assert RunningDaemon(endpoint_of(door[0])).facts() == FACTS
