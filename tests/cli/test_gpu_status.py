"""`status` on a machine with GPUs: a worker that runs, a call in its sandbox, and a stand-in for `nvidia-smi`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import CommandLine
from tests.support.engine import make_engine, running_engine
from tests.support.executions import tool
from tests.support.gpus import FakeSmi, needs_scripts, row, uuid_of
from tests.support.playground import Stage
from tests.support.processes import eventually
from tests.support.walls import needs_bubblewrap
from worker_core.cli import situation
from worker_core.control_socket.client import RunningWorker, running_workers
from worker_core.control_socket.server import ControlSocket
from worker_core.engine.engine import Engine
from worker_core.logs.ring import LogRing
from worker_core.machine import gpu_use

pytestmark = needs_scripts
SECONDS = f"1000.{os.getpid()}"
"""Nobody else on this machine sleeps for so long."""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSmi:
    made = FakeSmi(tmp_path / "bin", monkeypatch)
    made.answers("gpus", [row(0, used=2400), row(1, used="[N/A]", busy="[N/A]", watts="[N/A]", mig="Enabled")])
    made.answers(
        "parts",
        [
            f"GPU 1: NVIDIA H200 (UUID: {uuid_of(1)})",
            f"  MIG 3g.71gb     Device  0: (UUID: {uuid_of(10, 'MIG')})",
        ],
    )
    return made


def runtime(line: CommandLine) -> Path:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KUBIYA_WORKER_HOME", line.environment["KUBIYA_WORKER_HOME"])
        return situation.paths().runtime


@asynccontextmanager
async def seen(engine: Engine, folder: Path) -> AsyncIterator[None]:
    """With a control socket."""
    control = ControlSocket(engine=engine, log_ring=LogRing(), folder=folder)
    control.open()
    try:
        yield
    finally:
        await asyncio.to_thread(control.close)


@asynccontextmanager
async def idle(line: CommandLine, folder: Path, *, gpu: str) -> AsyncIterator[None]:
    """A worker that was not started: it has nothing to do, and can be looked at."""
    engine = make_engine(url="http://127.0.0.1:1", key="key-0123456789", queue_ids=["q"], folder=folder, gpu=gpu)
    async with seen(engine, runtime(line)):
        yield
    await engine.stop()


def a_sleeper() -> int | None:
    """As the machine numbers it."""
    for process in psutil.process_iter():
        try:
            if process.cmdline() == ["sleep", SECONDS]:
                return process.pid
        except psutil.Error:
            continue
    return None


@needs_bubblewrap
async def test_a_process_in_the_sandbox_is_shown_as_its_execution_s(
    stage: Stage, tmp_path: Path, offline: CommandLine, smi: FakeSmi
) -> None:
    async with running_engine(
        stage, tmp_path / "engine", sandbox="auto", require_sandbox="always", gpu="auto"
    ) as rig, seen(rig.engine, runtime(offline)):  # fmt: skip
        execution_id = await rig.execute("\n".join(["go", tool(f"sleep {SECONDS}")]))
        await eventually(a_sleeper)
        pid = a_sleeper()
        smi.answers("processes", [f"{uuid_of(0)}, {pid}, 620", f"{uuid_of(0)}, 1, 900", f"{uuid_of(10, 'MIG')}, 1, 1"])
        shown = await asyncio.to_thread(offline, "status")
        assert (shown.code, shown.err) == (0, "")
        lines = [" ".join(one.split()) for one in shown.out.splitlines()]
        assert "0 NVIDIA H200 41 % 2.5 GB of 151 GB 28 °C 76 W" in lines
        assert "1 NVIDIA H200, divided (3g.71gb) - - of 151 GB 28 °C -" in lines
        assert f"0 {execution_id} {pid} 650 MB" in lines
        assert "GPU 0: 1 process of others." in lines
        assert "GPU 1: 1 process of others." in lines
        [told] = (await asyncio.to_thread(offline, "status", "--json")).json["workers"]
        assert told["gpu_trouble"] == ""
        first, second = told["gpus"]
        assert first["processes"] == [{"pid": pid, "execution_id": execution_id, "memory_bytes": 620 * 1024**2}]
        assert (first["uuid"], first["busy_percent"], first["others"]) == (uuid_of(0), 41, 1)
        assert (second["parts"], second["busy_percent"], second["watts"]) == (["3g.71gb"], None, None)
    assert smi.asked.count("--query-compute-apps") == 2, "it is asked when somebody asks, and by no clock"


async def test_nothing_is_asked_where_the_setting_is_off(tmp_path: Path, offline: CommandLine, smi: FakeSmi) -> None:
    async with idle(offline, tmp_path / "engine", gpu="off"):
        shown = await asyncio.to_thread(offline, "status")
        assert "GPU" not in shown.out
        [told] = (await asyncio.to_thread(offline, "status", "--json")).json["workers"]
    assert (told["gpus"], told["gpu_trouble"]) == (None, "")
    assert smi.asked == []


async def test_one_that_hangs_is_a_sentence_below_the_rest(
    tmp_path: Path, offline: CommandLine, smi: FakeSmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_use, "LIMIT_SECONDS", 0.3)
    smi.does("gpus", "exec sleep 1000")
    async with idle(offline, tmp_path / "engine", gpu="all"):
        shown = await asyncio.to_thread(offline, "status")
        [told] = (await asyncio.to_thread(offline, "status", "--json")).json["workers"]
    assert "  nvidia-smi did not answer within " in shown.out
    assert told["gpus"] == []
    assert told["gpu_trouble"].startswith("nvidia-smi did not answer within ")


async def test_a_worker_of_an_earlier_version_has_none(
    tmp_path: Path, offline: CommandLine, smi: FakeSmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with idle(offline, tmp_path / "engine", gpu="all"):
        [worker] = running_workers(runtime(offline))
        asked = worker._ask
        monkeypatch.setattr(
            worker, "_ask", lambda request, **limits: asked({**request, "verb": "unheard-of"}, **limits)
        )
        assert await asyncio.to_thread(RunningWorker.gpus, worker) is None
    assert smi.asked == []
