"""One worker, several queues, few places."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.engine import Rig, new_queue, running_engine
from tests.support.playground import Stage
from worker_core.events import ExecutionStarted
from worker_core.settings.per_queue import PerQueue


async def most_at_once(rig: Rig, *execution_ids: str) -> int:
    """Until all of them wait for their users; how many were in mid-turn at the same time."""
    waiting = asyncio.gather(*(rig.reach(one, "waiting_for_input", "failed") for one in execution_ids))
    most = 0
    while not waiting.done():
        most = max(most, sum(view.status == "running" for view in rig.snapshot.executions))
        await asyncio.sleep(0.005)
    assert [record.status for record in await waiting] == ["waiting_for_input"] * len(execution_ids)
    return most


async def test_each_queue_is_served_where_there_is_one_place(stage: Stage, tmp_path: Path) -> None:
    queues = [await new_queue(stage) for _ in range(3)]
    async with running_engine(stage, tmp_path, queue_ids=queues, max_executions=1) as rig:
        for queue in queues:  # while the others have nothing, and wait for work with a place kept free for them
            execution_id = await rig.execute(f"alone in {queue}\n!say here", queue_id=queue)
            assert (await rig.reach(execution_id, "waiting_for_input")).response == "here"
        together = [await rig.execute(f"together in {queue}\n!hang 0.2\n!say x", queue_id=queue) for queue in queues]
        assert await most_at_once(rig, *together) == 1


async def test_a_queue_has_a_limit_of_its_own(stage: Stage, tmp_path: Path) -> None:
    narrow, wide = await new_queue(stage), await new_queue(stage)
    limits = (PerQueue(queue_id=narrow, number=1),)
    async with running_engine(stage, tmp_path, queue_ids=[narrow, wide], max_executions=4, queue_limits=limits) as rig:
        assert [queue.executions_limit for queue in rig.snapshot.queues] == [1, 0]
        ids = [await rig.execute(f"narrow {number}\n!hang 0.3\n!say x", queue_id=narrow) for number in range(3)]
        assert await most_at_once(rig, *ids) == 1
        ids = [await rig.execute(f"wide {number}\n!hang 1\n!say x", queue_id=wide) for number in range(3)]
        assert await most_at_once(rig, *ids) > 1


async def test_a_queue_with_priority_comes_first(stage: Stage, tmp_path: Path) -> None:
    low, high = await new_queue(stage), await new_queue(stage)
    priorities = (PerQueue(queue_id=high, number=1),)
    async with running_engine(
        stage, tmp_path, queue_ids=[low, high], max_executions=1, queue_priorities=priorities
    ) as rig:
        first = await rig.execute("first\n!hang 1\n!say x", queue_id=low)
        await rig.until(lambda: rig.snapshot.executions)
        ids = [
            await rig.execute(f"{queue} {number}\n!say x", queue_id=queue)
            for number in range(2)
            for queue in (low, high)
        ]
        await most_at_once(rig, first, *ids)
    order = [ids.index(event.execution_id) for event in rig.published(ExecutionStarted) if event.execution_id in ids]
    assert set(order[:2]) == {1, 3}, order


async def test_a_queue_that_asks_for_labels_is_served_by_workers_that_have_them(stage: Stage, tmp_path: Path) -> None:
    queue, other = await new_queue(stage, settings={"worker_labels": {"pool": "gpu*"}}), await new_queue(stage)
    async with running_engine(stage, tmp_path / "without", queue_ids=[queue, other], ready=False) as without:
        await without.until(lambda: [view for view in without.snapshot.queues if "pool=gpu*" in view.reason])
        await without.until(lambda: [view for view in without.snapshot.queues if view.polling])
        [asking, plain] = without.snapshot.queues
        assert (asking.polling, plain.polling) == (False, True)
        waits = await without.execute("asks for labels\n!say from the right one", queue_id=queue)
        here = await without.execute("asks for none\n!say here", queue_id=other)
        await without.reach(here, "waiting_for_input")
        assert not [view for view in without.snapshot.executions if view.execution_id == waits]
        options = {"queue_ids": [queue], "labels": ("pool=gpu-large",)}
        async with running_engine(stage, tmp_path / "within", **options) as fitting:
            assert (await fitting.reach(waits, "waiting_for_input")).response == "from the right one"
        assert [event.execution_id for event in without.published(ExecutionStarted)] == [here]
