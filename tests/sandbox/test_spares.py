"""A sandbox that waits for its call: it is what that call's own would be, is used once, and is nobody's for long."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import alive, eventually, pid_in, wait_until
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.network.reachable import Network
from worker_core.sandbox import spares as module
from worker_core.sandbox.call import ProcessResult, run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.order import GateOrder
from worker_core.sandbox.processes.process import ProcessTree
from worker_core.sandbox.spares import MOST, CommandOfSpares, Spares

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is Linux's"), needs_bubblewrap]

WHO = "readlink /proc/self/ns/pid"
"""Of a call: which sandbox it is in."""


class Machine:
    def __init__(self, folder: Path, **walls: Any) -> None:
        self.folder = folder
        self.spares = Spares(bubblewrap(folder / "walls", **walls))
        self.workspace("w")

    def workspace(self, name: str) -> Path:
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name

    async def run(
        self, *argv: str, workspace: str = "w", cwd: str = ".", stdin: bytes = b"", network: Network = Network.OFF,
        readable: tuple[Path, ...] = (), is_call: bool = True, limit_seconds: float = 30, **declared: str,
    ) -> tuple[str, ProcessResult]:  # fmt: skip
        place = self.workspace(workspace)
        command = Command(
            argv=argv, cwd=place / cwd, is_call=is_call, readable=readable,
            environment=tool_environment(declared, call_mark="spare"),
        )  # fmt: skip
        wrapped = await asyncio.to_thread(self.spares.wrap, command, workspace=place, network=network)
        result = await run_process(
            wrapped, timeout=timedelta(seconds=limit_seconds), output_limit_bytes=100_000, stdin=stdin
        )
        said = b"".join(result.output.ends()).decode("utf-8", "surrogateescape")
        result.output.close()
        return said, result

    async def sh(self, script: str, **options: Any) -> str:
        said, result = await self.run("/bin/sh", "-c", script, **options)
        assert result.exit_code == 0, said
        return said.strip()

    @property
    def waiting(self) -> list[int]:
        """Process ids of the sandboxes that wait."""
        return [one.spare.tree.process.pid for one in self.spares._waiting.values()]

    async def ready(self) -> int:
        """The sandbox that waits, once there is one."""
        await eventually(lambda: self.waiting)
        return self.waiting[-1]


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    made = Machine(tmp_path)
    yield made
    waiting = made.waiting
    made.spares.close()
    assert not any(map(alive, waiting))


def namespace(pid: int) -> str:
    """Of the processes behind bubblewrap's own."""
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return str(Path(f"/proc/{child}/ns/pid").readlink())


@pytest.mark.usefixtures("language")
async def test_a_later_call_is_in_the_sandbox_that_waited(machine: Machine) -> None:
    first = await machine.sh(WHO)
    waiting = namespace(await machine.ready())
    assert waiting != first
    assert await machine.sh(WHO) == waiting
    assert namespace(await machine.ready()) not in {first, waiting}


@pytest.mark.usefixtures("language")
async def test_the_order_arrives_as_it_was_given(machine: Machine) -> None:
    (machine.workspace("w") / "a b").mkdir()
    await machine.sh("true")
    await machine.ready()
    odd = "x=\n\udcff 'ü\t"
    said, result = await machine.run(
        sys.executable, "-I", "-c",
        "import os, sys; print(os.getcwd(), os.environ['PWD'], [os.fsencode(one) for one in sys.argv[1:]],"
        " os.environb[b'NAME'], len(sys.stdin.buffer.read()), sorted(map(int, os.listdir('/proc/self/fd'))))",
        "", odd, cwd="a b", stdin=bytes(range(256)) * 4000, NAME=odd,
    )  # fmt: skip
    place = machine.folder / "w" / "a b"
    assert result.exit_code == 0, said
    raw = os.fsencode(odd)
    assert said.strip() == f"{place} {place} {[b'', raw]} {raw!r} 1024000 [0, 1, 2, 3]"


