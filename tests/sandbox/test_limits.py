"""What a call may use up, with real processes that use up more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.sandbox.call import ProcessResult
from worker_core.sandbox.control_groups import CONTROLLERS, ControlGroups
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.tree import children_of
from worker_core.sandbox.use import CallUse
from worker_core.workspaces import anchored

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watcher's sources and the limits are Linux's")

MEGABYTE = 1024 * 1024
ROOT = hasattr(os, "getuid") and os.getuid() == 0
SMALL = Limits(
    cpu_time=timedelta(seconds=2),
    memory_bytes=300 * MEGABYTE,
    processes=100,
    open_files=64,
    file_bytes=20 * MEGABYTE,
    workspace_bytes=100 * MEGABYTE,
)

_groups = ControlGroups.find(SMALL)
COUNTED = _groups is not None and {*_groups.place.folders} == {*CONTROLLERS}


@pytest.fixture(params=["direct", pytest.param("bubblewrap", marks=needs_bubblewrap)])
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Launcher:
    return DirectLauncher(limits=SMALL) if request.param == "direct" else bubblewrap(tmp_path / "walls", limits=SMALL)


async def tried(
    launcher: Launcher, workspace: Path, *argv: str, limits: Limits | None = None
) -> tuple[ProcessResult, str]:
    workspace.mkdir(exist_ok=True)
    environment = tool_environment({}, call_mark="limits", inherited={"PATH": os.environ["PATH"]})
    command = Command(argv=argv, cwd=workspace, environment=environment, limits=limits)
    result = await run(launcher.wrap(command, workspace=workspace))
    said = b"".join(result.output.ends()).decode("utf-8", "replace")
    result.output.close()
    assert not result.timed_out
    return result, said


async def test_memory_of_one_process(launcher: Launcher, tmp_path: Path) -> None:
    result, said = await tried(launcher, tmp_path / "w", sys.executable, "-c", "x = bytearray(2 << 30)")
    assert "MemoryError" in said
    assert (result.exit_code, result.exceeded) == (1, "")


async def test_one_call_may_use_up_more_or_less_than_all(launcher: Launcher, tmp_path: Path) -> None:
    script = "x = bytearray(400 << 20); print('had it')"
    more, less = (replace(SMALL, memory_bytes=megabytes * MEGABYTE) for megabytes in (900, 100))
    _, said = await tried(launcher, tmp_path / "w", sys.executable, "-c", script, limits=more)
    assert said == "had it\n"
    _, said = await tried(launcher, tmp_path / "w", sys.executable, "-c", script.replace("400", "150"), limits=less)
    assert "MemoryError" in said
    _, said = await tried(launcher, tmp_path / "w", sys.executable, "-c", script)
    assert "MemoryError" in said, "the next one again what all may"


async def test_memory_of_a_tree(launcher: Launcher, tmp_path: Path) -> None:
    hog = f"{sys.executable} -c 'import time; x = bytearray(120 << 20); time.sleep(60)'"
    result, _ = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", f"for i in 1 2 3 4; do {hog} & done; wait")
    assert result.exceeded == "It used more than 300 MB of memory and was stopped."
    assert result.exit_code != 0


async def test_processor_time_of_a_tree(launcher: Launcher, tmp_path: Path) -> None:
    spin = "(while :; do :; done) & (while :; do :; done) & wait"
    result, _ = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", spin)
    assert result.exceeded == "It used more than 2 s of processor time and was stopped."


@needs_bubblewrap
@pytest.mark.skipif(
    ROOT and ControlGroups.find(SMALL) is None,
    reason="a worker that runs as root needs a control group that counts processes, and may make none here",
)
async def test_a_fork_bomb(tmp_path: Path) -> None:
    launcher = bubblewrap(tmp_path / "walls", limits=SMALL)
    result, _ = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", "bomb() { bomb | bomb & }; bomb; sleep 60")
    assert result.exceeded == "It started more than 100 processes and was stopped, with all of them."
    assert not children_of(os.getpid()) or all(b"bomb" not in _command_line(one) for one in children_of(os.getpid()))


def _command_line(process_id: int) -> bytes:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return b""


@needs_bubblewrap
@pytest.mark.skipif(not COUNTED, reason="control groups for memory, processes and time can be made by root alone here")
async def test_each_call_has_a_control_group_of_its_own(tmp_path: Path) -> None:
    launcher = bubblewrap(tmp_path / "walls", limits=SMALL)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()

    def wrapped(name: str) -> Command:
        command = Command(argv=("/bin/cat",), cwd=tmp_path / name, environment={"PATH": os.environ["PATH"]})
        return launcher.wrap(command, workspace=tmp_path / name)

    def folder(command: Command) -> Path:
        assert command.group is not None
        return Path(f"/proc/self/fd/{command.group.entrances[0].descriptor}").readlink().parent

    first, never_started = wrapped("a"), wrapped("b")
    mine, other = folder(first), folder(never_started)
    assert mine != other
    process = subprocess.Popen(
        list(first.argv),
        cwd=first.cwd,
        env=dict(first.environment),
        stdin=subprocess.PIPE,
        pass_fds=[loan.descriptor for loan in first.loans],
    )
    while not (mine / "cgroup.procs").read_text():
        assert process.poll() is None
        await asyncio.sleep(0.01)
    del never_started
    assert folder(wrapped("c")) == other, "what nobody entered is used again"
    del first  # as if it had ended
    assert folder(wrapped("c")) == other, "what is in use is not"
    launcher.close()
    assert [one.exists() for one in (mine, other)] == [True, False]
    process.communicate(b"")
    async with asyncio.timeout(60):
        while mine.exists():  # the kernel lets go of it a moment after the last process
            launcher.close()
            await asyncio.sleep(0.01)


@needs_bubblewrap
@pytest.mark.skipif(not COUNTED, reason="control groups for memory, processes and time can be made by root alone here")
async def test_a_call_that_the_kernel_ended_for_its_memory_is_told_why(tmp_path: Path) -> None:
    """Sooner than anybody looks, and with nobody left to look at."""
    script = "import os, mmap; m = mmap.mmap(-1, 900 << 20); [m.write(bytes(1 << 20)) for _ in range(900)]"
    launcher = bubblewrap(tmp_path / "walls", limits=SMALL)
    result, _ = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", f"exec {sys.executable} -c '{script}'")
    assert result.exceeded == "It used more than 300 MB of memory and was stopped."
    result, said = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", "echo the next one")
    assert (result.exceeded, said) == ("", "the next one\n")


@needs_bubblewrap
@pytest.mark.skipif(not COUNTED, reason="control groups for memory, processes and time can be made by root alone here")
async def test_pages_of_files_make_room(tmp_path: Path) -> None:
    launcher = bubblewrap(tmp_path / "walls", limits=replace(SMALL, file_bytes=600 * MEGABYTE, workspace_bytes=2**40))
    script = "head -c 500M /dev/zero >big && cat big >/dev/null && echo fine"
    result, said = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", script)
    assert (result.exceeded, said) == ("", "fine\n")


@needs_bubblewrap
@pytest.mark.skipif(ROOT, reason="the kernel exempts root from the number of processes")
async def test_the_kernel_counts_processes(tmp_path: Path) -> None:
    launcher = bubblewrap(tmp_path / "walls", limits=SMALL)
    _, said = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", "ulimit -u")
    assert said == "100\n"


async def test_a_file_of_ten_gigabytes(launcher: Launcher, tmp_path: Path) -> None:
    result, _ = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", "head -c 10G /dev/zero >big")
    assert result.exit_code == 153
    assert (tmp_path / "w" / "big").stat().st_size == 20 * MEGABYTE


async def test_many_files(launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker_core.sandbox.folder_use.PERIOD_SECONDS", 0.1)
    fill = "for i in $(seq 20); do head -c 19M /dev/zero >f$i; done; sleep 60"
    result, _ = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", fill)
    assert result.exceeded.startswith("The workspace holds more than 100 MB, so it was stopped.")


@pytest.mark.parametrize(
    "fill",
    [
        "touch f{1..3000}",
        "mkdir -p d/e/f; cd d/e/f; mkdir {1..3000}",
        "d=$(printf 'd%.0s' {1..200}); for i in {1..60}; do mkdir $d; cd $d; done; touch f{1..3000}",
        "mkdir hidden; touch hidden/f{1..3000}; chmod 0 hidden",
    ],
    ids=["empty files", "empty folders", "below a path of 12000 characters", "in a folder without rights"],
)
async def test_more_files_than_a_workspace_may_hold(tmp_path: Path, fill: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker_core.sandbox.folder_use.PERIOD_SECONDS", 0.1)
    launcher = DirectLauncher(limits=replace(SMALL, workspace_files=2000, cpu_time=timedelta(minutes=1)))
    result, _ = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", f"{fill}; sleep 60")
    assert result.exceeded.startswith("The workspace holds more than 2000 files and folders, so it was stopped.")
    anchored.remove(tmp_path, "w")
    assert not (tmp_path / "w").exists()


@needs_bubblewrap
@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
async def test_temporary_folders_are_bounded(tmp_path: Path, folder: str) -> None:
    launcher = bubblewrap(tmp_path / "walls")
    _, said = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", f"df --output=size -B1 {folder} | tail -1")
    assert 0 < int(said) <= 1024**3


@needs_bubblewrap
@pytest.mark.parametrize(
    "path", ["/x", "/dev/x", "/proc/sys/kernel/x", "/run/x", "/etc/x", "/usr/x", "/home/x", "/var/x"]
)
async def test_nothing_else_can_be_filled(tmp_path: Path, path: str) -> None:
    result, _ = await tried(bubblewrap(tmp_path / "walls"), tmp_path / "w", "/bin/bash", "-c", f"echo x >{path}")
    assert result.exit_code == 1


async def test_open_files(launcher: Launcher, tmp_path: Path) -> None:
    _, said = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", "ulimit -n; ulimit -c")
    assert said == "64\n0\n"


async def test_what_the_kernel_counts_per_user_is_halved(launcher: Launcher, tmp_path: Path) -> None:
    import resource

    _, said = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", "ulimit -q; ulimit -i")
    both = [resource.getrlimit(name)[0] for name in (resource.RLIMIT_MSGQUEUE, resource.RLIMIT_SIGPENDING)]
    assert said.split() == ["unlimited" if one < 0 else str(one // 2) for one in both]


async def test_what_stays_within_its_limits(launcher: Launcher, tmp_path: Path) -> None:
    result, said = await tried(launcher, tmp_path / "w", "/bin/bash", "-c", "echo fine")
    assert (said, result.exit_code, result.exceeded) == ("fine\n", 0, "")


def test_the_use_of_a_tree_is_seen(tmp_path: Path) -> None:
    script = "sleep 60 & (sleep 60; true) & echo ready; wait"
    with subprocess.Popen(["/bin/bash", "-c", script], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = CallUse(process.pid, limits=SMALL, disk=None).now()
        os.killpg(process.pid, 9)
    assert used is not None
    assert used.processes >= 3
    assert CallUse(process.pid, limits=SMALL, disk=None).now() is None
