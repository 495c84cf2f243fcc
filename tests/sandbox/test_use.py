"""Memory, processor time and files that are no process's own or in no folder: counted all the same."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.sandbox.conftest import run
from tests.support.processes import LIMIT_SECONDS
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.sandbox.call import ProcessResult
from worker_core.sandbox.control_groups import MEMORY, ControlGroups
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.open_files import open_files
from worker_core.sandbox.tree import Process, ProcessorTime, look
from worker_core.sandbox.use import CallUse, Use

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what the kernel says of processes is Linux's")

MEGABYTE = 1024 * 1024
SMALL = Limits(memory_bytes=128 * MEGABYTE, cpu_time=timedelta(seconds=2), workspace_bytes=100 * MEGABYTE)

SHARED = """
import mmap, os, time
shared = mmap.mmap(-1, 200 << 20)
for at in range(0, len(shared), 4096): shared[at] = 1
"""
NAMELESS_MEMORY = """
import os, time
held = [os.memfd_create("x") for _ in range(4)]
for one in held: os.write(one, bytes(50 << 20))
"""
BETWEEN_SOCKETS = """
import socket, time
held, sent = [], 0
for _ in range(900):
    pair = socket.socketpair(); held.append(pair)
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    pair[0].settimeout(0)
    try:
        while True: sent += pair[0].send(bytes(65536))
    except OSError: pass
"""
BETWEEN_CONNECTIONS = """
import socket, time
listening = socket.create_server(("127.0.0.1", 0), backlog=200)
held = []
for _ in range(100):
    one = socket.create_connection(listening.getsockname()); held += [one, listening.accept()[0]]
    one.settimeout(0)
    try:
        while True: one.send(bytes(65536))
    except OSError: pass
"""
ATTEMPTS = {
    "shared memory": SHARED,
    "memory as a file": NAMELESS_MEMORY,
    "buffers between sockets": BETWEEN_SOCKETS,
}
WAIT = "\nprint('there', flush=True); time.sleep(600)"


@pytest.fixture(
    params=[
        "direct",
        pytest.param("bubblewrap", marks=needs_bubblewrap),
        pytest.param("bubblewrap without control groups", marks=needs_bubblewrap),
    ]
)
def launcher(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launcher:
    """The second and the third differ where the tests run as root, or in a group that was left to their user."""
    if request.param == "direct":
        return DirectLauncher(limits=SMALL)
    if "without" in request.param:
        monkeypatch.setattr(ControlGroups, "find", lambda *_: None)
    return bubblewrap(tmp_path / "walls", limits=SMALL)


def is_counted(launcher: Launcher) -> bool:
    """Whether the kernel counts the memory of its calls."""
    groups = ControlGroups.find(SMALL)
    counted = launcher.name == "bubblewrap" and groups is not None and MEMORY in groups.place.folders
    if groups is not None:
        groups.close()
    return counted


async def tried(launcher: Launcher, workspace: Path, *argv: str, limits: Limits | None = None) -> ProcessResult:
    workspace.mkdir(exist_ok=True)
    environment = tool_environment({}, call_mark="use", inherited={"PATH": os.environ["PATH"]})
    command = Command(argv=argv, cwd=workspace, environment=environment, limits=limits)
    result = await run(launcher.wrap(command, workspace=workspace))
    result.output.close()
    assert not result.timed_out
    return result


@contextlib.contextmanager
def running(script: str) -> Iterator[int]:
    """A process that has done what the script says, and waits."""
    with subprocess.Popen([sys.executable, "-c", script + WAIT], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        try:
            yield process.pid
        finally:
            process.kill()


def use_of(process_id: int, *, memory_bytes: int = 0, disk: Path | None = None) -> Use:
    used = CallUse(process_id, limits=replace(SMALL, memory_bytes=memory_bytes), disk=disk).now()
    assert used is not None
    return used


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_memory_that_is_no_process_s_own(launcher: Launcher, tmp_path: Path, attempt: str) -> None:
    if attempt == "buffers between sockets" and is_counted(launcher):
        return  # the kernel gives no more of them, which is no reason to end a call: see the next test
    unhurried = replace(SMALL, cpu_time=timedelta(minutes=1))  # a busy machine takes two seconds to fill the buffers
    result = await tried(launcher, tmp_path / "w", sys.executable, "-c", ATTEMPTS[attempt] + WAIT, limits=unhurried)
    assert result.exceeded == "It used more than 128 MB of memory and was stopped."


@needs_bubblewrap
async def test_a_control_group_bounds_buffers_between_sockets(tmp_path: Path) -> None:
    launcher = bubblewrap(tmp_path / "walls", limits=SMALL)
    if not is_counted(launcher):
        pytest.skip("control groups can be made by root alone here")
    script = f"{BETWEEN_SOCKETS}\nopen('sent', 'w').write(str(sent))"
    result = await tried(launcher, tmp_path / "w", sys.executable, "-c", script)
    if not result.exceeded:  # the kernel may also end the program, which needs memory itself
        assert int((tmp_path / "w" / "sent").read_text()) < 128 * MEGABYTE < 900 * 200_000


@needs_bubblewrap
async def test_memory_in_connections_of_its_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a control group of the first version it is bounded, but no reason to end a call."""
    monkeypatch.setattr(ControlGroups, "find", lambda *_: None)
    launcher = bubblewrap(tmp_path / "walls", limits=SMALL)
    result = await tried(launcher, tmp_path / "w", sys.executable, "-c", BETWEEN_CONNECTIONS + WAIT)
    assert result.exceeded == "It used more than 128 MB of memory and was stopped.", result


