from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.sandbox.conftest import MakeCommand, run
from tests.support.processes import alive, eventually, pid_in, written_pid, zombies
from worker_core.basics.threads import uninterrupted
from worker_core.sandbox import call
from worker_core.sandbox.call import ProcessResult, run_process
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.processes import process
from worker_core.sandbox.processes.warden import WARDEN

pytestmark = pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX; Windows has job objects")

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux shows every process's environment and has setsid"
)
STRAYS = [
    pytest.param("sleep 1000 & echo $! >pid", id="background job"),
    pytest.param("bash -c 'sleep 1000 & echo $! >pid; wait' &", id="grandchild"),
    pytest.param(
        "bash -c 'trap \"\" TERM; echo $$ >pid; while :; do sleep 1000; done' &",
        id="ignores SIGTERM",
    ),
    pytest.param("sleep 1000 & echo $! >pid; kill -STOP $!", id="stopped"),
    pytest.param("setsid bash -c 'echo $$ >pid; exec sleep 1000' &", id="new session", marks=LINUX),
    pytest.param(
        "setsid bash -c 'echo $$ >pid; exec sleep 1000' >/dev/null 2>&1 &", id="new session, no output", marks=LINUX
    ),
    pytest.param(
        "(setsid bash -c 'echo $$ >pid; exec sleep 1000' </dev/null >/dev/null 2>&1 &)", id="double fork", marks=LINUX
    ),
]


def text(result: ProcessResult) -> str:
    said = b"".join(result.output.ends()).decode()
    result.output.close()
    return said


async def test_output_is_merged_in_order(shell: MakeCommand) -> None:
    result = await run(shell("echo one; echo two >&2; echo three; exit 3"))
    assert text(result) == "one\ntwo\nthree\n"
    assert (result.exit_code, result.timed_out, result.too_much_output) == (3, False, False)


async def test_a_signal_is_a_negative_code(shell: MakeCommand) -> None:
    result = await run(shell("kill -SEGV $$"))
    assert result.exit_code == -signal.SIGSEGV
    result.output.close()


@pytest.mark.parametrize("script", ["cat", 'read x; echo "[$x]"', "python3 -c 'print(input())' 2>/dev/null"])
async def test_standard_input_is_closed(shell: MakeCommand, script: str) -> None:
    result = await run(shell(script))
    assert not result.timed_out
    result.output.close()


async def test_standard_input_is_given_even_if_nobody_reads_it(shell: MakeCommand) -> None:
    assert text(await run(shell("cat | wc -c"), stdin=b"x" * 1_000_000)).strip() == "1000000"
    assert text(await run(shell("echo unread"), stdin=b"x" * 1_000_000)) == "unread\n"


@pytest.mark.parametrize("script", STRAYS)
async def test_nothing_outlives_a_command_that_ends(shell: MakeCommand, tmp_path: Path, script: str) -> None:
    result = await run(shell(f"{script}\nwhile ! [ -s pid ]; do sleep 0.01; done; echo done"))
    assert text(result).endswith("done\n")
    assert result.exit_code == 0
    assert not alive(pid_in(tmp_path / "pid"))


