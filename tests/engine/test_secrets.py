"""Secrets of an execution: known before anything of it leaves, and as long as it is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engine import new_agent, new_queue, running_engine
from tests.support.executions import tool
from tests.support.playground import Stage
from worker_core.agents.activities import tracker
from worker_core.logs.redaction import MASK, Redactor
from worker_core.snapshot import StopMode

URL = "postgres://app:Kq7vTzWm2x@db.example.com/x"
OPAQUE = "Zt81hBqLw0Rk3VnY6s"
VARIABLES = {"DATABASE_URL": URL, "DB_PASS": "hunter-two", "stripe": OPAQUE, "REGION": "eu-central-1"}


async def test_an_execution_s_secrets_are_masked_by_name_and_by_look(stage: Stage, tmp_path: Path) -> None:
    agent = await new_agent(stage, execution_environment={"env_vars": VARIABLES})
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute(
            "declared\n"
            + tool("echo $DATABASE_URL; echo ${DATABASE_URL#*app:}; echo $DB_PASS; echo $stripe; echo $REGION"),
            agent_id=agent,
        )
        await rig.reach(execution_id, "waiting_for_input")
        [completed] = await rig.sent(execution_id, "tool_completed")
        everything = str(await rig.sent(execution_id)) + str(await rig.client.load_session(execution_id))
    assert completed["data"]["tool_output"] == f"{MASK}\n{MASK}@db.example.com/x\n{MASK}\n{MASK}\neu-central-1\n"
    for secret in (URL, "Kq7vTzWm2x", "hunter-two", OPAQUE):
        assert secret not in everything


async def test_they_are_forgotten_when_the_last_execution_that_declared_them_ends(stage: Stage, tmp_path: Path) -> None:
    redactor = Redactor()
    agent = await new_agent(stage, execution_environment={"env_vars": VARIABLES})
    async with running_engine(stage, tmp_path, redactor=redactor) as rig:
        first = await rig.execute("first of two\n" + tool("true"), agent_id=agent)
        second = await rig.execute("second of two\n" + tool("true"), agent_id=agent)
        for execution_id in (first, second):
            await rig.reach(execution_id, "waiting_for_input")
        assert redactor.mask(OPAQUE) == MASK
        await rig.cancel(first)
        await rig.reach(first, "cancelled")
        assert redactor.mask(OPAQUE) == MASK
        await rig.cancel(second)
        await rig.reach(second, "cancelled")
        await rig.until(lambda: not rig.snapshot.executions)
        assert redactor.mask(f"{OPAQUE} {URL}") == f"{OPAQUE} postgres://{MASK}@db.example.com/x"
        assert redactor.mask(stage.info.api_key) == MASK


async def test_they_are_forgotten_where_nothing_is_heard_of_an_execution_and_known_again_with_it(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redactor = Redactor()
    agent = await new_agent(stage, execution_environment={"env_vars": VARIABLES})
    async with running_engine(stage, tmp_path, redactor=redactor) as rig:
        execution_id = await rig.execute("rests for long\n!say one", agent_id=agent)
        await rig.reach(execution_id, "waiting_for_input")
        assert redactor.mask(OPAQUE) == MASK
        monkeypatch.setattr(tracker, "FORGOTTEN_AFTER_SECONDS", -1.0)
        await rig.until(lambda: not rig.snapshot.executions)
        assert redactor.mask(OPAQUE) == OPAQUE
        monkeypatch.undo()
        await rig.turn(execution_id, f"!say {OPAQUE}")
        said = await rig.said(execution_id)
    assert OPAQUE not in said
    assert MASK in said


async def test_a_worker_that_was_restarted_knows_them_before_the_model_speaks(stage: Stage, tmp_path: Path) -> None:
    """The model may have a secret from its instructions, where a template put it."""
    queue = await new_queue(stage)
    agent = await new_agent(stage, execution_environment={"env_vars": VARIABLES})
    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        execution_id = await rig.execute("over two lives\n!say one", agent_id=agent)
        await rig.reach(execution_id, "waiting_for_input")
        await rig.engine.stop(mode=StopMode.DRAIN)
        await rig.stopped()
    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        await rig.turn(execution_id, f"!say {OPAQUE}")
        said, session = await rig.said(execution_id), str(await rig.client.load_session(execution_id))
    assert OPAQUE not in said
    assert session.count(OPAQUE) <= 1, "it stands in the user's own words alone"