def test_memory_that_processes_share_counts_once() -> None:
    """As a program does that reads its data and then forks its workers."""
    script = """
import os, time
private = bytearray(b"x") * (60 << 20); shared = __import__("mmap").mmap(-1, 60 << 20); shared.write(bytes(60 << 20))
held = os.memfd_create("x"); os.ftruncate(held, 60 << 20)
mapped = __import__("mmap").mmap(held, 60 << 20); mapped.write(bytes(60 << 20))
for _ in range(4):
    if os.fork() == 0:
        for at in range(0, len(private), 4096): private[at], shared[at], mapped[at]
        os.write(1, b"."); time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script + WAIT], stdout=subprocess.PIPE, start_new_session=True
    ) as all_:
        assert all_.stdout is not None
        all_.stdout.read(len("there\n") + 4)  # all have said that they are ready
        try:
            used = use_of(all_.pid)
        finally:
            os.killpg(all_.pid, 9)
    assert used.processes == 5
    assert 180 * MEGABYTE <= used.memory_bytes <= 300 * MEGABYTE


def test_pages_of_files_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(100 * MEGABYTE))
    script = f"""
import mmap, time
file = open({str(file)!r}); mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); sum(mapped[::4096])
"""
    with running(script) as process_id:
        assert use_of(process_id).memory_bytes < 60 * MEGABYTE


def test_sockets_of_an_ordinary_program_are_free() -> None:
    with running("import socket, time; held = [socket.socketpair() for _ in range(30)]") as process_id:
        assert use_of(process_id).memory_bytes < 60 * MEGABYTE


async def test_deleted_files_that_are_open_fill_the_workspace(launcher: Launcher, tmp_path: Path) -> None:
    script = """
import os, time
held = []
for name in range(6):
    held.append(open(str(name), "w+b")); os.unlink(str(name)); held[-1].write(os.urandom(30 << 20)); held[-1].flush()
"""
    result = await tried(launcher, tmp_path / "w", sys.executable, "-c", script + WAIT)
    assert result.exceeded.startswith("The workspace holds more than 100 MB, so it was stopped.")


def test_what_is_held_counts_once(tmp_path: Path) -> None:
    script = f"""
