"""Walls of calls that are given GPUs. There is none here: nodes of the kernel's memory devices lie in their places."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.support.gpus import GPUS
from tests.support.walls import bubblewrap, needs_bubblewrap, needs_landlock, without_namespaces
from worker_core.machine.gpus import NO_GPU, GpuGrant
from worker_core.network.reachable import Network
from worker_core.sandbox import landlock, mounts
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.file_rules import FileRules
from worker_core.sandbox.launcher import Command, Launcher, Observed
from worker_core.sandbox.limits import Limits, is_root, kernel_limits
from worker_core.sandbox.mounts import Mounts
from worker_core.sandbox.spares import CommandOfSpares, Spares
from worker_core.sandbox.walls import Walls

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="device nodes are Linux's here")

LOOK = """
import os, resource
def can(what, *arguments):
    try: return (os.close(what(*arguments)) or "yes")
    except OSError: return "no"
kernels = [one.path for one in os.scandir("/proc") if not one.name.isdecimal() and not one.is_symlink()]
print("nodes", *sorted(one.path for one in os.scandir("/dev") if "nvidia" in one.name))
print("instances", *(os.listdir("/dev/nvidia-caps") if os.path.isdir("/dev/nvidia-caps") else []))
print("device", can(os.open, "/dev/nvidia0", os.O_RDWR))
print("own", can(os.open, "/proc/self/comm", os.O_WRONLY))
print("first", can(os.open, "/proc/1/mem", os.O_RDWR))
print("listed", len(kernels) > 20)
print("writable", *(path for path in kernels if not os.statvfs(path).f_flag & os.ST_RDONLY))
print("shared", os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize)
print("data", resource.getrlimit(resource.RLIMIT_DATA)[0])
print("cuda", os.environ.get("CUDA_VISIBLE_DEVICES"))
print("libraries", os.environ.get("LD_LIBRARY_PATH"))
print("dev", bool(os.statvfs("/dev").f_flag & os.ST_RDONLY))
"""
MEGABYTE = 1024**2
LIMITS = Limits(memory_bytes=1024 * MEGABYTE)
WITHOUT = {
    "nodes": "", "instances": "", "device": "no", "own": "no", "first": "no", "listed": "True", "writable": "",
    "shared": str(256 * MEGABYTE), "data": str(1024 * MEGABYTE), "libraries": "None", "dev": "True",
}  # fmt: skip
WITH = {
    **WITHOUT, "nodes": "/dev/nvidia-caps /dev/nvidia-uvm /dev/nvidia0 /dev/nvidiactl", "instances": "nvidia-cap12",
    "device": "yes", "own": "yes", "shared": str(1024 * MEGABYTE), "data": str(64 * 1024 * MEGABYTE), "cuda": "0",
    "libraries": "/usr/local/nvidia/lib64",
}  # fmt: skip


def call(workspace: Path, gpus: GpuGrant | None, script: str = LOOK, **declared: str) -> Command:
    workspace.mkdir(exist_ok=True)
    return Command(
        argv=[sys.executable, "-I", "-c", script], cwd=workspace, is_call=True, limits=LIMITS, gpus=gpus,
        environment=tool_environment(declared, call_mark="gpus", inherited={"PATH": os.environ["PATH"]}),
    )  # fmt: skip


async def seen(command: Command) -> Mapping[str, str]:
    result = await run(command, output_limit_bytes=20_000)
    said = b"".join(result.output.ends()).decode()
    result.output.close()
    assert result.exit_code == 0, said
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in said.splitlines()}


@needs_bubblewrap
@pytest.mark.parametrize("network", [Network.OFF, Network.HOST])
async def test_what_a_call_is_given(tmp_path: Path, network: Network) -> None:
    launcher = bubblewrap(tmp_path / "walls", network=network)
    own = tmp_path / "own"
    for gpus, expected in (
        (None, {**WITHOUT, "cuda": "None"}),
        (NO_GPU, {**WITHOUT, "cuda": "-1"}),
        # In the machine's own network, root could change from /proc what is everybody's.
        (GPUS, {**WITHOUT, "cuda": "-1"} if network is Network.HOST and is_root() else WITH),
    ):
        assert await seen(launcher.wrap(call(own, gpus), workspace=own)) == expected, gpus


@needs_bubblewrap
async def test_another_call_behind_the_same_launcher_sees_none(tmp_path: Path) -> None:
    """Nor does it take the sandbox that waits, though it was made in its workspace; and the other way round."""
    spares = Spares(bubblewrap(tmp_path / "walls"))
    for first, second in ((GPUS, NO_GPU), (GPUS, None), (NO_GPU, GPUS), (GPUS, GPUS), (NO_GPU, None)):
        # Behind each call another sandbox is made for its workspace, whenever its thread comes to that.
        own = Path(tempfile.mkdtemp(dir=tmp_path))
        spares.prepare(call(own, first), workspace=own)
        wrapped = spares.wrap(call(own, second), workspace=own)
        assert isinstance(wrapped, CommandOfSpares)
        assert (wrapped.taken is not None) is (bool((first or NO_GPU).nodes) is bool((second or NO_GPU).nodes))
        found = await seen(wrapped)
        assert found["device"] == ("yes" if second is GPUS else "no")
        assert found["cuda"] == ("None" if second is None else second.variables["CUDA_VISIBLE_DEVICES"])
    spares.close()


@needs_bubblewrap
async def test_a_call_can_narrow_what_it_is_given(tmp_path: Path) -> None:
    launcher, own = bubblewrap(tmp_path / "walls"), tmp_path / "own"
    assert (await seen(launcher.wrap(call(own, GPUS, CUDA_VISIBLE_DEVICES=""), workspace=own)))["cuda"] == ""
    assert (await seen(launcher.wrap(call(own, NO_GPU, CUDA_VISIBLE_DEVICES="0"), workspace=own)))["cuda"] == "-1"


def test_without_a_gpu_walls_are_as_they_were(tmp_path: Path) -> None:
    options = Mounts(Walls(runtime=tmp_path)).options(workspace=tmp_path)
    assert Mounts(Walls(runtime=tmp_path)).options(workspace=tmp_path, gpus=NO_GPU) == options
    at = options.index("--dev")
    assert options[at : at + 6] == ["--dev", "/dev", "--size", str(256 * MEGABYTE), "--tmpfs", "/dev/shm"]
    assert options[-6:] == ["--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/"]
    assert not [one for one in options if one == "--dev-bind" or one.startswith("/proc/")]


def test_what_is_in_proc_is_covered_entry_by_entry(tmp_path: Path) -> None:
    options = Mounts(Walls(runtime=tmp_path)).options(workspace=tmp_path, gpus=GPUS)
    covered = {one for one in options if one.startswith("/proc/")}
    for entry in Path("/proc").iterdir():
        is_of_the_kernel = not entry.name.isdecimal() and not entry.is_symlink()
        assert (str(entry) in covered) is (is_of_the_kernel or entry.name == "1"), entry
    assert options[-6:] == ["--remount-ro", "/dev", "--remount-ro", "/proc/1", "--remount-ro", "/"]


def test_nothing_is_given_where_proc_does_not_show_what_is_in_it(tmp_path: Path) -> None:
    for name in ("1", "self", "cpuinfo"):
        (tmp_path / name).touch()
    with pytest.raises(OSError, match="no call is given a GPU"):
        mounts._of_the_kernel(tmp_path)


@needs_landlock
async def test_without_namespaces(tmp_path: Path) -> None:
    launcher, own = without_namespaces(tmp_path / "walls"), tmp_path / "own"
    script = 'import os; print("cuda", os.environ.get("CUDA_VISIBLE_DEVICES"))\ntry: open("/proc/self/comm", "w")\n'
    script += 'except OSError: print("own no")\nelse: print("own yes")'
    for gpus, expected in (
        (None, {"cuda": "None", "own": "no"}),
        (NO_GPU, {"cuda": "-1", "own": "no"}),
        (GPUS, {"cuda": "-1", "own": "no"} if is_root() else {"cuda": "0", "own": "yes"}),
    ):
        assert await seen(launcher.wrap(call(own, gpus, script), workspace=own)) == expected


def test_rules_for_nodes(tmp_path: Path) -> None:
    rules = FileRules(Walls(runtime=tmp_path))
    without, granted = (list(rules.rules(writable=(tmp_path,), gpus=gpus)) for gpus in (NO_GPU, GPUS))
    assert without == list(rules.rules(writable=(tmp_path,)))
    more = [(Path("/proc"), landlock.USE), *((node, landlock.OPERATE) for node, _ in GPUS.nodes)]
    assert granted == [*without, *more]


async def test_without_a_sandbox_it_is_a_word(tmp_path: Path) -> None:
    own = tmp_path / "own"
    script = 'import os; print("cuda", os.environ.get("CUDA_VISIBLE_DEVICES"))'
    for limits in (None, LIMITS):
        for gpus, said in ((None, "None"), (NO_GPU, "-1"), (GPUS, "0")):
            launcher: Launcher = Observed(DirectLauncher(limits=limits), gpus=gpus)
            assert (await seen(launcher.wrap(call(own, None, script), workspace=own)))["cuda"] == said


def test_limits() -> None:
    data = resource.RLIMIT_DATA
    large = Limits(memory_bytes=100 * 1024**3)
    assert kernel_limits(LIMITS)[data] == LIMITS.memory_bytes
    assert kernel_limits(LIMITS, has_gpus=True)[data] == 64 * 1024**3
    assert kernel_limits(large, has_gpus=True)[data] == large.memory_bytes
