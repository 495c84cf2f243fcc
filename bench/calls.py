"""What an execution's calls of a tool cost its user: in a worker with each sandbox and in one without, in turn.

Unlike the rows of `sandbox.py` these have all that a call needs in them, and a sandbox is made when the worker makes
it: while the model writes the first call, and behind each for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
from temporalio.client import Client, WorkflowHistory

from bench.playground import PROGRAM, access, new_queue, scripted_playground
from bench.processes import running
from bench.result import Result
from bench.sandbox import CALLS, SANDBOXES, plain_call
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

EXECUTIONS: Final = 30
WARM: Final = 3
CALLS_OF_ONE: Final = 3
MORE: Final = {"first": 1.5, "later": 0.2}
"""Times a plain subprocess: by so much a call may take longer in a sandbox."""

_PROMPT: Final = "\n".join(['!tool shell {"command": "true"}'] * CALLS_OF_ONE)


@dataclass(slots=True, kw_only=True)
class _Worker:
    queue_id: str
    name: str = ""
    """Of the sandbox that it has, as its calls say."""

    times: dict[str, list[float]] = field(default_factory=lambda: {which: [] for which in MORE})
    """Milliseconds of calls, from the begin of the step to its outcome, as Temporal dates them."""


def measure_calls(folder: Path) -> list[Result]:
    """Without those sandboxes that do not work here."""
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder)}
    with scripted_playground(folder / "playground", environment=environment) as info, contextlib.ExitStack() as held:
        workers = {}
        for setting in ("none", *SANDBOXES):
            workers[setting] = _Worker(queue_id=new_queue(info, f"calls-{setting}"))
            own = {
                **environment, **access(info), "KUBIYA_WORKER_HOME": str(folder / setting),
                "KUBIYA_WORKER_SANDBOX": setting, "KUBIYA_WORKER_REQUIRE_SANDBOX": "never",
            }  # fmt: skip
            command = [*PROGRAM, "start", "--queue-id", workers[setting].queue_id]
            held.enter_context(running(command, until="ready", environment=own))
        asyncio.run(_measure(info, list(workers.values())))
    plain = plain_call(CALLS["shell call"], folder)
    bare = workers.pop("none")
    seen = {one.name: one for one in reversed(workers.values()) if one.name != bare.name}
    return [
        Result(
            name=f"an execution's {which} shell call, {one.name}",
            unit="ms",
            ours=statistics.median(one.times[which]),
            bare=(without := statistics.median(bare.times[which])),
            goal=round(without + more * plain, 1),
        )
        for one in reversed(seen.values())
        for which, more in MORE.items()
    ]


async def _measure(info: Mapping[str, str], workers: Sequence[_Worker]) -> None:
    temporal = await Client.connect(info["temporal_host"])
    plane = ControlPlaneClient(base_url=info["control_plane_url"], api_key=Secret(info["api_key"]))
    for number in range(WARM + EXECUTIONS):
        # What the one before has still to clear away is now of one, now of another.
        for one in workers[:: 1 if number % 2 else -1]:
            wish = Execute(
                prompt=f"{uuid.uuid4()}\n{_PROMPT}",
                worker_queue_id=one.queue_id,
                configuration={"single_turn": True},
            )
            execution_id = (await plane.execute_agent(info["agent_id"], wish)).execution_id
            workflow = temporal.get_workflow_handle(f"agent-execution-{execution_id}")
            await workflow.result()
            first, *later = calls_of(await workflow.fetch_history())
            if number >= WARM:
                one.times["first"].append(first)
                one.times["later"] += later
            else:
                one.name = await _sandbox_of(info, execution_id)
    await plane.aclose()


def calls_of(history: WorkflowHistory) -> list[float]:
    """Milliseconds of each call of a tool, in the order of their outcomes."""
    kinds: dict[int, str] = {}
    begun: dict[int, int] = {}
    found = []
    for event in history.events:
        at = event.event_time.ToNanoseconds()
        if event.HasField("activity_task_scheduled_event_attributes"):
            kinds[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        elif event.HasField("activity_task_started_event_attributes"):
            begun[event.activity_task_started_event_attributes.scheduled_event_id] = at
        elif event.HasField("activity_task_completed_event_attributes"):
            step = event.activity_task_completed_event_attributes.scheduled_event_id
            if kinds[step] == "run_tool":
                found.append((at - begun[step]) / 1e6)
    return found


async def _sandbox_of(info: Mapping[str, str], execution_id: str) -> str:
    """Where all its calls ran.

    Raises:
        ValueError: they did not succeed in one and the same.
    """
    headers = {"Authorization": f"Bearer {info['api_key']}"}
    url = f"{info['control_plane_url']}/api/v1/executions/{execution_id}/events?origin=worker"
    async with httpx2.AsyncClient(headers=headers, trust_env=False) as api:
        rows: list[dict[str, Any]] = (await api.get(url)).raise_for_status().json()
    calls = [row["data"] for row in rows if row["event_type"] == "tool_completed"]
    [(status, name)] = {(call["status"], str(call.get("sandbox"))) for call in calls}
    if status != "success" or len(calls) != CALLS_OF_ONE:
        raise ValueError(f"{len(calls)} calls in {name}: {status}")
    return name