import os, time
file = open({str(tmp_path / "file")!r}, "w+b"); os.unlink(file.name); file.write(bytes(5 << 20)); file.flush()
again = [os.dup(file.fileno()) for _ in range(20)]
"""
    with running(script) as process_id:
        held = open_files([process_id, process_id], disk=tmp_path.stat().st_dev)
        assert 5 * MEGABYTE <= held.deleted_bytes < 6 * MEGABYTE
        assert use_of(process_id, disk=tmp_path).deleted_bytes == held.deleted_bytes


@pytest.mark.parametrize("seconds", [1.0, 0.05])
async def test_processor_time_of_children_that_nobody_waits_for(
    launcher: Launcher, tmp_path: Path, seconds: float
) -> None:
    """No process runs for long, and of those that ended the kernel tells nobody."""
    script = f"""
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
until = time.monotonic() + {LIMIT_SECONDS}
while time.monotonic() < until:
    child = os.fork()
    if child == 0:
        while time.process_time() < {seconds}: pass
        os._exit(0)
    try: os.waitpid(child, 0)
    except ChildProcessError: pass
"""
    result = await tried(launcher, tmp_path / "w", sys.executable, "-c", script)
    assert result.exceeded == "It used more than 2 s of processor time and was stopped."


def test_children_that_are_waited_for_count_once() -> None:
    script = """
import os, time
for _ in range(12):
    if os.fork() == 0:
        while time.process_time() < 0.1: pass
        os._exit(0)
    os.wait()
"""
    with subprocess.Popen([sys.executable, "-c", script + WAIT], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        looked = CallUse(process.pid, limits=SMALL, disk=None)
        os.set_blocking(process.stdout.fileno(), False)
        used = looked.now()
        while process.stdout.readline() != b"there\n":
            time.sleep(0.05)
            used = looked.now()
        used = looked.now()
        times = psutil.Process(process.pid).cpu_times()
        process.kill()
    assert used is not None
    assert times.children_user + times.children_system > 1.0
    assert used.cpu_seconds == pytest.approx(sum(times[:4]), abs=0.3), "1.2 s more where each is counted twice"


def _seen(number: int, *, own: float, waited: float = 0.0) -> Process:
    return Process(
        id=number, started=0, is_zombie=False, threads=1, own_ticks=int(own * 100), waited_ticks=int(waited * 100),
        resident_bytes=0,
    )  # fmt: skip


def test_time_that_a_parent_is_given_a_look_later_is_no_loss() -> None:
    kept = ProcessorTime()
    assert kept.seconds([_seen(-1, own=1), _seen(-2, own=500)], since_last=0.2) == pytest.approx(501, abs=0.5)
    assert kept.seconds([_seen(-1, own=1)], since_last=0.2) == pytest.approx(1, abs=0.5)
    assert kept.seconds([_seen(-1, own=1, waited=500.1)], since_last=0.2) == pytest.approx(501, abs=0.5)


def test_time_that_nobody_is_given_is_not_forgotten() -> None:
    kept = ProcessorTime()
    kept.seconds([_seen(-1, own=1), _seen(-2, own=500, waited=20)], since_last=0.2)
    kept.seconds([_seen(-1, own=1)], since_last=0.2)
    for _ in range(3):
        assert kept.seconds([_seen(-1, own=1)], since_last=0.2) == pytest.approx(521, abs=1)


def test_looking_at_twice_as_many_processes_is_twice_the_work(tmp_path: Path) -> None:
    """Counted by what is asked of the system."""

    def questions(number: int) -> int:
        script = f"import subprocess, time; all = [subprocess.Popen(['sleep', '600']) for _ in range({number})]"
        command = [sys.executable, "-c", script + WAIT]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            asked = 0

            def count(frame: object, event: str, called: Any) -> None:
                nonlocal asked
                asked += event == "c_call" and called.__module__ == "posix"

            try:
                assert len(look(process.pid, most=1000)) == number + 1
                sys.setprofile(count)
                CallUse(process.pid, limits=SMALL, disk=tmp_path).now()
            finally:
                sys.setprofile(None)
                os.killpg(process.pid, 9)
        assert asked > number
        return asked

    assert questions(40) <= 2.5 * questions(20)
