"""What a worker does beside the work itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.support.engine import new_queue, running_engine
from tests.support.playground import Stage
from worker_core.basics import allocator
from worker_core.control_plane.models import Execute
from worker_core.machine import changes


async def test_no_task_is_made_for_a_payload(stage: Stage, tmp_path: Path) -> None:
    queue, made = await new_queue(stage), Counter[str]()

    def counted(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **how: Any) -> asyncio.Task[Any]:
        made[work.__qualname__] += 1
        return asyncio.Task(work, loop=loop, **how)

    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(counted)
        wish = Execute(prompt=f"tasks of {queue}\n!instant", worker_queue_id=queue, configuration={"single_turn": True})
        execution_id = (await rig.client.execute_agent(stage.info.agent_id, wish)).execution_id
        temporal = await Client.connect(stage.info.temporal_host)
        await temporal.get_workflow_handle(f"agent-execution-{execution_id}").result()
        loop.set_task_factory(None)
    assert any("_handle_activation" in name for name in made), "the workflow ran here"
    assert not [name for name in made if "visit_payload" in name]


async def test_memory_is_given_back_while_nothing_runs(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(changes.watch.__kwdefaults__, "every", timedelta(seconds=0.05))
    given_back = asyncio.Event()
    monkeypatch.setattr(allocator, "give_back", given_back.set)
    async with running_engine(stage, tmp_path, queue_ids=[await new_queue(stage)]), asyncio.timeout(60):
        await given_back.wait()
