"""What a hostile tool may try, for real; and the same without a sandbox, to show that it would have succeeded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.sandbox import landlock_rows
from tests.sandbox.arena import CANARY, Arena, arena, victim
from tests.sandbox.escapes import ESCAPES, Escape, Walls, document, replace_table
from tests.support.gpus import GPUS
from tests.support.walls import bubblewrap, needs_bubblewrap, needs_landlock, without_namespaces
from worker_core.machine.gpus import GpuGrant
from worker_core.network.reachable import Network, NetworkPolicy
from worker_core.sandbox import landlock
from worker_core.sandbox.call import run_process
from worker_core.sandbox.egress.egress import Egress
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.gatekeeper import Gatekeeper
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.spares import CommandOfSpares, Spares

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the attempts are for Linux")
EACH = pytest.mark.parametrize("escape", ESCAPES, ids=lambda one: f"{one.group}: {one.attempt}")


IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0

ROWS = list(landlock_rows.rows(all_of_the_oldest=hasattr(os, "getuid") and not IS_ROOT))


@pytest.fixture(scope="module")
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, short: Path) -> Iterator[Arena]:
    with arena(tmp_path_factory.mktemp("machine"), short) as made:
        yield made


@pytest.fixture(scope="module")
def proxy() -> Iterator[Egress]:
    egress = Egress(gatekeeper=Gatekeeper(NetworkPolicy()))
    egress.start()
    yield egress
    egress.close()


@pytest.fixture(scope="module")
def launchers(machine: Arena, proxy: Egress, short: Path) -> Iterator[dict[tuple[str, Walls], Launcher]]:
    made: dict[tuple[str, Walls], Launcher] = {}
    for walls in get_args(Walls):
        first = made["first", walls] = bubblewrap(short / "walls", **_walls(walls, machine, proxy, short))
        made["later", walls] = Spares(first)
    yield made
    for one in made.values():
        if isinstance(one, Spares):
            one.close()


@pytest.fixture(scope="module")
def landlocks(machine: Arena, proxy: Egress, short: Path) -> Iterator[dict[tuple[str, int, Walls], Launcher]]:
    made: dict[tuple[str, int, Walls], Launcher] = {}
    for walls in get_args(Walls):
        for version in (landlock_rows.NEWEST, *landlock_rows.OLDER):
            if version <= landlock.version():
                first = without_namespaces(short / "walls", version=version, **_walls(walls, machine, proxy, short))
                made["first", version, walls] = first
                made["later", version, walls] = Spares(first)
    yield made
    for one in made.values():
        if isinstance(one, Spares):
            one.close()


def _walls(walls: Walls, machine: Arena, proxy: Egress, short: Path) -> dict[str, Any]:
    hidden = (machine.folder / "state", machine.folder / "workspaces")
    return {
        "usual": {"egress": proxy, "hidden": hidden},
        "readable": {"egress": proxy, "hidden": hidden, "readable": (machine.folder, short)},
        "host": {"hidden": hidden, "network": Network.HOST},
    }[walls]


@pytest.fixture
def workspace(machine: Arena) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="own-", dir=machine.folder / "workspaces"))
    yield folder
    machine.clean(folder)


def _argv(escape: Escape) -> list[str]:
    return [sys.executable, "-I", "-c", escape.script] if escape.python else ["/bin/bash", "-c", escape.script]


def _variables(escape: Escape, machine: Arena, workspace: Path, prey: subprocess.Popen[bytes]) -> dict[str, str]:
    declared = {
        name: value.format(workspace=workspace, **machine.environment) for name, value in escape.declared.items()
    }
    return {**machine.environment, "VICTIM": str(prey.pid), **declared}


def _succeeded(
    escape: Escape, said: str, machine: Arena, workspace: Path, prey: subprocess.Popen[bytes], *, expected: bool
) -> bool:
    if escape.harms:
        return machine.harmed(escape.harms, workspace=workspace, victim=prey, expected=expected)
    # A line of its own: the tracebacks of Python 3.13 show the source of what was refused.
    return CANARY in said or "ESCAPED" in said.split("\n")


async def _escapes(
    escape: Escape,
    machine: Arena,
    launcher: Launcher,
    workspace: Path,
    short: Path,
    *,
    expected: bool,
    gpus: GpuGrant | None = None,
) -> tuple[bool, str]:
    """Whether it did, and what it said."""
    with victim(machine) as prey:
        said = ""
        for argv in (_argv(escape), ["/bin/bash", "-c", escape.second_call])[: 2 if escape.second_call else 1]:
            command = Command(
                argv=argv,
                cwd=workspace,
                is_call=True,
                folders=machine.granted,
                gpus=gpus,
                environment=tool_environment(
                    {**_variables(escape, machine, workspace, prey), "RUNTIME": str(short / "walls")},
                    call_mark="escape",
                    inherited={"PATH": os.environ["PATH"], "HOME": str(machine.home), "KUBIYA_API_KEY": CANARY},
                ),
            )
            result = await run_process(
                await wrap(launcher, command, workspace), timeout=timedelta(seconds=30), output_limit_bytes=20_000
            )
            said += b"".join(result.output.ends()).decode("utf-8", "replace")
            result.output.close()
            assert not result.timed_out
            for trouble in ("could not be set up", "was not started", "gate_child", "bwrap:"):
                assert trouble not in said, said
        return _succeeded(escape, said, machine, workspace, prey, expected=expected), said


async def wrap(launcher: Launcher, command: Command, workspace: Path) -> Command:
    """As the first call of a workspace; of `Spares` as a later one, in a sandbox that waited for it."""
    if not isinstance(launcher, Spares):
        return launcher.wrap(command, workspace=workspace)
    launcher.prepare(command, workspace=workspace)
    wrapped = launcher.wrap(command, workspace=workspace)
    assert isinstance(wrapped, CommandOfSpares)
    assert wrapped.taken is not None
    return wrapped


@needs_bubblewrap
@EACH
@pytest.mark.parametrize("call", ["first", "later", "with a GPU"])
async def test_no_escape(
    escape: Escape,
    call: str,
    machine: Arena,
    launchers: dict[tuple[str, Walls], Launcher],
    workspace: Path,
    short: Path,
) -> None:
    """With a GPU its /proc can be written, and there are devices."""
    if escape.walls == "host" and landlock.version() < landlock.SCOPES_SINCE:
        pytest.skip("the kernel keeps nobody from abstract sockets (Landlock, Linux 6.12)")
    has_gpu = call == "with a GPU"
    launcher = launchers["later" if has_gpu else call, escape.walls]
    gpus = GPUS if has_gpu else None
    escaped, said = await _escapes(escape, machine, launcher, workspace, short, expected=False, gpus=gpus)
    assert not escaped, said


def _is_bounded() -> bool:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return os.getuid() != 0 and int(status["CapBnd"], 16) != 0


@needs_landlock
@pytest.mark.parametrize("call", ["first", "later"])
@pytest.mark.parametrize(
    ("escape", "version"), ROWS, ids=lambda one: one.attempt if isinstance(one, Escape) else str(one)
)
async def test_without_namespaces(
    escape: Escape,
    version: int,
    call: str,
    machine: Arena,
    landlocks: dict[tuple[str, int, Walls], Launcher],
    workspace: Path,
    short: Path,
) -> None:
    """What it holds, and what it does not: both are said in the table."""
    if version > landlock.version():
        pytest.skip(f"the kernel has version {landlock.version()} of Landlock")
    launcher = landlocks[call, version, escape.walls]
    expected = landlock_rows.succeeds(escape, version, is_bounded=_is_bounded())
    escaped, said = await _escapes(escape, machine, launcher, workspace, short, expected=expected)
    assert escaped is expected, said


@needs_landlock
@pytest.mark.skipif(IS_ROOT, reason="Landlock gives root no GPU (see test_escapes_as_user.py)")
@EACH
async def test_without_namespaces_with_a_gpu(
    escape: Escape, machine: Arena, landlocks: dict[tuple[str, int, Walls], Launcher], workspace: Path, short: Path
) -> None:
    version = landlock_rows.NEWEST
    if version > landlock.version():
        pytest.skip(f"the kernel has version {landlock.version()} of Landlock")
    launcher = landlocks["later", version, escape.walls]
    expected = landlock_rows.succeeds(escape, version, is_bounded=_is_bounded())
    escaped, said = await _escapes(escape, machine, launcher, workspace, short, expected=expected, gpus=GPUS)
    assert escaped is expected, said


@EACH
def test_it_would_succeed_without_a_sandbox(escape: Escape, machine: Arena, workspace: Path) -> None:
    if escape.control == "never":
        pytest.skip(f"no control: {escape.why_no_control}")
    if escape.control == "root" and os.getuid() != 0:
        pytest.skip("no control: it needs root")
    if escape.control == "user" and os.getuid() == 0:
        pytest.skip("no control: it needs an ordinary user (see test_escapes_as_user.py)")
    if escape.needs and shutil.which(escape.needs) is None:
        pytest.skip(f"no control: there is no {escape.needs} here")
    with victim(machine) as prey:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(workspace), "KUBIYA_API_KEY": CANARY,
            **_variables(escape, machine, workspace, prey),
        }  # fmt: skip
        said = ""
        for argv in (_argv(escape), ["/bin/bash", "-c", escape.second_call])[: 2 if escape.second_call else 1]:
            result = subprocess.run(
                argv, cwd=workspace, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=30, check=False, start_new_session=True,
            )  # fmt: skip
            said += result.stdout.decode("utf-8", "replace")
        assert _succeeded(escape, said, machine, workspace, prey, expected=True), said


def test_there_are_enough_and_no_two_alike() -> None:
    assert len(ESCAPES) >= 40
    assert len({one.attempt for one in ESCAPES}) == len(ESCAPES)
    assert len({(one.script, one.second_call, one.walls, *one.declared) for one in ESCAPES}) == len(ESCAPES)
    assert all(one.why_no_control for one in ESCAPES if one.control == "never")
    assert sum(one.control != "never" for one in ESCAPES) >= 40


def test_the_document_shows_them() -> None:
    text = document().read_text(encoding="utf-8")
    assert replace_table(text) == text, "run: python -m tests.sandbox.escapes"
