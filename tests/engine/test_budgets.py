"""Budgets over a real Temporal, a real control plane, and restarts of the worker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.engine.answering import asked, decided, run
from tests.support.engine import Rig, home, new_agent, new_queue, running_engine
from tests.support.executions import Viewer, submit, tool
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.events import ModelCalled
from worker_core.settings.budget import read_limit

LONG = "x" * 1_200
"""Some hundred tokens: it goes to the model with each call."""


def endless(calls: int = 40) -> str:
    """A model that calls a tool for ever, as far as a budget of some calls can see."""
    return "\n".join([f"endless {LONG}", *(tool(f"echo {number}") for number in range(calls)), "!say at last"])


def tokens(rig: Rig) -> list[int]:
    """Of each model call."""
    return [one.prompt_tokens + one.completion_tokens for one in rig.published(ModelCalled)]


async def given_up(rig: Rig, execution_id: str) -> str:
    """The sentence that ended the turn."""
    await rig.reach(execution_id, "waiting_for_input")
    errors = await rig.sent(execution_id, "error")
    return str(errors[-1]["data"]["details"]["error_message"])


def limits(*texts: str) -> Any:
    return tuple(map(read_limit, texts))


async def test_an_endless_loop_stops_within_one_call_over_and_goes_on_where_it_was(
    stage: Stage, tmp_path: Path
) -> None:
    async with running_engine(stage, tmp_path, approvals="ask", budget=limits("execution.tokens=2000")) as rig:
        execution_id = await rig.execute(endless(8))
        question = await asked(rig)
        assert sum(tokens(rig)) >= 2000 > sum(tokens(rig)[:-1])
        assert "The budget of 2,000 tokens for this execution is used up" in question.parts[0].text
        await rig.until(lambda: rig.snapshot.executions[0].status == "waiting_for_approval")
        [view] = rig.snapshot.executions[0].budget
        assert (view.scope, view.kind, view.spent, view.limit) == ("execution", "tokens", sum(tokens(rig)), 2000)
        made = len(await rig.sent(execution_id, "tool_completed"))
        await rig.engine.answer_approval(question.id, allow=True, values={"more": "100000"})
        record = await rig.reach(execution_id, "waiting_for_input")
        assert record.response == "at last"
        assert len(await rig.sent(execution_id, "tool_completed")) == 8 > made > 0, "none was made again"
        assert rig.snapshot.executions[0].budget[0].limit == 102_000
    assert [one for one in decided(tmp_path) if one[0] != "allow"] == [("ask", ""), ("answer", "allow")]


async def test_a_denied_budget_ends_the_turn_and_keeps_the_work(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, approvals="ask", budget=limits("turn.model_calls=2")) as rig:
        execution_id = await rig.execute(endless(4))
        await rig.engine.answer_approval((await asked(rig)).id, allow=False)
        assert (
            await given_up(rig, execution_id) == "The budget of 2 model calls for this turn is used up (2 model calls)."
        )
        session = await rig.client.load_session(execution_id)
        assert session is not None
        assert [one["role"] for one in session["messages"]].count("tool") == 2
        record = await rig.turn(execution_id, "!say another turn")
        assert record.response == "another turn"


async def test_where_nobody_can_be_asked_the_turn_ends_with_its_calls_answered(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, approvals="deny", budget=limits("turn.tool_calls=1")) as rig:
        execution_id = await rig.execute(
            "\n".join(["several", "!parallel", tool("echo one"), tool("echo two"), tool("echo three"), "!say over"])
        )
        assert "1 tool call for this turn is used up" in await given_up(rig, execution_id)
        session = await rig.client.load_session(execution_id)
        assert session is not None
        results = [one for one in session["messages"] if one["role"] == "tool"]
    assert len(results) == 3
    assert ["The call was not made" in str(one) for one in results] == [False, True, True]


async def test_a_server_can_only_narrow_and_the_policy_counts(stage: Stage, tmp_path: Path) -> None:
    paths = home(tmp_path)
    paths.config.mkdir(parents=True)
    paths.policy_file.write_text("[budget]\nexecution.model_calls = 3\n")
    wide = await new_agent(stage, configuration={"budget": {"execution": {"model_calls": 50}}})
    narrow = await new_agent(stage, configuration={"budget": ["execution.model_calls=1"]})
    broken = await new_agent(stage, configuration={"budget": {"execution": {"spoons": 1}}})
    async with running_engine(stage, tmp_path, approvals="deny", budget=limits("execution.model_calls=2")) as rig:
        ended = []
        for agent_id in (wide, narrow, broken):
            execution_id = await rig.execute(endless(4), agent_id=agent_id)
            ended.append(await given_up(rig, execution_id))
        errors = await rig.sent(execution_id, "error")
    assert [one.split(" for ")[0] for one in ended] == [
        "The budget of 2 model calls", "The budget of 1 model call", "The budget of 2 model calls"
    ]  # fmt: skip
    assert "came with this execution is not honoured" in errors[0]["data"]["details"]["error_message"]


async def test_one_answer_for_the_day_lets_all_go_on(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, approvals="ask", budget=limits("day.model_calls=2")) as rig:
        executions = [await rig.execute(endless(3)) for _ in range(2)]
        await rig.until(lambda: len(rig.snapshot.approvals) == 2)
        assert [(one.scope, one.spent) for one in rig.snapshot.budget] == [("day", rig.snapshot.budget[0].spent)]
        await rig.engine.answer_approval(rig.snapshot.approvals[0].id, allow=True, values={"more": 100})
        for execution_id in executions:
            assert (await rig.reach(execution_id, "waiting_for_input")).response == "at last"
        assert rig.snapshot.approvals == ()


async def test_a_cost_that_nobody_knows_is_asked_about_and_one_from_the_table_is_counted(
    stage: Stage, tmp_path: Path
) -> None:
    async with running_engine(stage, tmp_path, approvals="ask", budget=limits("turn.cost=1")) as rig:
        execution_id = await rig.execute(endless(2))
        question = await asked(rig)
        assert "cannot be held" in question.parts[0].text
        assert question.fields == ()
        prices = home(tmp_path).price_file
        prices.parent.mkdir(parents=True, exist_ok=True)
        prices.write_text('["*"]\ninput = 10_000\noutput = 10_000\n')
        await rig.engine.answer_approval(question.id, allow=True)
        question = await asked(rig)
        assert "The budget of $1.00 for this turn is used up" in question.parts[0].text
        await rig.engine.answer_approval(question.id, allow=True, values={"more": "50"})
        record = await rig.reach(execution_id, "waiting_for_input")
    assert record.response == "at last"


async def test_a_budget_outlives_a_kill_and_is_extended_by_the_command(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    settings = {"KUBIYA_WORKER_APPROVALS": "ask", "KUBIYA_WORKER_BUDGET": "execution.tokens=2000"}
    with worker_process(stage, tmp_path, queue, **settings) as worker:
        worker.wait_ready()
        execution_id = await submit(stage, client, queue, endless(8))
        await until(lambda: viewer.sent(execution_id, "tool_completed"))
        worker.kill()
    with worker_process(stage, tmp_path, queue, **settings) as worker:
        worker.wait_ready()
        await until(lambda: viewer.sent(execution_id, "approval_requested"))
        worker.kill()
    made = await viewer.sent(execution_id, "tool_completed")
    with worker_process(stage, tmp_path, queue, **settings) as worker:
        worker.wait_ready()
        listed = await asyncio.to_thread(run, tmp_path, "approvals")
        assert "2,000 tokens" in listed
        await asyncio.to_thread(run, tmp_path, "approvals", "allow", listed.split()[0][:5], "--set", "more=100000")
        record = await viewer.reach(execution_id, "waiting_for_input")
        assert worker.terminate() == 0
    assert record.response == "at last"
    assert len(made) < 8
