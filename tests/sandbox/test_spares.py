"""A sandbox that waits for its call: it is what that call's own would be, is used once, and is nobody's for long."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.arena import survivors
from tests.support.processes import alive, eventually, pid_in, wait_until
from tests.support.walls import bubblewrap, missing_bubblewrap, missing_landlock, without_namespaces
from worker_core.network.reachable import Network
from worker_core.sandbox import call as call_module
from worker_core.sandbox import spares as module
from worker_core.sandbox.call import ProcessResult, run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.order import GateOrder
from worker_core.sandbox.processes.process import ProcessTree
from worker_core.sandbox.spares import MOST, CommandOfSpares, Spares

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="both mechanisms are Linux's")

MISSING = {"bubblewrap": missing_bubblewrap, "landlock": missing_landlock}
MAKE = {"bubblewrap": bubblewrap, "landlock": without_namespaces}
WHO = {"bubblewrap": "readlink /proc/self/ns/pid", "landlock": "dirname $TMPDIR"}
"""Of a call: which sandbox it is in."""


class Machine:
    def __init__(self, folder: Path, mechanism: str, **walls: Any) -> None:
        self.folder = folder
        self.mechanism = mechanism
        self.who = WHO[mechanism]
        self.spares = Spares(MAKE[mechanism](folder / "walls", **walls))
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

    def waits_in(self) -> str:
        """What a call would say to `who` that took the sandbox that waits."""
        [waiting] = self.spares._waiting.values()
        if waiting.spare.scratch is not None:
            return str(waiting.spare.scratch.folder)
        pid = waiting.spare.tree.process.pid
        [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return str(Path(f"/proc/{child}/ns/pid").readlink())


@pytest.fixture(params=MAKE)
def mechanism(request: pytest.FixtureRequest) -> str:
    if missing := MISSING[request.param]():
        pytest.skip(missing)
    return str(request.param)


@pytest.fixture
async def machine(tmp_path: Path, mechanism: str) -> AsyncIterator[Machine]:
    made = Machine(tmp_path, mechanism)
    yield made
    waiting = made.waiting
    made.spares.close()
    assert not any(map(alive, waiting))
    await eventually(lambda: not list((tmp_path / "walls").glob("calls/*")))


@pytest.mark.usefixtures("language")
async def test_a_later_call_is_in_the_sandbox_that_waited(machine: Machine) -> None:
    first = await machine.sh(machine.who)
    await machine.ready()
    waiting = machine.waits_in()
    assert waiting != first
    assert await machine.sh(machine.who) == waiting
    await machine.ready()
    assert machine.waits_in() not in {first, waiting}


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
async def test_its_variables_are_those_of_a_first_call(machine: Machine) -> None:
    first, own = (await machine.sh("env | sort; dirname $TMPDIR", PATH="/usr/bin:/bin:/no/such")).rsplit("\n", 1)
    await machine.ready()
    later, other = (await machine.sh("env | sort; dirname $TMPDIR", PATH="/usr/bin:/bin:/no/such")).rsplit("\n", 1)
    assert (own == other) is (machine.mechanism == "bubblewrap")
    marks = re.findall("^KUBIYA_TOOL_CALL=(.+)$", f"{first}\n{later}", re.MULTILINE)
    assert len(set(marks)) == 2
    assert later == first.replace(f"={own}", f"={other}").replace(*marks)


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
    await machine.sh("touch $TMPDIR/left ~/left; (sleep 1000 &) ; echo kept >kept", SECRET="of-the-first")
    await machine.ready()
    seen = await machine.sh("ls $TMPDIR ~; cat kept; env; cat /proc/[0-9]*/environ 2>&1 | tr '\\0' '\\n'; ls /proc")
    assert "left" not in seen
    assert "of-the-first" not in seen
    assert "kept" in seen
    if machine.mechanism == "bubblewrap":  # who shares its namespace sees whose arguments, and no more
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


async def test_limits_and_ends_hold(tmp_path: Path, mechanism: str) -> None:
    machine = Machine(tmp_path, mechanism, limits=Limits(processes=8, open_files=64))
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
    machine = Machine(Path(sys.argv[1]), sys.argv[2])
    await machine.sh("true")
    pid = await machine.ready()
    Path(sys.argv[1], "pid").write_text(f"{pid}\\n")
    if sys.argv[3] == "used":
        await machine.sh("(env -i setsid sleep 986 >alive &); exec sleep 976 >>alive")
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.mark.parametrize("use", ["unused", "used"])
def test_it_ends_with_the_worker(tmp_path: Path, mechanism: str, use: str) -> None:
    worker = subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path, mechanism, use])
    place = tmp_path / "w"
    try:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
        pid = pid_in(tmp_path / "pid")
        family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        assert len(family) == 2 or use == "used"
        wait_until(lambda: use == "unused" or len(survivors(place)) == 2)
    finally:
        worker.kill()
        worker.wait()
    wait_until(lambda: not any(map(alive, family)) and not survivors(place))


class Counted:
    """How many sandboxes were made, and one that is being made until it may stand.

    Args:
        machine: whose.
        patch: undone at the end.
    """

    def __init__(self, machine: Machine, patch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self.may_stand = threading.Event()
        self.fails = False
        of_kind = machine.spares._inner.of_kind

        def counted(kind: Any, command: Command, *, workspace: Path, order: GateOrder | None = None) -> Command:
            self.made += 1
            if order is not None:
                assert self.may_stand.wait(30)
                if self.fails:
                    raise OSError(24, "too many open files")
            return of_kind(kind, command, workspace=workspace, order=order)

        patch.setattr(machine.spares._inner, "of_kind", counted)


async def prepared(machine: Machine) -> None:
    place = machine.workspace("w")
    command = Command(argv=[], cwd=place, environment=tool_environment({}, call_mark="spare"), is_call=True)
    await asyncio.to_thread(machine.spares.prepare, command, workspace=place, network=Network.OFF)


async def test_a_call_takes_one_that_is_still_being_made(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAKING_SECONDS", 30)
    counted = Counted(machine, monkeypatch)
    making = [asyncio.create_task(prepared(machine)) for _ in range(3)]
    await eventually(lambda: counted.made)
    call = asyncio.create_task(machine.sh(machine.who))
    await eventually(lambda: any(one.is_wanted for one in machine.spares._making.values()))
    other = await machine.sh(machine.who)  # another call does not wait for it, too
    assert counted.made == 2
    machine.spares.leave(machine.workspace("w"))  # what a call waits for is its own
    counted.may_stand.set()
    assert await call != other
    await asyncio.gather(*making)
    assert counted.made == 2
    assert not machine.waiting


@pytest.mark.parametrize("how", ["slow", "fails"])
async def test_a_call_makes_its_own_where_that_comes_to_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(module, "MAKING_SECONDS", 0.05 if how == "slow" else 30)
    counted = Counted(machine, monkeypatch)
    counted.fails = how == "fails"
    making = asyncio.create_task(prepared(machine))
    await eventually(lambda: counted.made)
    call = asyncio.create_task(machine.sh("echo works"))
    if how == "fails":
        await eventually(lambda: any(one.is_wanted for one in machine.spares._making.values()))
        counted.may_stand.set()
    assert await call == "works"
    counted.may_stand.set()
    await making
    assert len(machine.waiting) == (how == "slow")  # it came too late for that one, and waits for the next


async def test_none_is_made_for_a_turn_that_is_over(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither behind its last call, nor by what is under way when it ends."""
    place = machine.workspace("w")
    counted = Counted(machine, monkeypatch)
    command = Command(argv=["/bin/true"], cwd=place, environment={}, is_call=True)
    wrapped = machine.spares.wrap(command, workspace=place, network=Network.OFF)
    assert isinstance(wrapped, CommandOfSpares)
    machine.spares.leave(place)
    await asyncio.to_thread(wrapped.prepare)
    assert counted.made == 1
    making = asyncio.create_task(prepared(machine))
    await eventually(lambda: counted.made == 2)
    machine.spares.leave(place)
    counted.may_stand.set()
    await making
    assert not machine.waiting
    await prepared(machine)
    assert counted.made == 3
    await machine.ready()


async def test_a_calls_outcome_comes_before_the_next_sandbox(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(machine, monkeypatch)
    counted.may_stand.set()
    monkeypatch.setattr(call_module, "NEXT_SECONDS", 1000)
    assert await machine.sh("echo a") == "a"
    monkeypatch.setattr(call_module, "NEXT_SECONDS", 0)
    assert await machine.sh("echo b") == "b"
    await machine.ready()
    assert counted.made == 3


async def test_what_may_be_read_is_looked_at_anew(tmp_path: Path) -> None:
    """Landlock's rules are about what was there when they were made."""
    if missing := missing_landlock():
        pytest.skip(missing)
    shown = tmp_path / "shown"
    shown.write_text("old")
    machine = Machine(tmp_path, "landlock", readable=(shown,))
    try:
        assert await machine.sh(f"cat {shown}") == "old"
        await machine.ready()
        waits = machine.waits_in()
        (tmp_path / "new").write_text("new")
        (tmp_path / "new").replace(shown)
        own, said = (await machine.sh(f"{machine.who}; cat {shown}")).splitlines()
        assert said == "new"
        assert own != waits
    finally:
        machine.spares.close()


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
