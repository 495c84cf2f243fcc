"""Executions whose histories are worth keeping: each branch that workflow code can take stands in one of them."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from tests.agents.workflows.world import World, reply, serving, start, until_state
from tests.agents.workflows.world import tool as called
from tests.engine.submitted import job_input, new_team, submit, task
from tests.support.engine import new_agent, new_queue, running_engine
from tests.support.executions import tool
from tests.support.playground import Stage, until
from worker_core.agents.messages import (
    UNDECIDED,
    ApprovalWanted,
    BudgetReached,
    FinishTurn,
    ModelCall,
    ModelReply,
    RunTool,
    ToolOutcome,
    TurnDecision,
)
from worker_core.snapshot import StopMode
from worker_core.temporal.closing import closed
from worker_core.temporal.converter import DATA_CONVERTER

Scenario = Callable[[Stage, Client, Path], Awaitable[WorkflowHandle[Any, Any]]]
"""Runs one to its end; its handle, with the run id of the history to keep."""


async def closed_one(temporal: Client, execution_id: str, kind: str = "agent") -> WorkflowHandle[Any, Any]:
    """While a worker is there to do the last step, which follows behind what the control plane knows."""
    handle = temporal.get_workflow_handle(f"{kind}-execution-{execution_id}")
    await closed(temporal, handle.id)
    return handle


async def agent_with_tools_and_a_second_turn(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    async with running_engine(stage, folder) as rig:
        steps = ["!parallel", tool("echo one"), tool("echo two"), tool("false"), "!say first"]
        execution_id = await rig.execute("\n".join(["replay", *steps]))
        await rig.reach(execution_id, "waiting_for_input")
        await rig.turn(execution_id, "!say second")
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        return await closed_one(temporal, execution_id)


async def agent_paused_and_resumed(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    async with running_engine(stage, folder) as rig:
        execution_id = await rig.execute("\n".join(["replay", tool("sleep 1"), "!say over"]))
        await until(lambda: rig.sent(execution_id, "tool_started"))
        await rig.client.pause(execution_id)
        await until(lambda: rig.sent(execution_id, "tool_completed"))
        await rig.client.resume(execution_id)
        await rig.reach(execution_id, "waiting_for_input")
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        return await closed_one(temporal, execution_id)


async def agent_cancelled_in_a_tool(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    async with running_engine(stage, folder) as rig:
        execution_id = await rig.execute("\n".join(["replay", tool("sleep 1000")]))
        await until(lambda: rig.sent(execution_id, "tool_started"))
        await rig.cancel(execution_id)
        await rig.until(lambda: not rig.snapshot.executions)
        return await closed_one(temporal, execution_id)


async def agent_refused_by_the_gateway(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    async with running_engine(stage, folder) as rig:
        execution_id = await rig.execute("replay\n!error 401")
        await rig.reach(execution_id, "failed")
        return await closed_one(temporal, execution_id)


async def team(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    team_id = await new_team(stage, "left", "right")
    tasks = [task("left", tool("echo left"), "!say left"), task("right", "!say right")]
    async with running_engine(stage, folder) as rig:
        prompt = "\n".join(["replay", "!parallel", *tasks, "!say both"])
        execution_id = await submit(stage, f"/teams/{team_id}/execute", rig, prompt=prompt)
        await rig.reach(execution_id, "waiting_for_input")
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        return await closed_one(temporal, execution_id, "team")


async def dynamic(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    agents = {"helper": {"description": "helps", "prompt": "Be brief.", "model": None}}
    async with running_engine(stage, folder) as rig:
        execution_id = await submit(
            stage, "/execute", rig, entity_type="team", runtime_type="default",
            prompt="\n".join(["replay", task("helper", "!say hello"), "!say done"]),
            agent_config={"runtime_config": {"agents": agents}},
        )  # fmt: skip
        await rig.reach(execution_id, "completed")
        return await closed_one(temporal, execution_id, "dynamic")


async def claude_code(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    agent_id = await new_agent(stage, skills=("shell",), runtime="claude_code", model_id="kubiya/claude-sonnet-4")
    async with running_engine(stage, folder) as rig:
        prompt = "\n".join(["replay", tool("echo by claude"), "!say first"])
        execution_id = await rig.execute(prompt, agent_id=agent_id)
        await rig.reach(execution_id, "waiting_for_input")
        await rig.turn(execution_id, "replay again\n!say second")
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        return await closed_one(temporal, execution_id)


async def scheduled_job(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    job_id = str(uuid.uuid4())
    row = {"id": job_id, "organization_id": "playground", "name": "nightly"}
    stage.inside(lambda: stage.playground.context.store.insert("jobs", row))
    return await _job(stage, temporal, folder, job_id)


async def job_that_is_gone(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    return await _job(stage, temporal, folder, str(uuid.uuid4()))


async def _job(stage: Stage, temporal: Client, folder: Path, job_id: str) -> WorkflowHandle[Any, Any]:
    async with running_engine(stage, folder) as rig:
        handle = await temporal.start_workflow(
            "ScheduledJobWrapperWorkflow", job_input(stage, job_id), id=f"job-{job_id}",
            task_queue=rig.snapshot.queues[0].queue_id, result_type=dict,
        )  # fmt: skip
        await closed(temporal, handle.id)
        return handle


async def asked_allowed_and_denied(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    target = folder / "outside.txt"
    async with running_engine(stage, folder / "worker", approvals="ask") as rig:
        prompt = "\n".join(["replay", tool(f"echo one > {target}"), tool(f"echo two >> {target}"), "!say over"])
        execution_id = await rig.execute(prompt)
        for allow in (True, False):
            await rig.until(lambda: rig.snapshot.approvals)
            await rig.engine.answer_approval(rig.snapshot.approvals[0].id, allow=allow, scope="once")
            await rig.until(lambda: not rig.snapshot.approvals)
        await rig.reach(execution_id, "waiting_for_input")
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        return await closed_one(temporal, execution_id)


async def rehomed(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    queue = await new_queue(stage)
    async with running_engine(stage, folder / "one", queue_ids=[queue], home_lost_after=timedelta(seconds=1)) as lost:
        execution_id = await lost.execute("\n".join(["replay", tool("echo here"), "!hang 3", "!say over"]))
        await until(lambda: lost.sent(execution_id, "tool_completed"))
        await lost.engine.stop(mode=StopMode.NOW)
        await lost.stopped()
        async with running_engine(stage, folder / "two", queue_ids=[queue]) as rig:
            await rig.reach(execution_id, "waiting_for_input")
            await rig.client.mark_done(execution_id)
            await rig.reach(execution_id, "completed")
            return await closed_one(temporal, execution_id)


async def continued_as_new(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    """The second run of a long one; what stands behind the activities is made up here, for speed."""
    noise = random.Random(7)

    def answer(call: ModelCall) -> ModelReply:
        if call.silent or call.messages[-1]["role"] != "user":
            return reply("summary" if call.silent else f"turn {call.turn} done")
        return reply("", called("shell", f"call_{call.turn}"))

    world = World(
        answer=answer,
        run=lambda request: ToolOutcome(succeeded=True, output=noise.randbytes(30_000).hex()),
        decide=lambda turn: "waiting_for_input",
        context_limit_tokens=20_000,
    )
    client = Client(temporal.service_client, data_converter=DATA_CONVERTER)

    async def run_id() -> str:
        return (await client.get_workflow_handle(handle.id).describe()).run_id

    async with serving(client, world) as queue:
        handle = await start(client, queue)
        first, number = await run_id(), 0
        async with asyncio.timeout(90):
            while await run_id() == first:
                number += 1
                while len(world.finished) < number:
                    await asyncio.sleep(0.01)
                await handle.signal("add_message", {"role": "user", "content": "again", "message_id": f"m{number}"})
            while len(world.finished) <= number:
                await asyncio.sleep(0.01)
        await handle.signal("mark_as_done")
        await client.get_workflow_handle(handle.id).result()
    return client.get_workflow_handle(handle.id, run_id=await run_id())


async def context_full_until_it_fits(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    """Refused twice in one turn, its summary once; the limit that was named is kept."""

    def answer(call: ModelCall) -> ModelReply:
        if sum(len(str(message["content"])) for message in call.messages) > 4_000:
            details = ("llm_model_error", {"limit_tokens": 3_000})
            raise ApplicationError("The context is full.", *details, type="ContextFull", non_retryable=True)
        return reply("summary" if call.silent else f"turn {call.turn}")

    world = World(answer=answer, decide=lambda turn: "waiting_for_input" if turn.turn < 3 else "completed")
    return await _made_up(temporal, world, ["y" * 3_000, "z" * 3_000], prompt="x" * 30_000)


async def turn_given_up_and_continued(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    def answer(call: ModelCall) -> ModelReply:
        if call.turn == 1:
            raise ApplicationError("No quota.", "llm_model_error", type="GatewayPassing", non_retryable=True)
        return reply("there")

    return await _made_up(temporal, World(answer=answer), ["now?"])


async def asked_in_mid_call(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    """A call under way asks twice: what was filled in goes back into it; the second question is not answered."""

    def run(request: RunTool) -> ToolOutcome:
        if request.content is None and not request.answer:
            return _asks("size", timedelta(minutes=5))
        if request.answer == "allow":
            assert request.content == {"size": "large"}
            return _asks("colour", timedelta(seconds=1))
        return ToolOutcome(succeeded=False, output="", error=f"The question was not answered: {request.answer}.")

    def answer(call: ModelCall) -> ModelReply:
        return reply("", called("shop", "call_1")) if call.messages[-1]["role"] == "user" else reply("over")

    client = Client(temporal.service_client, data_converter=DATA_CONVERTER)
    world = World(answer=answer, run=run, decide=lambda turn: "completed")
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        async with asyncio.timeout(30):
            while not world.tool_calls:
                await asyncio.sleep(0.01)
        filled_in = {"call_id": "call_1", "answer": "allow", "scope": "once", "content": {"size": "large"}}
        await handle.signal("answer_approval", filled_in)
        await handle.result()
    assert [(one.answer, one.content) for one in world.tool_calls] == [
        ("", None), ("allow", {"size": "large"}), ("timeout", None),
    ]  # fmt: skip
    return handle


async def budget_extended_then_used_up(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    """A budget stops a model call, which goes on when more is allowed; nobody answers for the tool's, so the turn ends
    with its calls answered; another turn follows.
    """

    def reached(question: str, lasting: timedelta = timedelta(minutes=5)) -> BudgetReached:
        expires_at = (datetime.now(UTC) + lasting).isoformat()
        return BudgetReached(sentence=f"{question} is used up.", call_id=question, expires_at=expires_at)

    def answer(call: ModelCall) -> ModelReply:
        if call.turn == 2:
            return reply("over")
        if call.budget is None:
            return replace(reply(""), budget=reached("tokens"))
        assert (call.budget.answer, call.budget.content) == ("allow", {"more": 5})
        return reply("", called("shell", "call_1"), called("shell", "call_2"))

    def run(request: RunTool) -> ToolOutcome:
        ended = BudgetReached(sentence="tools is used up.")
        asked = reached("tools", timedelta(seconds=1)) if request.budget is None else ended
        return ToolOutcome(succeeded=False, output="", budget=asked)

    client = Client(temporal.service_client, data_converter=DATA_CONVERTER)
    world = World(answer=answer, run=run)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        async with asyncio.timeout(30):
            while not world.model_calls:
                await asyncio.sleep(0.01)
            await handle.signal("answer_approval", {"call_id": "tokens", "answer": "allow", "content": {"more": 5}})
            while not world.given_up:
                await asyncio.sleep(0.01)
        await handle.signal("add_message", {"role": "user", "content": "go on", "message_id": "m2"})
        await handle.result()
    assert [one.budget and one.budget.answer for one in world.tool_calls] == [None, "timeout"]
    assert [one.error for one in world.given_up] == ["tools is used up."]
    assert [one["role"] for one in world.given_up[0].messages] == ["user", "tool", "tool"]
    return handle


async def answered_ahead_and_ended_with_its_turn(
    stage: Stage, temporal: Client, folder: Path
) -> WorkflowHandle[Any, Any]:
    """The first answer comes with the beginning; a message comes while the turn ends the execution, which goes on."""

    async def send(turn: FinishTurn) -> None:
        if turn.turn == 1:
            await handle.signal("add_message", {"role": "user", "content": "wait", "message_id": "m1"})

    client = Client(temporal.service_client, data_converter=DATA_CONVERTER)
    world = World(
        answer=lambda call: reply("over"), first=reply("ahead"), ends_with_its_turn=lambda turn: True, meanwhile=send
    )
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await handle.result()
    assert [begun.home_lost for begun in world.begun] == [False, True]
    assert [call.turn for call in world.model_calls] == [2]
    return handle


async def ended_with_a_later_answer(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    """The first turn ends with the answer behind its tool; how far the second one's end came is not known."""

    def answer(call: ModelCall) -> ModelReply:
        if call.turn == 2:
            return replace(reply("over"), decision=UNDECIDED)
        if not call.after_tools:
            return reply("look", called("shell"))
        return replace(reply("done"), decision=TurnDecision(status="waiting_for_input"))

    client = Client(temporal.service_client, data_converter=DATA_CONVERTER)
    world = World(answer=answer)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await until_state(handle, "waiting_for_input")
        await handle.signal("add_message", {"role": "user", "content": "again", "message_id": "m1"})
        await handle.result()
    assert [(turn.turn, turn.moved) for turn in world.finished] == [(2, True)]
    return handle


