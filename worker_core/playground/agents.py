"""Agents and teams: create, read, change, list, delete (facts: protocol, 8.8, 9.1, 9.6)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import wire
from worker_core.playground.context import ORGANIZATION, Context, Problem, uuid_text
from worker_core.playground.skills import associations, link
from worker_core.playground.store import Row, now_text
from worker_core.playground.web import body, integer, nothing, reply, unprocessable

_LINKS = ("skill_ids", "agent_ids")


def entity_or_404(context: Context, kind: str, entity_id: str) -> Row:
    """An agent or team (`kind`) of this organization.

    Raises:
        Problem: 404.
        Crash: the id is no UUID.
    """
    row = context.store.get(f"{kind}s", id=uuid_text(entity_id), organization_id=ORGANIZATION)
    if row is None:
        raise Problem(404, f"{kind.capitalize()} not found")
    return row


def shown_agent(context: Context, row: Row) -> Row:
    environments = [context.store.get("environments", id=item) for item in row["environment_ids"] or []]
    return {
        **row,
        "model_config": row["llm_config"],
        "skills": [skill for _, skill in associations(context.store, "agent", row["id"])],
        "environments": [{key: env[key] for key in ("id", "name", "status")} for env in environments if env],
    }


def shown_team(context: Context, row: Row) -> Row:
    """A team; of its members only id, name, status, capabilities and description (hazard 8)."""
    members = context.store.find("agents", team_id=row["id"])
    keys = ("id", "name", "status", "capabilities", "description")
    return {
        **row,
        "agents": [{key: member[key] for key in keys} for member in members],
        "skills": [skill for _, skill in associations(context.store, "team", row["id"])],
    }


async def list_agents(context: Context, request: Request) -> Response:
    return reply([shown_agent(context, row) for row in _page(context, request, "agents")])


async def list_teams(context: Context, request: Request) -> Response:
    return reply([shown_team(context, row) for row in _page(context, request, "teams")])


async def create_agent(context: Context, request: Request) -> Response:
    wish = await body(request, wire.NewAgent)
    defaults = {"status": "idle", "capabilities": [], "configuration": {}, "llm_config": {}, "runtime": "default",
                "execution_environment": {}, "environment_ids": [], "state": {}}  # fmt: skip
    row = _create(context, "agent", wish, defaults)
    return reply(shown_agent(context, row), 201)


async def create_team(context: Context, request: Request) -> Response:
    wish = await body(request, wire.NewTeam)
    defaults = {"status": "idle", "configuration": {}, "runtime": "default", "execution_environment": {},
                "environment_ids": []}  # fmt: skip
    row = _create(context, "team", wish, defaults)
    return reply(shown_team(context, row), 201)


async def read_agent(context: Context, request: Request) -> Response:
    return reply(shown_agent(context, entity_or_404(context, "agent", request.path_params["agent_id"])))


async def read_team(context: Context, request: Request) -> Response:
    return reply(shown_team(context, entity_or_404(context, "team", request.path_params["team_id"])))


async def patch_agent(context: Context, request: Request) -> Response:
    wish = await body(request, wire.AgentChange)
    row = entity_or_404(context, "agent", request.path_params["agent_id"])
    _change(context, "agent", row["id"], wish)
    return reply(shown_agent(context, entity_or_404(context, "agent", row["id"])))


async def patch_team(context: Context, request: Request) -> Response:
    wish = await body(request, wire.TeamChange)
    row = entity_or_404(context, "team", request.path_params["team_id"])
    _change(context, "team", row["id"], wish)
    return reply(shown_team(context, entity_or_404(context, "team", row["id"])))


async def delete_agent(context: Context, request: Request) -> Response:
    return _delete(context, "agent", request.path_params["agent_id"])


async def delete_team(context: Context, request: Request) -> Response:
    row = entity_or_404(context, "team", request.path_params["team_id"])
    context.store.update("agents", {"team_id": None}, team_id=row["id"])
    return _delete(context, "team", row["id"])


def _page(context: Context, request: Request, table: str) -> list[Row]:
    limit, skip = integer(request, "limit", 100, lowest=1), integer(request, "skip", 0, highest=2**31)
    return context.store.find(table, limit=limit, offset=skip, organization_id=ORGANIZATION)


def _create(context: Context, kind: str, wish: msgspec.Struct, defaults: Row) -> Row:
    given = _given(wish)
    if not given["name"].strip():
        raise unprocessable("name", "The name is empty.")
    at, entity_id = now_text(), str(uuid4())
    columns = {key: value for key, value in given.items() if key not in _LINKS}
    row = {**defaults, **columns, "id": entity_id, "organization_id": ORGANIZATION, "created_at": at,
           "updated_at": at}  # fmt: skip
    _check_links(context, given)
    with context.store.transaction():
        context.store.insert(f"{kind}s", row)
        _link(context, kind, entity_id, given)
    return entity_or_404(context, kind, entity_id)


def _change(context: Context, kind: str, entity_id: str, wish: msgspec.Struct) -> None:
    given = _given(wish)
    columns = {key: value for key, value in given.items() if key not in _LINKS}
    _check_links(context, given)
    with context.store.transaction():
        context.store.update(f"{kind}s", {**columns, "updated_at": now_text()}, id=entity_id)
        _link(context, kind, entity_id, given)


def _given(wish: msgspec.Struct) -> dict[str, Any]:
    return {key: value for key, value in msgspec.to_builtins(wish).items() if value is not None}


def _check_links(context: Context, given: Row) -> None:
    for key, table in (("skill_ids", "skills"), ("agent_ids", "agents")):
        for identity in given.get(key, ()):
            if context.store.get(table, id=uuid_text(identity)) is None:
                raise Problem(404, f"{table[:-1].capitalize()} {identity} not found")
    if (team_id := given.get("team_id")) is not None:
        entity_or_404(context, "team", team_id)


def _link(context: Context, kind: str, entity_id: str, given: Row) -> None:
    """`skill_ids` and `agent_ids` replace the whole set."""
    if "skill_ids" in given:
        context.store.delete("skill_associations", entity_type=kind, entity_id=entity_id)
        for skill_id in given["skill_ids"]:
            link(context.store, kind, entity_id, uuid_text(skill_id), {})
    if "agent_ids" in given:
        context.store.update("agents", {"team_id": None}, team_id=entity_id)
        for agent_id in given["agent_ids"]:
            context.store.update("agents", {"team_id": entity_id}, id=uuid_text(agent_id))


def _delete(context: Context, kind: str, entity_id: str) -> Response:
    row = entity_or_404(context, kind, entity_id)
    with context.store.transaction():
        context.store.delete("skill_associations", entity_type=kind, entity_id=row["id"])
        context.store.delete(f"{kind}s", id=row["id"])
    return nothing()
