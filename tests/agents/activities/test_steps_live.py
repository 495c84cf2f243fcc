"""A step that waits for the control plane says so to Temporal for as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.testing import ActivityEnvironment

from tests.support.processes import eventually
from worker_core.agents.activities import heartbeat, steps
from worker_core.agents.messages import EndExecution, GiveUpTurn, JobRecord, JobStatus, SaveMessages, StartTurn, Usage


class Waiting:
    """Stands for whatever a step asks: it answers when a test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self.cut_off = 0

    async def __call__(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise


STEPS: dict[str, Any] = {
    "start_turn": StartTurn(execution_id="e", turn=2),
    "save_messages": SaveMessages(execution_id="e", messages=(), user_id="", turn=1),
    "give_up_turn": GiveUpTurn(
        execution_id="e", turn=1, error="", error_type="", error_category="", messages=(), usage=Usage()
    ),
    "end_execution": EndExecution(execution_id="e", status="completed", response="", usage=Usage(), turns=1),
    "create_job_record": JobRecord(execution_id="e", job_id="j", kind="agents", entity_id="a", prompt="p"),
    "set_job_status": JobStatus(execution_id="e", job_id="j", status="completed", duration_ms=1),
}
WHOLE = sorted({*STEPS} - {"start_turn"})
"""Those that end as they began, also where their execution is cancelled meanwhile."""


@pytest.fixture
async def plane(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    waiting = Waiting()
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", 0.01)
    for module, name in (
        (steps.turn_ends, "give_up"),
        (steps.turn_ends, "store_messages"),
        (steps.execution_ends, "finish"),
    ):
        monkeypatch.setattr(module, name, waiting)
    return waiting


def step(name: str, plane: Waiting) -> Callable[..., Coroutine[Any, Any, Any]]:
    nothing = lambda *_, **__: None  # noqa: E731
    calls = ("get_execution", "load_session", "create_job_execution", "set_job_status", "patch_execution")
    services = SimpleNamespace(
        settings=SimpleNamespace(home_lost_after=timedelta(minutes=5)),
        client=SimpleNamespace(**dict.fromkeys(calls, plane)),
        sessions=SimpleNamespace(read=plane),
        tracker=SimpleNamespace(turn_began=nothing),
        bus=SimpleNamespace(publish=nothing),
        announcements=SimpleNamespace(goes_on=lambda _, tell: tell),
        redactor=SimpleNamespace(mask=str),
        launcher=None,
    )
    queue = SimpleNamespace(queue_id="q", home_queue="q@here", worker_id=lambda: "w")
    made: Any = steps.Steps(services, queue)  # type: ignore[arg-type]
    found: Callable[..., Coroutine[Any, Any, Any]] = getattr(made, name)
    return found


@pytest.mark.parametrize("name", STEPS)
async def test_a_step_that_waits_sends_heartbeats(plane: Waiting, name: str) -> None:
    beats: list[Any] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append
    under_way = asyncio.create_task(environment.run(step(name, plane), STEPS[name]))
    await eventually(lambda: plane.asked and len(beats) > 2)
    plane.answers.set()
    await asyncio.gather(under_way, return_exceptions=True)


@pytest.mark.parametrize("name", WHOLE)
async def test_a_step_that_writes_ends_whole_where_it_is_cancelled(plane: Waiting, name: str) -> None:
    environment = ActivityEnvironment()
    under_way = asyncio.create_task(environment.run(step(name, plane), STEPS[name]))
    await eventually(lambda: plane.asked)
    environment.cancel(ActivityCancellationDetails(cancel_requested=True))
    await asyncio.sleep(0)
    plane.answers.set()
    await asyncio.gather(under_way, return_exceptions=True)
    assert plane.cut_off == 0
    assert not under_way.cancelled()