@pytest.mark.usefixtures("language")
async def test_without_input_a_call_reads_from_the_same_nothing(machine: Machine) -> None:
    """Programs such as ripgrep look at what their input is."""
    first = await machine.sh("readlink /proc/self/fd/0")
    await machine.ready()
    assert await machine.sh("readlink /proc/self/fd/0") == first == "/dev/null"


@pytest.mark.usefixtures("language")
async def test_how_a_command_cannot_start_is_said_as_ever(machine: Machine) -> None:
    first = await machine.run("/no/such/program")
    await machine.ready()
    later = await machine.run("/no/such/program")
    assert [(said, result.exit_code) for said, result in (first, later)] == [(first[0], 127)] * 2


async def test_nothing_of_a_call_is_in_the_next(machine: Machine) -> None:
    await machine.sh("true")
    await machine.ready()
    await machine.sh("touch /tmp/left ~/left; (sleep 1000 &) ; echo kept >kept", SECRET="of-the-first")
    await machine.ready()
    seen = await machine.sh("ls /tmp ~; cat kept; env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'; ls /proc")
    assert "left" not in seen
    assert "of-the-first" not in seen
    assert "kept" in seen
    assert sum(one.isdigit() for one in seen.split()) <= 6


async def test_only_the_same_walls_are_taken(machine: Machine) -> None:
    shown, place = machine.workspace("shown"), machine.workspace("w")
    (place / "below").mkdir()

    def taken(cwd: str = ".", network: Network = Network.OFF, **options: Any) -> bool:
        plain = Command(argv=["/bin/true"], cwd=place, environment={}, is_call=True)
        machine.spares.prepare(plain, workspace=place, network=Network.OFF)
        other = Command(argv=["/bin/false"], cwd=place / cwd, environment={"A": "b"}, **{"is_call": True, **options})
        wrapped = machine.spares.wrap(other, workspace=place, network=network)
        return isinstance(wrapped, CommandOfSpares) and wrapped.taken is not None

    assert taken()
    assert taken(cwd="below")
    assert not taken(network=Network.HOST)
    assert not taken(readable=(shown,))
    assert not taken(home=shown)
    assert not taken(doors=frozenset({4000}))
    assert not taken(is_call=False)


async def test_a_workspace_that_was_made_anew_gets_a_sandbox_of_its_own(machine: Machine) -> None:
    await machine.sh("echo old >file")
    pid = await machine.ready()
    old = machine.folder / "w"
    old.rename(machine.folder / "away")
    assert await machine.sh("ls") == ""
    await eventually(lambda: not alive(pid))


async def test_one_that_died_is_made_good_by_another(machine: Machine) -> None:
    await machine.sh("true")
    pid = await machine.ready()
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not alive(pid))
    assert await machine.sh("echo works") == "works"


async def test_there_are_only_so_many(machine: Machine) -> None:
    for number in range(2 * MOST):
        await machine.sh("true", workspace=f"w{number}")
        place = machine.folder / f"w{number}"
        await eventually(lambda place=place: place in machine.spares._waiting)
    assert len(machine.waiting) == MOST
    assert set(machine.spares._waiting) == {machine.folder / f"w{number}" for number in range(MOST, 2 * MOST)}


async def test_none_waits_when_the_turn_is_over(machine: Machine) -> None:
    await machine.sh("true", workspace="other")
    other = await machine.ready()
    await machine.sh("true")
    await eventually(lambda: len(machine.waiting) == 2)
    pid = machine.waiting[-1]
    machine.spares.leave(machine.workspace("w"))
    await eventually(lambda: not alive(pid))
    assert machine.waiting == [other]
    machine.spares.leave(machine.workspace("w"))


async def test_none_waits_for_long(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.2)
    await machine.sh("true")
    await eventually(lambda: not machine.waiting)
    assert await machine.sh("echo works") == "works"