@pytest.mark.parametrize("script", STRAYS)
@pytest.mark.usefixtures("short_grace")
async def test_nothing_outlives_a_cancelled_command(shell: MakeCommand, tmp_path: Path, script: str) -> None:
    task = asyncio.create_task(run(shell(f"{script}\nsleep 1000")))
    await eventually(lambda: written_pid(tmp_path / "pid"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid_in(tmp_path / "pid"))
    assert not zombies()


@pytest.mark.parametrize("script", STRAYS)
@pytest.mark.usefixtures("short_grace")
async def test_nothing_outlives_a_time_limit(shell: MakeCommand, tmp_path: Path, script: str) -> None:
    result = await run(shell(f"echo begun; {script}\nsleep 1000"), timeout=timedelta(seconds=0.3))
    assert result.timed_out
    assert text(result).startswith("begun\n")
    assert not alive(pid_in(tmp_path / "pid"))


async def test_what_left_the_session_with_an_empty_environment_is_all_that_can_stay_without_a_sandbox(
    shell: MakeCommand, tmp_path: Path
) -> None:
    """In the session it is found whatever its environment says."""
    script = "env -i /bin/bash -c 'echo $$ >pid; exec sleep 1000' & while ! [ -s pid ]; do sleep 0.01; done"
    text(await run(shell(script)))
    assert not alive(pid_in(tmp_path / "pid"))


@LINUX
async def test_a_group_of_its_own_in_the_session_is_ended(shell: MakeCommand, tmp_path: Path) -> None:
    """As the jobs of an interactive shell are."""
    script = "set -m; env -i /bin/bash -c 'echo $$ >pid; exec sleep 1000' & while ! [ -s pid ]; do sleep 0.01; done"
    text(await run(shell(script)))
    assert not alive(pid_in(tmp_path / "pid"))


async def test_children_may_tidy_up_when_asked_to_end(shell: MakeCommand, tmp_path: Path) -> None:
    """The shell itself dies of SIGTERM at once; its child gets the rest of the grace."""
    child = "trap 'sleep 0.3; echo tidy >tidied; exit' TERM; echo $$ >pid; while :; do sleep 0.05; done"
    task = asyncio.create_task(run(shell('bash -c "$CHILD"; echo never', CHILD=child)))
    await eventually(lambda: written_pid(tmp_path / "pid"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "tidied").exists()


@pytest.mark.usefixtures("short_grace")
async def test_cancelling_again_and_again_leaves_nothing(shell: MakeCommand, tmp_path: Path) -> None:
    task = asyncio.create_task(run(shell("trap '' TERM; echo $$ >pid; while :; do sleep 1000; done")))
    await eventually(lambda: written_pid(tmp_path / "pid"))
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid_in(tmp_path / "pid"))


@pytest.mark.usefixtures("short_grace")
async def test_a_cancel_within_the_grace_of_a_time_limit_leaves_nothing(shell: MakeCommand, tmp_path: Path) -> None:
    script = "trap 'touch asked' TERM; echo $$ >pid; while :; do sleep 0.05; done"
    task = asyncio.create_task(run(shell(script), timeout=timedelta(seconds=0.3)))
    await eventually((tmp_path / "asked").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid_in(tmp_path / "pid"))


async def test_cancelled_while_it_starts(shell: MakeCommand, tmp_path: Path) -> None:
    starting, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        starting.set()
        go_on.wait(60)

    task = asyncio.create_task(run(shell("echo $$ >pid; sleep 1000"), before_start=slowly))
    await eventually(starting.is_set)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    pid = written_pid(tmp_path / "pid")
    assert pid is None or not alive(pid)


async def test_cancelled_before_its_thread_begins_it_has_no_effect(shell: MakeCommand, tmp_path: Path) -> None:
    loop, gate = asyncio.get_running_loop(), threading.Event()
    from concurrent.futures import ThreadPoolExecutor

    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, gate.wait, 20)
    marks: list[str] = []
    task = asyncio.create_task(run(shell("touch effect"), before_start=lambda: marks.append("dispatched")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(10):  # turns of the loop, until the cancellation has arrived
        await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await busy
    assert not marks
    assert not (tmp_path / "effect").exists()


async def test_what_before_start_raises_is_passed_on(shell: MakeCommand, tmp_path: Path) -> None:
    def refuse() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await run(shell("touch effect"), before_start=refuse)
    assert not (tmp_path / "effect").exists()


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await run(Command(argv=["/no/such/program"], cwd=tmp_path, environment={}))


async def test_a_process_that_cannot_be_watched_is_ended(
    shell: MakeCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(group: int | None, mark: str) -> None:
        if group is not None:
            (tmp_path / "pid").write_text(f"{group}\n")
            raise OSError("no more processes")

    monkeypatch.setattr(WARDEN, "watch", fail)
    with pytest.raises(OSError, match="cannot be watched"):
        await run(shell("sleep 1000"))
    assert not alive(pid_in(tmp_path / "pid"))


async def test_nothing_is_started_that_could_not_be_watched(
    shell: MakeCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(group: int | None, mark: str) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(WARDEN, "watch", fail)
    with pytest.raises(OSError, match="cannot be watched"):
        await run(shell("touch effect"))
    assert not (tmp_path / "effect").exists()


async def test_no_more_threads(shell: MakeCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    await run(shell("true"))  # the pool has its thread
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == failing:
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    failing = "tool wait"
    with pytest.raises(OSError, match="cannot be watched"):
        await run(shell("echo $$ >pid; sleep 1000"))
    failing = "tool output"
    result = await run(shell("echo $$ >pid; sleep 1000"))
    assert result.exit_code != 0
    pid = written_pid(tmp_path / "pid")
    assert pid is None or not alive(pid)


async def test_more_output_than_anybody_reads_is_stopped(shell: MakeCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "WHOLE_OUTPUT_LIMIT_BYTES", 1_000_000)
    result = await run(shell("yes"))
    assert result.too_much_output
    assert sum(map(len, result.output.pieces())) == 1_000_000
    assert sum(map(len, result.output.ends())) == 1000
    result.output.close()


async def test_fifty_calls_leave_no_descriptor_thread_or_zombie(shell: MakeCommand) -> None:
    async def several(count: int) -> None:
        for result in await asyncio.gather(*(run(shell("seq 1000"), stdin=b"x") for _ in range(count))):
            assert result.output.total_bytes == 3893
            result.output.close()

    def open_files() -> int:
        gc.collect()
        return len(
            list(Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").exists() else Path("/dev/fd").iterdir())
        )

    await several(8)
    before, threads = open_files(), threading.active_count()
    for _ in range(5):
        await several(10)
    await eventually(lambda: threading.active_count() <= threads + 4)  # those of the pool stay
    assert open_files() <= before
    assert not zombies()


async def test_what_was_printed_goes_with_the_result(shell: MakeCommand) -> None:
    """Not only when the collector comes, which is seldom: outputs are large."""
    gc.disable()
    try:
        result = await run(replace(shell("seq 1000"), limits=Limits()))
        printed = weakref.ref(result.output)
        result.output.close()
        del result
        await eventually(lambda: printed() is None)
    finally:
        gc.enable()


async def test_uninterrupted_gives_what_the_work_gives() -> None:
    async def work(error: Exception | None = None) -> int:
        await asyncio.sleep(0)
        if error:
            raise error
        return 7

    assert await uninterrupted(work()) == 7
    with pytest.raises(LookupError):
        await uninterrupted(work(LookupError()))


async def test_a_stuck_process_does_not_hold_the_worker(
    shell: MakeCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that waits for a dead network drive: no signal ends it."""
    before = set(threading.enumerate())
    monkeypatch.setattr(process, "TERM_GRACE", timedelta(seconds=0.1))
    monkeypatch.setattr(process, "KILL_LIMIT", timedelta(seconds=0.1))
    real: Any = process.ProcessTree._signal_group
    monkeypatch.setattr(process.ProcessTree, "_signal_group", lambda *_: None)
    result = await run(shell("echo $$ >pid; exec sleep 1000"), timeout=timedelta(seconds=0.3))
    assert result.timed_out
    assert result.exit_code == -signal.SIGTERM
    assert "did not end although it was killed" in caplog.text
    result.output.close()
    monkeypatch.setattr(process.ProcessTree, "_signal_group", real)
    os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)
    await eventually(lambda: not alive(pid_in(tmp_path / "pid")))
    await eventually(
        lambda: not [one for one in threading.enumerate() if one.name == "tool wait" and one not in before]
    )


def test_the_end_of_the_loop_is_no_trouble(shell: MakeCommand, tmp_path: Path) -> None:
    async def leave_early() -> None:
        asyncio.get_running_loop().create_task(run(shell("echo $$ >pid; sleep 1000")))
        await eventually(lambda: written_pid(tmp_path / "pid"))

    asyncio.run(leave_early())  # cancels what is left, as asyncio.run does
    assert not alive(pid_in(tmp_path / "pid"))


def test_the_end_of_the_loop_while_it_starts_leaves_nothing(shell: MakeCommand, tmp_path: Path) -> None:
    starting, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        starting.set()
        assert go_on.wait(60)

    async def let_go_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            go_on.set()

    async def leave_early() -> None:
        tasks.append(asyncio.create_task(run(shell("sleep 1000"), before_start=slowly)))
        tasks.append(asyncio.create_task(let_go_when_cancelled()))
        await eventually(starting.is_set)

    tasks: list[asyncio.Task[Any]] = []
    asyncio.run(leave_early())
    assert [process.pid for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(tmp_path)] == []


async def test_a_launcher_may_put_another_program_in_front(tmp_path: Path) -> None:
    command = Command(argv=["env", "-i", "X=1", "/bin/sh", "-c", "echo $X"], cwd=tmp_path, environment=os.environ)
    result = await run_process(command, timeout=timedelta(seconds=30), output_limit_bytes=100)
    assert text(result) == "1\n"


def test_processes_are_started_without_shell_strings() -> None:
    for file in (call.__file__, process.__file__):
        assert "shell=True" not in Path(file).read_text()
    assert subprocess.PIPE == -1
