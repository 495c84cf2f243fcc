"""Skills, what they are attached to, and what an agent has in the end (facts: protocol, 8.8 and 9.4)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import wire
from worker_core.playground.context import ORGANIZATION, Context, Problem, uuid_text
from worker_core.playground.store import Row, Store, now_text
from worker_core.playground.web import body, nothing, reply

_KINDS = {"agents": "agent", "teams": "team", "environments": "environment"}


def link(store: Store, kind: str, entity_id: str, skill_id: str, override: Row) -> Row:
    """Attach a skill; a repeat replaces the override."""
    store.delete("skill_associations", entity_type=kind, entity_id=entity_id, skill_id=skill_id)
    at = now_text()
    row = {"id": str(uuid4()), "organization_id": ORGANIZATION, "entity_type": kind, "entity_id": entity_id,
           "skill_id": skill_id, "configuration_override": override, "created_at": at, "updated_at": at}  # fmt: skip
    store.insert("skill_associations", row)
    return row


def associations(store: Store, kind: str, entity_id: str) -> list[tuple[Row, Row]]:
    """The (association, skill) pairs of one agent, team or environment."""
    found = store.find("skill_associations", entity_type=kind, entity_id=entity_id)
    pairs = [(row, store.get("skills", id=row["skill_id"])) for row in found]
    return [(row, skill) for row, skill in pairs if skill is not None]


def resolved_skills(store: Store, kind: str, entity: Row) -> list[Row]:
    """Environments of the agent, of its team, the team, the agent; the first occurrence of an id wins."""
    team = store.get("teams", id=entity["team_id"]) if kind == "agent" and entity["team_id"] else None
    sources = [("environment", item) for item in entity["environment_ids"] or []]
    if team is not None:
        sources += [("environment", item) for item in team["environment_ids"] or []]
        sources.append(("team", team["id"]))
    sources.append((kind, entity["id"]))
    result: dict[str, Row] = {}
    for source, source_id in sources:
        for association, skill in associations(store, source, source_id):
            keys = ("id", "name", "type", "description", "icon", "enabled")
            result.setdefault(
                skill["id"],
                {
                    **{key: skill[key] for key in keys},
                    "configuration": {
                        **(skill["configuration"] or {}), **(association["configuration_override"] or {}),
                    },
                    "source": source,
                    "inherited": source != kind,
                },
            )  # fmt: skip
    return list(result.values())


async def resolved(context: Context, request: Request) -> Response:
    kind, entity = _entity(context, request)
    if kind == "environment":
        raise Problem(404, "Not Found")
    return reply(resolved_skills(context.store, kind, entity))


async def list_associations(context: Context, request: Request) -> Response:
    kind, entity = _entity(context, request)
    return reply([_association(row, skill) for row, skill in associations(context.store, kind, entity["id"])])


async def associate(context: Context, request: Request) -> Response:
    wish = await body(request, wire.SkillLink)
    kind, entity = _entity(context, request)
    skill = _skill_or_404(context, wish.skill_id)
    row = link(context.store, kind, entity["id"], skill["id"], wish.configuration_override)
    return reply(_association(row, skill), 201)


async def dissociate(context: Context, request: Request) -> Response:
    kind, entity = _entity(context, request)
    skill_id = uuid_text(request.path_params["skill_id"])
    if not context.store.delete("skill_associations", entity_type=kind, entity_id=entity["id"], skill_id=skill_id):
        raise Problem(404, "Association not found")
    return nothing()


async def list_all(context: Context, request: Request) -> Response:  # noqa: ARG001
    return reply(context.store.find("skills", organization_id=ORGANIZATION))


async def create(context: Context, request: Request) -> Response:
    wish = await body(request, wire.NewSkill)
    at = now_text()
    row: dict[str, Any] = {**msgspec.to_builtins(wish), "id": str(uuid4()), "organization_id": ORGANIZATION,
                           "created_at": at, "updated_at": at}  # fmt: skip
    context.store.insert("skills", row)
    return reply(row, 201)


async def read(context: Context, request: Request) -> Response:
    return reply(_skill_or_404(context, request.path_params["skill_id"]))


async def patch(context: Context, request: Request) -> Response:
    wish = await body(request, wire.SkillChange)
    row = _skill_or_404(context, request.path_params["skill_id"])
    changes = {key: value for key, value in msgspec.to_builtins(wish).items() if value is not None}
    context.store.update("skills", {**changes, "updated_at": now_text()}, id=row["id"])
    return reply(_skill_or_404(context, row["id"]))


async def delete(context: Context, request: Request) -> Response:
    row = _skill_or_404(context, request.path_params["skill_id"])
    with context.store.transaction():
        context.store.delete("skill_associations", skill_id=row["id"])
        context.store.delete("skills", id=row["id"])
    return nothing()


def _skill_or_404(context: Context, skill_id: str) -> Row:
    row = context.store.get("skills", id=uuid_text(skill_id), organization_id=ORGANIZATION)
    if row is None:
        raise Problem(404, "Skill not found")
    return row


def _entity(context: Context, request: Request) -> tuple[str, Row]:
    table = request.path_params["entities"]
    kind = _KINDS.get(table)
    if kind is None:
        raise Problem(404, "Not Found")
    row = context.store.get(table, id=uuid_text(request.path_params["entity_id"]), organization_id=ORGANIZATION)
    if row is None:
        raise Problem(404, f"{kind.capitalize()} not found")
    return kind, row


def _association(row: Row, skill: Row) -> Row:
    keys = ("id", "entity_type", "entity_id", "skill_id", "configuration_override", "created_at")
    return {**{key: row[key] for key in keys}, "skill": skill}
