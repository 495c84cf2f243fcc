"""The numbers of days, as a worker counts them: real turns, one that fails, and a worker that is killed in between."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.engine.answering import run
from tests.support.engine import home, new_queue, running_engine
from tests.support.executions import Viewer, submit, tool
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.budgets.usage import DailyUsage, read_usage
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.events import ExecutionWaiting, ModelCalled
from worker_core.settings.budget import read_limit


async def counted(folder: Path, turns: int) -> DailyUsage:
    """The numbers, once so many turns have ended. The record says that one has before its worker counts it."""
    file = home(folder).budget_file

    async def enough() -> DailyUsage | None:
        usage = await asyncio.to_thread(read_usage, file)
        return usage if usage.total.turns >= turns else None

    return await until(enough)


async def test_turns_tokens_and_failures_by_agent_and_queue(stage: Stage, tmp_path: Path) -> None:
    limit = (read_limit("turn.tool_calls=1"),)
    async with running_engine(stage, tmp_path, approvals="deny", budget=limit) as rig:
        execution_id = await rig.execute("!say one")
        await rig.reach(execution_id, "waiting_for_input")
        await rig.turn(execution_id, "!say two")
        await rig.turn(execution_id, "\n".join(["three", tool("echo a"), tool("echo b"), "!say never"]))
        usage = await counted(tmp_path, 3)
        [queue] = rig.snapshot.queues
        spent = sum(one.prompt_tokens + one.completion_tokens for one in rig.published(ModelCalled))
    assert (usage.total.turns, usage.total.failed, usage.total.tokens) == (3, 1, spent)
    [(agent_id, of_agent)] = usage.by("agent")
    [(queue_id, of_queue)] = usage.by("queue")
    assert (agent_id, queue_id) == (stage.info.agent_id, queue.queue_id)
    assert of_agent == of_queue == usage.total
    assert usage.name("agent", agent_id) not in {"", agent_id}
    assert usage.name("queue", queue_id) == queue.queue_name


async def test_whoever_hears_that_a_turn_has_ended_finds_it_counted(stage: Stage, tmp_path: Path) -> None:
    """A window reads the numbers when it hears that."""
    async with running_engine(stage, tmp_path) as rig:
        at_the_end: list[int] = []
        file = home(tmp_path).budget_file
        end = rig.engine.events.listen(
            lambda _: at_the_end.append(read_usage(file).total.turns), only=(ExecutionWaiting,)
        )
        execution_id = await rig.execute("!say one")
        await rig.reach(execution_id, "waiting_for_input")
        await rig.turn(execution_id, "!say two")
        await rig.until(lambda: at_the_end[1:])
        end()
    assert at_the_end == [1, 2]


async def test_an_execution_that_failed_at_its_beginning_counts_as_failed(stage: Stage, tmp_path: Path) -> None:
    hook = {"hook_before_execution": "false"}
    async with running_engine(stage, tmp_path, **hook) as rig:
        await rig.reach(await rig.execute("!say never"), "failed")
        usage = await counted(tmp_path, 1)
    assert (usage.total.turns, usage.total.failed) == (1, 1)


async def test_a_killed_worker_has_counted_and_the_next_goes_on(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        first = await submit(stage, client, queue, "!say one")
        await viewer.reach(first, "waiting_for_input")
        before = await counted(tmp_path, 1)
        worker.kill()
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        second = await submit(stage, client, queue, "!say two")
        await viewer.reach(second, "waiting_for_input")
        usage = await counted(tmp_path, 2)
        assert worker.terminate() == 0
    assert (usage.total.turns, usage.total.failed) == (2, 0)
    assert usage.total.tokens > before.total.tokens > 0
    told = json.loads(await asyncio.to_thread(run, tmp_path, "usage", "--json", "--by", "queue"))
    assert [(row["queue_id"], row["turns"]) for row in told["rows"]] == [(queue, 2)]
