"""Teams, dynamic executions and cron jobs, end to end."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from temporalio.client import Client

from tests.engine.submitted import job_input, new_team, submit, task
from tests.support.engine import home, new_queue, running_engine
from tests.support.executions import sequences, tool
from tests.support.playground import Stage, until


def asked_at(stage: Stage, beginning: str) -> float:
    """When the member whose task begins so made its first model call, by the wall clock in seconds."""
    calls = [call for call in stage.model_calls(beginning) if call["first_user_message"].startswith(beginning)]
    at: float = calls[0]["at"]
    return at


async def test_a_team_of_three_works_in_parallel(stage: Stage, tmp_path: Path) -> None:
    team_id = await new_team(stage, "red", "green", "blue")
    tag = uuid.uuid4().hex
    tasks = [
        task("red", f"red {tag}", "!hang 1", tool("echo red > red.txt"), "!say red is done"),
        task("green", f"green {tag}", "!hang 1", "!say green is done"),
        task("blue", f"blue {tag}", "!hang 1", "!say blue is done"),
    ]
    async with running_engine(stage, tmp_path) as rig:
        prompt = "\n".join([f"leader {tag}", "!parallel", *tasks, "!say all of them are done"])
        execution_id = await submit(stage, f"/teams/{team_id}/execute", rig, prompt=prompt)
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        events = await rig.sent(execution_id)
    assert record.response == "all of them are done", record.error_message
    assert events[0]["data"]["execution_type"] == "TEAM"
    assert sequences(events) == sorted(set(sequences(events)))
    by_kind: dict[str, list[Any]] = {}
    for event in events:
        by_kind.setdefault(event["event_type"], []).append(event["data"])
    names = {"red", "green", "blue"}
    assert {data["member_name"] for data in by_kind["member_message_chunk"]} == names
    assert {data["member_name"] for data in by_kind["member_message_complete"]} == names
    assert [data["member_name"] for data in by_kind["member_tool_completed"]] == ["red"]
    assert by_kind["member_tool_completed"][0]["source"] == "team_member"
    assert (home(tmp_path).workspaces / execution_id / "red.txt").read_text() == "red\n"
    # All three were asked before the first of them had answered.
    asked = [asked_at(stage, f"{name} {tag}") for name in ("red", "green", "blue")]
    answered = min(data["sequence"] for data in by_kind["member_message_chunk"]) / 1e6
    assert max(asked) < answered


async def test_members_work_one_after_the_other_where_the_leader_asks_so(stage: Stage, tmp_path: Path) -> None:
    team_id = await new_team(stage, "one", "two")
    tag = uuid.uuid4().hex
    steps = [task("one", f"one {tag}", "!say from one"), task("two", f"two {tag}", "!say from two"), "!say both"]
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await submit(
            stage, f"/teams/{team_id}/execute", rig, prompt="\n".join([f"in turn {tag}", *steps])
        )
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        session = await rig.client.load_session(execution_id)
        events = await rig.sent(execution_id)
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
    assert record.response == "both", record.error_message
    assert session is not None
    outputs = [message["content"] for message in session["messages"] if message["role"] == "tool"]
    assert outputs == ["from one", "from two"]
    first_answered = [event["data"]["sequence"] for event in events if event["event_type"] == "member_message_complete"]
    assert asked_at(stage, f"one {tag}") < first_answered[0] / 1e6 < asked_at(stage, f"two {tag}")


async def test_a_team_without_members_fails_with_a_sentence(stage: Stage, tmp_path: Path) -> None:
    team_id = await new_team(stage)
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await submit(stage, f"/teams/{team_id}/execute", rig, prompt="nobody there")
        record = await rig.reach(execution_id, "failed")
    assert "has no members" in record.error_message


async def test_a_dynamic_agent_with_skills_of_its_own(stage: Stage, tmp_path: Path) -> None:
    async with stage.client() as api:
        skill = (await api.post("/skills", json={"name": "shell", "type": "shell", "configuration": {}})).json()["id"]
    temporal = await Client.connect(stage.info.temporal_host)
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await submit(
            stage, "/execute", rig, prompt="dynamic\n" + tool("echo inline", "!say done"), skill_ids=[skill],
            system_prompt="You are nobody.", runtime_type="default",
        )  # fmt: skip
        record = await rig.reach(execution_id, "completed", "failed")
        result = await temporal.get_workflow_handle(f"dynamic-execution-{execution_id}").result()
        [ran] = await rig.sent(execution_id, "tool_completed")
    assert (record.status, record.response) == ("completed", "done")
    assert ran["data"]["tool_output"] == "inline\n"
    assert (result["status"], result["response"], result["error_message"]) == ("COMPLETED", "done", None)
    assert result["usage"]["total_tokens"] > 0


async def test_a_dynamic_team_and_a_failure_that_is_a_result(stage: Stage, tmp_path: Path) -> None:
    agents = {"subagent_1": {"description": "first", "prompt": "Be brief.", "model": None}}
    temporal = await Client.connect(stage.info.temporal_host)
    async with running_engine(stage, tmp_path) as rig:
        good = await submit(
            stage, "/execute", rig, entity_type="team", runtime_type="default",
            prompt="\n".join(["dynamic team", task("subagent_1", "!say hello from one"), "!say done"]),
            agent_config={"runtime_config": {"agents": agents}},
        )  # fmt: skip
        bad = await submit(stage, "/execute", rig, prompt="dynamic failure\n!error 401", runtime_type="default")
        assert (await rig.reach(good, "completed", "failed")).status == "completed"
        assert (await rig.reach(bad, "completed", "failed")).status == "failed"
        said = await rig.sent(good, "member_message_chunk")
        result = await temporal.get_workflow_handle(f"dynamic-execution-{bad}").result()
    assert "".join(event["data"]["content"] for event in said) == "hello from one"
    assert result["status"] == "FAILED"
    assert "refused the key" in result["error_message"]


async def test_a_cron_run_ends_by_itself_and_is_recorded(stage: Stage, tmp_path: Path) -> None:
    job_id = str(uuid.uuid4())
    store = stage.playground.context.store
    stage.inside(lambda: store.insert("jobs", {"id": job_id, "organization_id": "playground", "name": "nightly"}))
    temporal = await Client.connect(stage.info.temporal_host)
    async with running_engine(stage, tmp_path) as rig:
        queue = rig.snapshot.queues[0].queue_id
        for number in range(2):
            result = await temporal.execute_workflow(
                "ScheduledJobWrapperWorkflow", job_input(stage, job_id), id=f"job-{job_id}-{number}", task_queue=queue,
                result_type=dict,
            )  # fmt: skip
            assert (result["status"], result["response"]) == ("completed", "reported")
            record = await rig.client.get_execution(result["execution_id"])
            assert record.status == "completed"
            assert record.execution_metadata["job_id"] == job_id
    rows = stage.inside(lambda: store.find("job_executions", job_id=job_id))
    assert [row["status"] for row in rows] == ["completed", "completed"]
    assert all(row["duration_ms"] > 0 for row in rows)


async def test_jobs_of_teams_failures_and_deleted_jobs(stage: Stage, tmp_path: Path) -> None:
    failing, gone, team_job = (str(uuid.uuid4()) for _ in range(3))
    team_id = await new_team(stage, "solo")
    store = stage.playground.context.store
    for job_id in (failing, team_job):
        row = {"id": job_id, "organization_id": "playground", "name": "j"}
        stage.inside(lambda row=row: store.insert("jobs", row))
    temporal = await Client.connect(stage.info.temporal_host)
    queue = await new_queue(stage)

    async def run(job_id: str, **changes: Any) -> Any:
        return await temporal.start_workflow(
            "ScheduledJobWrapperWorkflow", job_input(stage, job_id, **changes), id=f"job-{job_id}", task_queue=queue,
            result_type=dict,
        )  # fmt: skip

    async with running_engine(stage, tmp_path, queue_ids=[queue]):
        deleted = await (await run(gone)).result()
        assert (deleted["status"], deleted["reason"]) == ("cancelled", "job_deleted")
        prompt = "\n".join([f"team job {team_job}", task("solo", "!say from solo"), "!say done"])
        done = await (await run(team_job, agent_id=None, team_id=team_id, team_config=None, prompt=prompt)).result()
        assert (done["status"], done["response"]) == ("completed", "done")
        broken = await run(failing, prompt=f"job {failing}\n!error 401")
        await until(lambda: _status(stage, failing, "failed"))
        assert (await broken.describe()).status is not None
    assert stage.inside(lambda: store.find("job_executions", job_id=team_job))[0]["status"] == "completed"


async def _status(stage: Stage, job_id: str, status: str) -> bool:
    rows = stage.inside(lambda: stage.playground.context.store.find("job_executions", job_id=job_id))
    return [row["status"] for row in rows] == [status]
