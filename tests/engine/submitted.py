"""Executions, teams and jobs as the control plane hands them in."""

from __future__ import annotations

import json
from typing import Any

from tests.support.engine import Rig, new_agent
from tests.support.playground import Stage


def task(member: str, *lines: str) -> str:
    """A line that makes the scripted leader give a member a task."""
    return f"!tool delegate_to_{member} {json.dumps({'task': chr(10).join(lines)})}"


async def new_team(stage: Stage, *members: str) -> str:
    ids = [await new_agent(stage, name=name, description=f"knows {name}") for name in members]
    async with stage.client() as api:
        answer = await api.post("/teams", json={"name": "team", "agent_ids": ids})
        assert answer.status_code == 201, answer.text
        team_id: str = answer.json()["id"]
        return team_id


async def submit(stage: Stage, path: str, rig: Rig, **fields: Any) -> str:
    async with stage.client() as api:
        answer = await api.post(path, json={"worker_queue_id": rig.snapshot.queues[0].queue_id, **fields})
        assert answer.status_code == 200, answer.text
        execution_id: str = answer.json()["execution_id"]
        return execution_id


def job_input(stage: Stage, job_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "execution_id": None, "agent_id": stage.info.agent_id, "team_id": None, "organization_id": "playground",
        "prompt": f"job {job_id}\n!say reported", "system_prompt": None, "model_id": None, "model_config": {},
        "agent_config": {}, "mcp_servers": {}, "runtime_type": "default",
        "user_metadata": {"job_id": job_id, "job_name": "nightly", "trigger_type": "cron"},
        **changes,
    }  # fmt: skip
