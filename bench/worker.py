"""The worker beside one of the bare Temporal SDK: its start, its memory, its turns, and how soon it cancels."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from temporalio.client import Client, WorkflowFailureError

from bench.bare_worker import BareWorkflow
from bench.playground import PROGRAM, access, scripted_playground
from bench.processes import Started, running, with_bytecode
from bench.result import Result
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

SETTLE_SECONDS = 3.0
UNDER_WAY_SECONDS = 2.0
CANCELLED = {
    "in mid-stream": "!stream 5000 20",
    "in a tool call": f"!tool shell {json.dumps({'command': 'sleep 1000'})}",
    "while it waits for its user": "!say over",
}
TURNS = 20
AT_ONCE = 50
SINGLE_TURN = {"single_turn": True}
ROWS: Final = ("start", "turn", "burst", "cancel")
"""What can be measured alone; memory comes with the start, processor time with the turn."""


def measure_worker(folder: Path, *, rounds: int, rows: Collection[str]) -> Iterator[Result]:
    """`rows` are of `ROWS`; the programs are started `rounds` times, one after the other in turns."""
    with_bytecode("worker_core", "bench")
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder)}
    with scripted_playground(folder / "playground", environment=environment) as info:
        environment |= access(info)
        queue = f"bare-{uuid.uuid4()}"
        commands = {
            "bare": [sys.executable, "-m", "bench.bare_worker", info["temporal_host"], queue],
            "ours": [*PROGRAM, "start", "--queue-id", info["queue_id"]],
        }
        if "start" in rows:
            yield from measure_starts(commands, environment, rounds=rounds)
        if {"turn", "burst", "cancel"} & set(rows):
            # A machine of its own: those that were started above count as its other workers for a minute and a half.
            machine = {**environment, "KUBIYA_WORKER_HOME": str(folder / "turns")}
            with (
                running(commands["ours"], until="ready", environment=machine) as mine,
                running(commands["bare"], until="ready", environment=environment) as theirs,
            ):
                yield from asyncio.run(measure_turns(info, queue, {"ours": mine, "bare": theirs}, rows=rows))


def measure_starts(
    commands: Mapping[str, list[str]], environment: Mapping[str, str], *, rounds: int
) -> Iterator[Result]:
    """To the first line; a first start of each, which fills caches, does not count."""
    starts: dict[str, list[float]] = {name: [] for name in commands}
    used: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, float] = {}
    for number in range(rounds + 1):
        for name, command in commands.items():
            say(f"start {number} of {rounds}: {name}")
            with running(command, until="ready", environment=environment) as started:
                if number:
                    starts[name].append(started.seconds)
                    used[name].append(started.processor_seconds())
                time.sleep(0.5 if number else SETTLE_SECONDS)
                memory.setdefault(name, started.rss_megabytes())
    yield Result(
        name="process start to ready", unit="s", ours=median(starts["ours"]), bare=median(starts["bare"]), goal=0.6
    )
    yield Result(
        name="processor time of a start", unit="ms",
        ours=median(used["ours"]) * 1000, bare=median(used["bare"]) * 1000, goal=600,
    )  # fmt: skip
    yield Result(name="memory when idle", unit="MB", ours=memory["ours"], bare=memory["bare"], goal=85)


async def measure_turns(
    info: dict[str, str], queue: str, workers: Mapping[str, Started], *, rows: Collection[str]
) -> list[Result]:
    """One instant turn after the other, many at once, and cancelled ones; the bare workflow has one activity a step."""
    temporal = await Client.connect(info["temporal_host"])
    plane = ControlPlaneClient(base_url=info["control_plane_url"], api_key=Secret(info["api_key"]))

    async def ours() -> None:
        wish = Execute(prompt=f"{uuid.uuid4()}\n!instant", worker_queue_id=info["queue_id"], configuration=SINGLE_TURN)
        submitted = await plane.execute_agent(info["agent_id"], wish)
        await temporal.get_workflow_handle(f"agent-execution-{submitted.execution_id}").result()

    async def bare() -> None:
        await temporal.execute_workflow(BareWorkflow.run, id=f"bare-{uuid.uuid4()}", task_queue=queue)

    async def many(one: Callable[[], Awaitable[None]]) -> None:
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))

    for warm in (bare, ours, bare, ours):
        await warm()
    found: list[Result] = []
    if "turn" in rows:
        say("single turns")
        single: dict[str, list[float]] = {"ours": [], "bare": []}
        used = dict.fromkeys(single, 0.0)
        for _ in range(TURNS):
            for name, turn in (("bare", bare), ("ours", ours)):
                before = workers[name].processor_seconds()
                single[name].append(await timed(turn))
                used[name] += workers[name].processor_seconds() - before
        found.append(
            Result(
                name="one instant turn, execute to closed", unit="s",
                ours=median(single["ours"]), bare=median(single["bare"]), goal=0.25,
            )
        )  # fmt: skip
        found.append(
            Result(
                name="processor time of an instant turn", unit="ms",
                ours=used["ours"] / TURNS * 1000, bare=used["bare"] / TURNS * 1000, goal=20,
            )
        )  # fmt: skip
    if "burst" in rows:
        say(f"{AT_ONCE} at once")
        crowd = {"bare": await timed(lambda: many(bare)), "ours": await timed(lambda: many(ours))}
        found.append(
            Result(name=f"{AT_ONCE} instant turns at once", unit="s", ours=crowd["ours"], bare=crowd["bare"], goal=6)
        )
    if "cancel" in rows:
        say("cancellations")
        found += [await measure_cancel(info, plane, temporal, where, script) for where, script in CANCELLED.items()]
    await plane.aclose()
    return found


async def measure_cancel(
    info: dict[str, str], plane: ControlPlaneClient, temporal: Client, where: str, script: str
) -> Result:
    """From the wish to cancel to the closed workflow, its stream closed and its process tree killed before."""
    prompt = f"{uuid.uuid4()}\n{script}"
    submitted = await plane.execute_agent(info["agent_id"], Execute(prompt=prompt, worker_queue_id=info["queue_id"]))
    await asyncio.sleep(UNDER_WAY_SECONDS)
    workflow = temporal.get_workflow_handle(f"agent-execution-{submitted.execution_id}")
    began = time.perf_counter()
    await plane.cancel(submitted.execution_id)
    with contextlib.suppress(WorkflowFailureError):
        await workflow.result()
    return Result(name=f"cancelled {where}", unit="s", ours=time.perf_counter() - began, bare=None, goal=2)


async def timed(action: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await action()
    return time.perf_counter() - began


def median(values: list[float]) -> float:
    return statistics.median(values)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
