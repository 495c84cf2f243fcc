"""Environments, secrets, and what an execution gets of them (facts: protocol, 8.9); plus who the caller is."""

from __future__ import annotations

from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import wire
from worker_core.playground.agents import entity_or_404
from worker_core.playground.context import ORGANIZATION, SERVER_VERSION, USER, Context, Crash, Problem
from worker_core.playground.queues import environment_or_404
from worker_core.playground.store import Row, now_text
from worker_core.playground.web import body, reply, token_of


async def list_all(context: Context, request: Request) -> Response:  # noqa: ARG001
    return reply(context.store.find("environments", organization_id=ORGANIZATION))


async def create(context: Context, request: Request) -> Response:
    wish = await body(request, wire.NewEnvironment)
    if context.store.get("environments", name=wish.name, organization_id=ORGANIZATION):
        raise Problem(400, f"An environment named '{wish.name}' exists already.")
    at = now_text()
    row = {**msgspec.to_builtins(wish), "id": str(uuid4()), "organization_id": ORGANIZATION, "status": "ready",
           "display_name": wish.display_name or wish.name, "created_at": at, "updated_at": at}  # fmt: skip
    context.store.insert("environments", row)
    return reply(row, 201)


async def read(context: Context, request: Request) -> Response:
    return reply(environment_or_404(context, request))


async def variables(context: Context, request: Request) -> Response:
    """`/resolved`: a flat object, name -> value."""
    _, entity = _entity(context, request)
    return reply(_resolve(context, request, entity)["env_vars"])


async def full(context: Context, request: Request) -> Response:
    """`/resolved/full`."""
    kind, entity = _entity(context, request)
    found = _resolve(context, request, entity)
    configuration = entity["configuration"] or {}
    answer = {
        "env_vars": found["env_vars"],
        "mcp_servers": found["mcp_servers"],
        "description": entity["description"],
        "configuration": configuration,
        "graph_api_url": None,
        "dataset_name": None,
    }
    if kind == "team":
        return reply({**answer, "instructions": configuration.get("instructions")})
    return reply({**answer, "system_prompt": configuration.get("system_prompt"), "files": found["files"]})


def _entity(context: Context, request: Request) -> tuple[str, Row]:
    kind = request.path_params["entities"].removesuffix("s")
    if kind not in ("agent", "team"):
        raise Problem(404, "Not Found")
    return kind, entity_or_404(context, kind, request.path_params["entity_id"])


def _resolve(context: Context, request: Request, entity: Row) -> Row:
    """The environments' settings under the entity's own; secrets by their names."""
    layers = [context.store.get("environments", id=item) for item in entity["environment_ids"] or []]
    values: dict[str, str] = {}
    servers: Row = {}
    files: list[Row] = []
    for layer in [*(env for env in layers if env), entity]:
        part = layer["execution_environment"] or {}
        values |= part.get("env_vars") or {}
        for name in part.get("secrets") or []:
            if secret := context.store.get("secrets", name=name):
                values[name] = secret["value"]
        servers |= part.get("mcp_servers") or {}
        files += part.get("files") or []
    values["KUBIYA_API_KEY"] = token_of(request) or ""
    values.setdefault("MEMORY_DATASET_NAME", "default")
    return {"env_vars": values, "mcp_servers": servers, "files": files}


async def secret_value(context: Context, request: Request) -> Response:
    """Every failure, even an unknown name, is a 500."""
    row = context.store.get("secrets", name=request.path_params["name"])
    if row is None:
        raise Crash("an unknown secret")
    return reply({"value": row["value"]})


async def create_secret(context: Context, request: Request) -> Response:
    """Playground only: store a secret for `secrets` lists and for `/secrets/value/{name}`."""
    wish = await body(request, wire.NewSecret)
    context.store.insert("secrets", {"name": wish.name, "value": wish.value}, on_conflict="REPLACE")
    return reply({"name": wish.name}, 201)


async def whoami(context: Context, request: Request) -> Response:  # noqa: ARG001
    """`/auth/validate`: the slug thrice, and the user."""
    organization = {key: ORGANIZATION for key in ("id", "name", "slug")}  # noqa: C420
    groups: Row = {"user_status": "active", "user_groups": [], "user_group_names": []}
    return reply({**organization, **USER, **groups})


async def client_config(context: Context, request: Request) -> Response:  # noqa: ARG001
    return reply({"context_graph_api_base": None, "organization_id": ORGANIZATION, "organization_name": ORGANIZATION})


async def health(context: Context, request: Request) -> Response:  # noqa: ARG001
    return reply({"status": "healthy", "service": "kubiya-worker playground", "version": SERVER_VERSION})


async def ready(context: Context, request: Request) -> Response:  # noqa: ARG001
    return reply({"status": "ready", "temporal_host": context.temporal_host})