async def asked_ahead_and_answered_later(stage: Stage, temporal: Client, folder: Path) -> WorkflowHandle[Any, Any]:
    """The model takes longer than a beginning waits for it."""
    async with running_engine(stage, folder) as rig:
        execution_id = await rig.execute("replay\n!hang 2\n!say late")
        await rig.reach(execution_id, "waiting_for_input")
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        return await closed_one(temporal, execution_id)


def _asks(question: str, lasting: timedelta) -> ToolOutcome:
    expires_at = (datetime.now(UTC) + lasting).isoformat()
    return ToolOutcome(succeeded=False, output="", approval=ApprovalWanted(id=question, expires_at=expires_at))


async def _made_up(temporal: Client, world: World, messages: list[str], **changes: Any) -> WorkflowHandle[Any, Any]:
    """What stands behind the activities is made up; each message is sent when the workflow waits for it."""
    client = Client(temporal.service_client, data_converter=DATA_CONVERTER)
    async with serving(client, world) as queue:
        handle = await start(client, queue, **changes)
        for number, message in enumerate(messages, 1):
            async with asyncio.timeout(30):
                while len(world.finished) + len(world.given_up) < number:
                    await asyncio.sleep(0.01)
            await handle.signal("add_message", {"role": "user", "content": message, "message_id": f"m{number}"})
        await handle.result()
    return handle


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        agent_with_tools_and_a_second_turn, agent_paused_and_resumed, agent_cancelled_in_a_tool,
        agent_refused_by_the_gateway, asked_allowed_and_denied,
        team, dynamic, claude_code, scheduled_job, job_that_is_gone, rehomed, continued_as_new,
        context_full_until_it_fits, turn_given_up_and_continued, asked_in_mid_call, budget_extended_then_used_up,
        answered_ahead_and_ended_with_its_turn, ended_with_a_later_answer, asked_ahead_and_answered_later,
    )
}  # fmt: skip


async def history_of(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """As JSON, without what only names the machine that made it."""
    history: dict[str, Any] = _anonymous(json.loads((await handle.fetch_history()).to_json()))
    return history


def _anonymous(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "machine" if "sticky" in str(value.get("kind")).lower() and key == "name" else _anonymous(one)
            for key, one in value.items()
            if key not in {"identity", "stackTrace"}
        }
    return [_anonymous(one) for one in value] if isinstance(value, list) else value


ENDS = {f"EVENT_TYPE_WORKFLOW_EXECUTION_{end}" for end in ("COMPLETED", "FAILED", "CANCELED", "TIMED_OUT")}