async def test_limits_and_ends_hold(tmp_path: Path) -> None:
    machine = Machine(tmp_path, limits=Limits(processes=8, open_files=64))
    try:
        await machine.sh("true")
        await machine.ready()
        assert await machine.sh("ulimit -n") == "64"
        await machine.ready()
        _, result = await machine.run("/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait")
        assert "more than 8 processes" in result.exceeded or result.exit_code != 0
        await machine.ready()
        _, result = await machine.run("/bin/sh", "-c", "sleep 1000 & sleep 1000", limit_seconds=0.2)
        assert result.timed_out
    finally:
        machine.spares.close()


async def test_nobody_starts_its_command_without_it(machine: Machine) -> None:
    await machine.sh("true")
    await machine.ready()
    place = machine.workspace("w")
    command = Command(argv=["/bin/true"], cwd=place, environment={}, is_call=True)
    wrapped = machine.spares.wrap(command, workspace=place, network=Network.OFF)
    assert isinstance(wrapped, CommandOfSpares)
    assert wrapped.taken is not None
    assert not wrapped.argv
    with pytest.raises(OSError, match="no command"):
        ProcessTree(wrapped, stdin=b"", output=module._Sink(), finished=lambda: None)
    wrapped.taken.spare.end()


async def test_one_that_is_taken_and_not_used_ends(machine: Machine) -> None:
    await machine.sh("true")
    pid = await machine.ready()
    place = machine.workspace("w")
    command = Command(argv=["/bin/true"], cwd=place, environment={}, is_call=True)
    wrapped = machine.spares.wrap(command, workspace=place, network=Network.OFF)
    assert isinstance(wrapped, CommandOfSpares)
    assert wrapped.taken is not None
    del wrapped
    await eventually(lambda: not alive(pid))


async def test_a_call_goes_on_when_nobody_holds_its_command(machine: Machine) -> None:
    await machine.sh("true")
    await machine.ready()
    place = machine.workspace("w")
    command = Command(argv=["/bin/sh", "-c", "read wait <fifo; echo on >kept"], cwd=place, environment={}, is_call=True)
    os.mkfifo(place / "fifo")
    wrapped = machine.spares.wrap(command, workspace=place, network=Network.OFF)
    assert isinstance(wrapped, CommandOfSpares)
    assert wrapped.taken is not None
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    tree = await asyncio.to_thread(
        wrapped.start, stdin=b"", output=module._Sink(), finished=lambda: loop.call_soon_threadsafe(ended.set)
    )
    del wrapped
    gc.collect()
    await asyncio.to_thread((place / "fifo").write_text, "go\n")
    await asyncio.wait_for(ended.wait(), 30)
    assert (tree.process.returncode, (place / "kept").read_text()) == (0, "on\n")


def test_an_order_that_was_let_go_of_is_written_nowhere(tmp_path: Path) -> None:
    """Its descriptors are somebody else's by then."""
    order = GateOrder()
    numbers = {one.descriptor for one in order.loans}
    order.end()
    others = [(tmp_path / str(number)).open("xb") for number in range(8)]
    assert numbers & {other.fileno() for other in others}
    with pytest.raises(BrokenPipeError):
        order.give(["/bin/true"], {"A": "b"}, cwd=tmp_path, stdin=b"given")
    order.end()
    for other in others:
        other.close()
    assert [file.stat().st_size for file in tmp_path.iterdir()] == [0] * 8


PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from tests.sandbox.test_spares import Machine

async def main():
    machine = Machine(Path(sys.argv[1]))
    await machine.sh("true")
    pid = await machine.ready()
    Path(sys.argv[1], "pid").write_text(f"{pid}\\n")
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def test_it_ends_with_the_worker(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path])
    try:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
        pid = pid_in(tmp_path / "pid")
        family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        assert len(family) == 2
    finally:
        worker.kill()
        worker.wait()
    wait_until(lambda: not any(map(alive, family)))


async def test_a_call_is_given_up_while_it_becomes_one(machine: Machine) -> None:
    """Cancelled at any moment: nothing of it is left."""
    for pause in (0.0, 0.001, 0.01):
        await machine.sh("true")
        pid = await machine.ready()
        call = asyncio.create_task(machine.sh("sleep 1000"))
        await asyncio.sleep(pause)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await eventually(lambda pid=pid: not alive(pid) or pid in machine.waiting)
