"""Jobs over HTTP, run by real schedules on a real worker."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.engine.submitted import new_team, task
from tests.support.engine import new_agent, new_queue, running_engine
from tests.support.playground import Stage, until

SLOW = "KUBIYA_SLOW_TESTS"


@pytest.fixture
async def api(stage: Stage) -> AsyncIterator[httpx2.AsyncClient]:
    async with stage.client() as client:
        yield client


async def new_job(api: httpx2.AsyncClient, stage: Stage, queue: str, **changes: Any) -> dict[str, Any]:
    wish = {
        "name": "nightly", "prompt": f"job {uuid.uuid4()}\n!say reported", "entity_id": stage.info.agent_id,
        "worker_queue_id": queue, **changes,
    }  # fmt: skip
    answer = await api.post("/jobs", json=wish)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


async def runs(api: httpx2.AsyncClient, job: dict[str, Any], *, status: str = "") -> list[dict[str, Any]]:
    listed = (await api.get(f"/jobs/{job['id']}/executions")).json()
    return [run for run in listed if not status or run["status"] == status]


async def test_a_schedule_runs_it_again_and_again_until_it_is_deleted(
    stage: Stage, tmp_path: Path, api: httpx2.AsyncClient
) -> None:
    async with running_engine(stage, tmp_path) as rig:
        job = await new_job(api, stage, rig.snapshot.queues[0].queue_id, interval_seconds=1)

        async def twice() -> bool:
            return len(await runs(api, job, status="completed")) >= 2

        await until(twice)
        done = await runs(api, job, status="completed")
        assert {run["trigger_type"] for run in done} == {"cron"}
        assert all(run["duration_ms"] > 0 for run in done)
        record = await rig.client.get_execution(done[0]["execution_id"])
        assert (record.status, record.response) == ("completed", "reported"), (
            "nobody is there to answer: it ends by itself"
        )
        assert record.execution_metadata["job_name"] == "nightly"
        assert (await api.delete(f"/jobs/{job['id']}")).status_code == 204
        assert (await api.get(f"/jobs/{job['id']}")).status_code == 404
        assert job["id"] not in {one["id"] for one in (await api.get("/jobs")).json()}
    temporal = await Client.connect(stage.info.temporal_host)
    with pytest.raises(RPCError):
        await temporal.get_schedule_handle(f"job-{job['id']}").describe()


async def test_a_paused_job_does_not_run_and_may_be_triggered(
    stage: Stage, tmp_path: Path, api: httpx2.AsyncClient
) -> None:
    temporal = await Client.connect(stage.info.temporal_host)
    queue = await new_queue(stage)
    job = await new_job(api, stage, queue, interval_seconds=2)
    handle = temporal.get_schedule_handle(f"job-{job['id']}")
    assert (await api.post(f"/jobs/{job['id']}/pause")).json()["status"] == "paused"
    before = (await handle.describe()).info.num_actions
    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        triggered = (await api.post(f"/jobs/{job['id']}/trigger")).json()
        await rig.reach(triggered["execution_id"], "waiting_for_input")
        record = await rig.client.get_execution(triggered["execution_id"])
        assert record.execution_metadata["job_id"] == job["id"]
        assert (await handle.describe()).info.num_actions == before
        [manual] = [run for run in await runs(api, job) if run["trigger_type"] == "manual"]
        assert manual["status"] == "waiting_for_input"
        assert (await api.post(f"/jobs/{job['id']}/resume")).json()["status"] == "active"

        async def ran() -> bool:
            return any(run["trigger_type"] == "cron" for run in await runs(api, job, status="completed"))

        await until(ran)
        await api.delete(f"/jobs/{job['id']}")


async def test_a_change_reaches_the_schedule_and_a_team_runs_it(
    stage: Stage, tmp_path: Path, api: httpx2.AsyncClient
) -> None:
    team_id = await new_team(stage, "solo")
    async with running_engine(stage, tmp_path) as rig:
        job = await new_job(api, stage, rig.snapshot.queues[0].queue_id)
        assert (await api.post(f"/jobs/{job['id']}/pause")).status_code == 400, "it has no schedule"
        prompt = "\n".join([f"team {uuid.uuid4()}", task("solo", "!say from solo"), "!say done"])
        changed = await api.patch(
            f"/jobs/{job['id']}",
            json={"entity_type": "team", "entity_id": team_id, "prompt": prompt, "interval_seconds": 1},
        )
        assert changed.status_code == 200, changed.text

        async def ran() -> bool:
            return bool(await runs(api, job, status="completed"))

        await until(ran)
        [run, *_] = await runs(api, job, status="completed")
        assert (await rig.client.get_execution(run["execution_id"])).response == "done"
        changed = await api.patch(f"/jobs/{job['id']}", json={"interval_seconds": None})
        assert changed.json()["interval_seconds"] is None
        temporal = await Client.connect(stage.info.temporal_host)
        with pytest.raises(RPCError):
            await temporal.get_schedule_handle(f"job-{job['id']}").describe()


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"cron_schedule": "every day"}, 422, "five fields"),
        ({"cron_schedule": "99 * * * *"}, 422, "Temporal does not take this schedule"),
        ({"cron_schedule": "0 9 * * 1", "cron_timezone": "Mars/Olympus"}, 422, "no time zone"),
        ({"cron_schedule": "0 9 * * 1", "interval_seconds": 5}, 422, "not both"),
        ({"interval_seconds": 0}, 422, "from 1 to"),
        ({"name": " "}, 422, "name is empty"),
        ({"prompt": ""}, 422, "prompt is empty"),
        ({"entity_type": "robot"}, 422, "agent or team"),
        ({"entity_id": "nobody"}, 422, "no agent nobody"),
        ({"entity_type": "team"}, 422, "no team"),
        ({"worker_queue_id": "nowhere"}, 404, "not found"),
    ],
)
async def test_what_cannot_be_is_said_and_leaves_nothing(
    stage: Stage, api: httpx2.AsyncClient, changes: dict[str, Any], status: int, words: str
) -> None:
    wish = {"name": "bad", "prompt": "x", "entity_id": stage.info.agent_id, "worker_queue_id": stage.info.queue_id}
    answer = await api.post("/jobs", json={**wish, **changes})
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert not [job for job in (await api.get("/jobs")).json() if job["name"] == "bad"]


async def test_cron_and_time_zone_are_the_schedules_own(stage: Stage, api: httpx2.AsyncClient) -> None:
    agent = await new_agent(stage, name="timed")
    job = await new_job(
        api, stage, stage.info.queue_id, entity_id=agent, cron_schedule="0 9 * * 1", cron_timezone="Europe/Berlin"
    )
    temporal = await Client.connect(stage.info.temporal_host)
    described = await temporal.get_schedule_handle(f"job-{job['id']}").describe()
    times = described.info.next_action_times[:2]
    from zoneinfo import ZoneInfo

    assert {
        (at.astimezone(ZoneInfo("Europe/Berlin")).weekday(), at.astimezone(ZoneInfo("Europe/Berlin")).hour)
        for at in times
    } == {(0, 9)}
    await api.delete(f"/jobs/{job['id']}")
    assert (await api.post(f"/jobs/{job['id']}/trigger")).status_code == 404


@pytest.mark.skipif(not os.environ.get(SLOW), reason=f"two minutes: set {SLOW}=1")
async def test_a_cron_job_every_minute_twice(stage: Stage, tmp_path: Path, api: httpx2.AsyncClient) -> None:
    async with running_engine(stage, tmp_path) as rig:
        job = await new_job(api, stage, rig.snapshot.queues[0].queue_id, cron_schedule="* * * * *")

        async def twice() -> bool:
            return len(await runs(api, job, status="completed")) == 2

        await until(twice, limit=180)
        await api.delete(f"/jobs/{job['id']}")
