"""A hold on a process, and that none is left of a call that is over."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.support.processes import eventually
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.network.reachable import Network
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.process_handle import ProcessHandle
from worker_core.sandbox.spares import Spares

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pidfds are Linux's")


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def pidfds() -> list[str]:
    found = []
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = Path(entry.path).readlink().name
        except FileNotFoundError:  # the one that looks
            continue
        if "pidfd" in target:
            found.append(entry.name)
    return found


def test_it_ends_what_it_holds_and_then_nobody() -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as process:
        handle = ProcessHandle.of(process.pid)
        assert handle is not None
        assert not handle.has_gone
        assert not handle.wait(0)
        handle.kill()
        assert handle.wait(60)
        assert handle.has_gone
        handle.kill()
    handle.close()
    handle.close()
    assert handle.has_gone
    assert handle.wait(0)
    with subprocess.Popen(["/bin/sleep", "1000"]) as other:
        handle.kill()
        assert other.poll() is None
        other.kill()


def test_of_a_process_that_has_gone_there_is_none() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert ProcessHandle.of(process.pid) is None


def test_from_many_threads_nobody_else_is_ended() -> None:
    """Numbers of descriptors are given again at once: one that was let go must not reach what has its number now."""
    for _ in range(50):
        with subprocess.Popen(["/bin/sleep", "1000"]) as held, subprocess.Popen(["/bin/sleep", "1000"]) as other:
            handle = ProcessHandle.of(held.pid)
            assert handle is not None
            threads = [threading.Thread(target=handle.kill) for _ in range(4)]
            for thread in threads:
                thread.start()
            handle.close()
            beside = os.pidfd_open(other.pid)
            for thread in threads:
                thread.join()
            assert other.poll() is None
            os.close(beside)
            held.kill()
            other.kill()


@needs_bubblewrap
@pytest.mark.usefixtures("_no_collector")
async def test_nothing_is_held_of_calls_that_are_over(tmp_path: Path) -> None:
    """Found by a soak: each call left a descriptor open until the collector had looked at everything."""
    before = pidfds()
    spares = Spares(bubblewrap(tmp_path / "walls"))
    workspace = tmp_path / "w"
    workspace.mkdir()
    for _ in range(4):
        command = Command(
            argv=["/bin/true"], cwd=workspace, is_call=True, environment=tool_environment({}, call_mark="held")
        )
        result = await run(spares.wrap(command, workspace=workspace, network=Network.OFF))
        assert result.exit_code == 0
        result.output.close()
    spares.close()
    await eventually(lambda: pidfds() == before)
