"""`make bench`: start-up, memory and execution times, each beside a bare Temporal SDK worker in the same run; tool
calls in the sandbox beside the same calls without it; the tray and its window beside a bare Qt program.

python -m bench [--rounds N] [--only worker|sandbox|masking|deciding|desktop] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from temporalio.client import Client, WorkflowFailureError

from bench.bare_worker import BareWorkflow
from bench.deciding import measure_deciding
from bench.masking import measure_masking
from bench.playground import PROGRAM, access, scripted_playground
from bench.processes import running
from bench.sandbox import measure_sandbox
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
AT_ONCE = 50
PARTS = ("worker", "sandbox", "masking", "deciding", "desktop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measurement. `goal` is a ceiling on a quiet machine with two cores, in the same unit."""

    name: str
    unit: str
    ours: float
    bare: float | None
    """Of the baseline in the same run; None: there is nothing to compare with."""

    goal: float

    @property
    def ratio(self) -> float | None:
        return self.ours / self.bare if self.bare else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="starts of each program (default: 5)")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument(
        "--only",
        choices=list(PARTS),
        action="append",
        help="measure this alone; may be repeated",
    )
    options = parser.parse_args()
    parts = options.only or PARTS
    rounds = max(1, options.rounds)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="kubiya-bench-") as folder:
        if "worker" in parts:
            results += measure(Path(folder), rounds=rounds)
        if "sandbox" in parts:
            say("tool calls in the sandbox")
            for name, call in measure_sandbox(Path(folder) / "sandbox"):
                results.append(Result(name=name, unit="ms", ours=call.ours, bare=call.bare, goal=call.goal))
        for name, measure_part in (("masking", measure_masking), ("deciding", measure_deciding)):
            if name not in parts:
                continue
            say(name)
            for row in measure_part():
                results.append(Result(name=row.name, unit="ms", ours=row.ours, bare=row.bare, goal=row.goal))
        if "desktop" in parts:
            results += measure_tray(Path(folder) / "desktop", rounds=rounds)
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps([{**asdict(one), "ratio": one.ratio} for one in results], indent=2) + "\n")
    return 0


def measure_tray(folder: Path, *, rounds: int) -> list[Result]:
    """The tray and its window; nothing where there is no screen to be had."""
    try:
        from bench.desktop import measure_desktop, missing
    except ImportError as error:
        say(f"the tray is not measured: {error}")
        return []
    if why := missing():
        say(why)
        return []
    say("the tray and its window")
    return [
        Result(name=one.name, unit=one.unit, ours=one.ours, bare=one.bare, goal=one.goal)
        for one in measure_desktop(folder, rounds=rounds)
    ]


def measure(folder: Path, *, rounds: int) -> list[Result]:
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder)}
    with scripted_playground(folder / "playground", environment=environment) as info:
        environment |= access(info)
        ours = [*PROGRAM, "start", "--queue-id", info["queue_id"]]
        queue = f"bare-{uuid.uuid4()}"
        bare = [sys.executable, "-m", "bench.bare_worker", info["temporal_host"], queue]
        starts: dict[str, list[float]] = {"ours": [], "bare": []}
        memory: dict[str, list[float]] = {"ours": [], "bare": []}
        for number in range(rounds):
            for name, command in (("bare", bare), ("ours", ours)):
                say(f"start {number + 1} of {rounds}: {name}")
                with running(command, until="ready", environment=environment) as started:
                    starts[name].append(started.seconds)
                    time.sleep(SETTLE_SECONDS if number == 0 else 0.5)
                    memory[name].append(started.rss_megabytes())
        with (
            running(ours, until="ready", environment=environment),
            running(bare, until="ready", environment=environment),
        ):
            turns = asyncio.run(measure_turns(info, queue))
    return [
        Result(
            name="process start to ready", unit="s", ours=median(starts["ours"]), bare=median(starts["bare"]), goal=0.6
        ),
        Result(name="memory when idle", unit="MB", ours=memory["ours"][0], bare=memory["bare"][0], goal=85),
        *turns,
    ]


async def measure_turns(info: dict[str, str], queue: str) -> list[Result]:
    """One instant turn after the other, then many at once; the bare workflow has as many activities."""
    temporal = await Client.connect(info["temporal_host"])
    plane = ControlPlaneClient(base_url=info["control_plane_url"], api_key=Secret(info["api_key"]))

    async def ours() -> None:
        wish = Execute(prompt=f"{uuid.uuid4()}\n!instant", worker_queue_id=info["queue_id"], configuration=SINGLE_TURN)
        submitted = await plane.execute_agent(info["agent_id"], wish)
        await temporal.get_workflow_handle(f"agent-execution-{submitted.execution_id}").result()

    async def bare() -> None:
        await temporal.execute_workflow(BareWorkflow.run, id=f"bare-{uuid.uuid4()}", task_queue=queue)

    say("single turns")
    for warm in (bare, ours, bare, ours):
        await warm()
    single = {"ours": [], "bare": []}  # type: dict[str, list[float]]
    for _ in range(20):
        single["bare"].append(await timed(bare))
        single["ours"].append(await timed(ours))
    say(f"{AT_ONCE} at once")

    async def many(one: Callable[[], Awaitable[None]]) -> None:
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))

    crowd = {"bare": await timed(lambda: many(bare)), "ours": await timed(lambda: many(ours))}
    say("cancellations")
    cancelled = [await measure_cancel(info, plane, temporal, where, script) for where, script in CANCELLED.items()]
    await plane.aclose()
    return [
        Result(
            name="one instant turn, execute to closed", unit="s",
            ours=median(single["ours"]), bare=median(single["bare"]), goal=0.25,
        ),
        Result(name=f"{AT_ONCE} instant turns at once", unit="s", ours=crowd["ours"], bare=crowd["bare"], goal=6),
        *cancelled,
    ]  # fmt: skip


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


def table(results: list[Result]) -> str:
    width = max(len(one.name) for one in results)
    lines = [f"{'':{width}}  {'ours':>9}  {'bare':>9}  {'ratio':>6}  {'goal':>9}"]
    for one in results:
        verdict = "" if one.ours <= one.goal else "  missed"
        bare = _value(one.bare, one.unit) if one.bare is not None else ""
        ratio = f"{one.ratio:.2f}x" if one.ratio is not None else ""
        lines.append(
            f"{one.name:{width}}  {_value(one.ours, one.unit):>9}  {bare:>9}  {ratio:>6}  "
            f"{f'{one.goal:g} {one.unit}':>9}{verdict}"
        )
    return "\n".join(lines)


def _value(value: float, unit: str) -> str:
    digits = 3 if unit == "s" or (unit == "ms" and value < 1) else 0 if unit in {"MB", ""} else 1
    return f"{value:.{digits}f} {unit}".rstrip()


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


SINGLE_TURN = {"single_turn": True}

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
