"""A playground and a worker on it, for whole executions of many kinds and numbers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil
from temporalio.client import Client

from bench.playground import PROGRAM, access, scripted_playground
from bench.processes import Started, running
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

SUBMITTED_AT_ONCE: Final = 20
SAMPLE_SECONDS: Final = 0.1
TWO_CALLS: Final = "\n".join([f"!tool shell {json.dumps({'command': f'echo {n}'})}" for n in ("one", "two")])


class Memory:
    """The most that a process has meanwhile, beside what it had before."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.most = self._now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _now(self) -> int:
        return int(self._process.memory_info().rss)

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.most = max(self.most, self._now())


class Stage:
    """A playground and a worker that serves its queue."""

    def __init__(self, info: Mapping[str, str], worker: Started, temporal: Client, plane: ControlPlaneClient) -> None:
        self.info, self.worker, self.temporal, self.plane = info, worker, temporal, plane

    async def submit(self, script: str, *, single_turn: bool = True) -> str:
        """The id of an execution."""
        wish = Execute(
            prompt=f"{uuid.uuid4()}\n{script}",
            worker_queue_id=self.info["queue_id"],
            configuration={"single_turn": True} if single_turn else {},
        )
        return (await self.plane.execute_agent(self.info["agent_id"], wish)).execution_id

    async def ended(self, execution_id: str) -> None:
        """Until its workflow is closed."""
        await self.temporal.get_workflow_handle(f"agent-execution-{execution_id}").result()

    async def waits(self, execution_id: str) -> None:
        """Until its user is asked to go on."""
        while (await self.plane.get_execution(execution_id)).status != "waiting_for_input":
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder)}
    with scripted_playground(folder / "playground", environment=environment) as info:
        environment |= access(info)
        command = [*PROGRAM, "start", "--queue-id", info["queue_id"]]
        with running(command, until="ready", environment=environment) as worker:
            temporal = await Client.connect(info["temporal_host"])
            plane = ControlPlaneClient(base_url=info["control_plane_url"], api_key=Secret(info["api_key"]))
            made = Stage(info, worker, temporal, plane)
            await made.ended(await made.submit(f"{TWO_CALLS}\n!say done"))  # what comes with the first execution
            yield made
            await plane.aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What executions took that were submitted at once."""

    seconds: float
    """From the first one's submission to the last one's end."""

    processor_seconds: float
    """Of the worker's process."""

    grown_megabytes: float
    """The most that the worker's process had more than before."""


async def at_once(here: Stage, number: int) -> Crowd:
    """All submitted at once, each with a model call, two tool calls in the sandbox, and an answer."""
    gate = asyncio.Semaphore(SUBMITTED_AT_ONCE)

    async def one() -> None:
        async with gate:
            execution_id = await here.submit(f"{TWO_CALLS}\n!say done")
        await here.ended(execution_id)

    before, began = here.worker.processor_seconds(), time.perf_counter()
    with Memory(here.worker.process.pid) as memory:
        await asyncio.gather(*(one() for _ in range(number)))
    return Crowd(
        seconds=time.perf_counter() - began,
        processor_seconds=here.worker.processor_seconds() - before,
        grown_megabytes=(memory.most - memory.before) / 1e6,
    )
