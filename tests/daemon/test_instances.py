"""Which of several running workers is meant."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.engine import LIMIT_SECONDS, make_engine
from worker_core.control_socket.client import NoWorker
from worker_core.control_socket.server import ControlSocket
from worker_core.daemon.instances import chosen, instances, workers_of
from worker_core.daemon.names import check_name
from worker_core.errors import ConfigurationError
from worker_core.logs.ring import LogRing

SHARED, OTHER = "01234567-89ab-4def-8123-456789abcdef", "11234567-89ab-4def-8123-456789abcdef"


@asynccontextmanager
async def serving(folder: Path, name: str, *queues: str) -> AsyncIterator[Path]:
    engine = make_engine(
        url="http://127.0.0.1:1", key="key-0123456789", queue_ids=list(queues), folder=folder / f"home-{name}"
    )
    control = ControlSocket(engine=engine, log_ring=LogRing(), folder=folder / "run", name=name)
    await engine.start()
    control.open()
    try:
        yield folder / "run"
    finally:
        await engine.stop()
        async with asyncio.timeout(LIMIT_SECONDS):
            await engine.wait_stopped()
        control.close()


def test_without_a_worker_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoWorker, match="kubiya-worker start") as none:
        chosen(tmp_path / "missing")
    assert none.value.exit_code == 3


async def test_one_is_chosen_by_name_queue_or_pid(tmp_path: Path) -> None:
    async with serving(tmp_path, "build-7", SHARED) as run, serving(tmp_path, "build-8", SHARED, OTHER):

        def choose() -> None:
            assert chosen(run, "build-8").the_worker().name == "build-8"
            assert chosen(run, OTHER).name == "build-8"
            assert len(workers_of(run)) == 2
            assert [one.name for one in workers_of(run, "build-7")] == ["build-7"]
            with pytest.raises(NoWorker, match=r"^2 workers run\. Choose with --worker NAME, QUEUE or PID: build-"):
                chosen(run)
            with pytest.raises(NoWorker, match=f"2 workers fit '{SHARED}'"):
                chosen(run, SHARED)
            with pytest.raises(NoWorker, match="No worker of yours has the name, the pid or the queue 'build-9'"):
                chosen(run, "build-9")
            with pytest.raises(NoWorker, match="'1'"):
                chosen(run, "1")

        await asyncio.to_thread(choose)


async def test_the_only_one_needs_no_name(tmp_path: Path) -> None:
    async with serving(tmp_path, "", SHARED) as run:

        def choose() -> None:
            assert chosen(run).pid == os.getpid()
            assert chosen(run, str(os.getpid())).pid == os.getpid()
            assert [one.label for one in instances(run)] == [f"pid {os.getpid()}"]

        await asyncio.to_thread(choose)


@pytest.mark.parametrize("name", ["worker", "build-7", "a.b_c", "7a"])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "7", "desktop", "../x", ".x", "a b", "a" * 65, "a/b", "ä"])
def test_what_cannot_be_a_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be called"):
        check_name(name)
