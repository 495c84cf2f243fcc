"""Agents, teams, skills, environments and secrets (facts: protocol, 8.8, 8.9, 9.1, 9.6)."""

from __future__ import annotations

from uuid import uuid4

import httpx2

from tests.support.playground import Stage


async def test_the_demo_agent_has_its_skills(api: httpx2.AsyncClient, stage: Stage) -> None:
    agent = (await api.get(f"/agents/{stage.info.agent_id}")).json()
    assert (agent["name"], agent["runtime"], agent["model_id"]) == ("demo-agent", "default", "scripted")
    path = f"/skills/associations/agents/{stage.info.agent_id}/skills/resolved"
    skills = (await api.get(path)).json()
    assert [(skill["type"], skill["source"], skill["inherited"]) for skill in skills] == [
        ("shell", "agent", False), ("file_system", "agent", False), ("python", "agent", False),
    ]  # fmt: skip
    assert skills[0].keys() == {
        "id", "name", "type", "description", "icon", "enabled", "configuration", "source", "inherited",
    }  # fmt: skip
    assert (await api.get(path.replace("/skills/resolved", "/toolsets/resolved"))).json() == skills


async def test_agents_are_made_changed_and_deleted(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/agents", json={"name": "a", "configuration": {"system_prompt": "S"}, "model_id": "m"})
    assert answer.status_code == 201
    path = f"/agents/{answer.json()['id']}"
    change = {"status": "running", "state": {"x": 1}, "last_active_at": "ignored"}
    agent = (await api.patch(path, json=change)).json()
    assert (agent["status"], agent["state"], agent["last_active_at"]) == ("running", {"x": 1}, None)
    assert path.rpartition("/")[2] in [row["id"] for row in (await api.get("/agents")).json()]
    full = (await api.get(f"/execution-environment{path.replace('/agents', '/agents', 1)}/resolved/full")).json()
    assert full["system_prompt"] == "S"
    assert (await api.post("/agents", json={"name": " "})).status_code == 422
    assert (await api.post("/agents", json={"name": "a", "skill_ids": [str(uuid4())]})).status_code == 404
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_skills_of_environment_team_and_agent_merge(api: httpx2.AsyncClient) -> None:
    environment = (await api.post("/environments", json={"name": f"e-{uuid4().hex[:6]}"})).json()
    team = (await api.post("/teams", json={"name": "t"})).json()
    ids = []
    for name in ("one", "two", "three"):
        skill = {"name": name, "type": "shell", "configuration": {"timeout": 1, "n": name}}
        ids.append((await api.post("/skills", json=skill)).json()["id"])
    agent = (await api.post("/agents", json={
        "name": "m", "team_id": team["id"], "environment_ids": [environment["id"]], "skill_ids": ids,
    })).json()  # fmt: skip
    link = {"skill_id": ids[0], "configuration_override": {"timeout": 9}}
    answer = await api.post(f"/skills/associations/environments/{environment['id']}/skills", json=link)
    assert answer.status_code == 201
    await api.post(f"/skills/associations/teams/{team['id']}/skills", json={"skill_id": ids[1]})
    path = f"/skills/associations/agents/{agent['id']}/skills"
    resolved = (await api.get(f"{path}/resolved")).json()
    assert [(skill["id"], skill["source"], skill["inherited"]) for skill in resolved] == [
        (ids[0], "environment", True), (ids[1], "team", True), (ids[2], "agent", False),
    ]  # fmt: skip
    assert resolved[0]["configuration"] == {"timeout": 9, "n": "one"}
    assert (await api.delete(f"{path}/{ids[2]}")).status_code == 204
    assert (await api.delete(f"{path}/{ids[2]}")).status_code == 404
    await api.patch(f"/skills/{ids[1]}", json={"enabled": False})
    assert [skill["enabled"] for skill in (await api.get(f"{path}/resolved")).json()] == [True, False]
    assert (await api.delete(f"/skills/{ids[0]}")).status_code == 204
    assert len((await api.get(path)).json()) == 1
    found = (await api.get(f"/teams/{team['id']}")).json()
    assert [member.keys() for member in found["agents"]] == [
        {"id", "name", "status", "capabilities", "description"}
    ]  # hazard 8
    assert (await api.get("/skills/associations/robots/x/skills/resolved")).status_code == 404


async def test_the_environment_of_an_agent(api: httpx2.AsyncClient, stage: Stage) -> None:
    await api.post("/secrets", json={"name": "TOKEN", "value": "s3cret"})
    assert (await api.get("/secrets/value/TOKEN")).json() == {"value": "s3cret"}
    assert (await api.get("/secrets/value/unknown")).status_code == 500
    environment = await api.post("/environments", json={
        "name": f"e-{uuid4().hex[:6]}", "execution_environment": {"env_vars": {"A": "1", "B": "1"}},
    })  # fmt: skip
    agent = await api.post("/agents", json={
        "name": "x", "environment_ids": [environment.json()["id"]],
        "execution_environment": {
            "env_vars": {"B": "2"}, "secrets": ["TOKEN"], "mcp_servers": {"m": {"command": "c"}},
            "files": [{"path": "p", "content": "c", "mode": None, "description": None}],
        },
    })  # fmt: skip
    base = f"/execution-environment/agents/{agent.json()['id']}/resolved"
    variables = (await api.get(base)).json()
    assert variables == {
        "A": "1", "B": "2", "TOKEN": "s3cret", "KUBIYA_API_KEY": stage.info.api_key, "MEMORY_DATASET_NAME": "default",
    }  # fmt: skip
    full = (await api.get(f"{base}/full")).json()
    assert (full["env_vars"], full["mcp_servers"], len(full["files"])) == (variables, {"m": {"command": "c"}}, 1)


async def test_teams(api: httpx2.AsyncClient, stage: Stage) -> None:
    agents = [(await api.post("/agents", json={"name": f"member{n}"})).json()["id"] for n in range(2)]
    team = await api.post("/teams", json={
        "name": "team", "agent_ids": agents, "configuration": {"instructions": "be brief"},
    })  # fmt: skip
    assert team.status_code == 201
    path = f"/teams/{team.json()['id']}"
    assert [member["id"] for member in (await api.get(path)).json()["agents"]] == agents
    full = (await api.get(f"/execution-environment{path}/resolved/full")).json()
    assert full["instructions"] == "be brief"
    assert (await api.patch(path, json={"agent_ids": agents[:1]})).json()["agents"][0]["id"] == agents[0]
    assert path.rpartition("/")[2] in [row["id"] for row in (await api.get("/teams")).json()]
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(f"/agents/{agents[0]}")).json()["team_id"] is None
