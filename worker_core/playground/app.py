"""The table of routes: every path the control plane answers, and who answers it."""

from __future__ import annotations

from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from worker_core.basics.quick_dataclass import dataclass
from worker_core.playground import (
    agents,
    analytics,
    approvals,
    dispatch,
    environments,
    executions,
    jobs,
    queues,
    sessions,
    skills,
    stream,
    workers,
)
from worker_core.playground.anthropic import AnthropicFace
from worker_core.playground.context import Context
from worker_core.playground.scripted import ScriptedModel
from worker_core.playground.web import Handler, endpoint, http_error, reply, stranger

_API: Final[tuple[tuple[str, str, Handler], ...]] = (
    # registration and life of a worker
    ("POST", "/worker-queues/{queue_id}/start", workers.start),
    ("POST", "/workers/{worker_id}/heartbeat", workers.heartbeat),
    ("POST", "/workers/{worker_id}/disconnect", workers.disconnect),
    ("GET", "/workers", workers.list_all),
    # queues
    ("GET", "/worker-queues", queues.list_all),
    ("GET", "/worker-queues/{queue_id}", queues.read),
    ("PATCH", "/worker-queues/{queue_id}", queues.patch),
    ("DELETE", "/worker-queues/{queue_id}", queues.delete),
    ("GET", "/worker-queues/{queue_id}/workers", queues.workers),
    ("GET", "/worker-queues/{queue_id}/config", queues.config),
    ("GET", "/worker-queues/{queue_id}/metrics", queues.metrics),
    ("GET", "/worker-queues/{queue_id}/executions", queues.executions),
    ("GET", "/environments/{environment_id}/worker-queues", queues.list_of_environment),
    ("POST", "/environments/{environment_id}/worker-queues", queues.create),
    # executions: the caller's face
    ("POST", "/agents/{agent_id}/execute", dispatch.execute_agent),
    ("POST", "/teams/{team_id}/execute", dispatch.execute_team),
    ("POST", "/execute", dispatch.execute_dynamic),
    ("GET", "/executions", executions.listing),
    ("GET", "/executions/{execution_id}/stream", stream.stream),
    ("POST", "/executions/{execution_id}/message", dispatch.message),
    ("POST", "/executions/{execution_id}/mark-done", dispatch.mark_done),
    ("POST", "/executions/{execution_id}/pause", dispatch.pause),
    ("POST", "/executions/{execution_id}/resume", dispatch.resume),
    ("POST", "/executions/{execution_id}/cancel", dispatch.cancel),
    ("POST", "/executions/{execution_id}/terminate", dispatch.terminate),
    ("POST", "/executions/{execution_id}/approvals/{call_id}", approvals.answer),
    ("POST", "/enforcer/enforce", approvals.enforce),
    # executions: the worker's face
    ("POST", "/executions/job-executions", executions.create_for_job),
    ("GET", "/executions/{execution_id}", executions.read),
    ("PATCH", "/executions/{execution_id}", executions.patch),
    ("POST", "/executions/{execution_id}/events", executions.post_event),
    ("GET", "/executions/{execution_id}/events", executions.list_events),
    ("POST", "/executions/{execution_id}/session", sessions.post),
    ("GET", "/executions/{execution_id}/session", sessions.read),
    ("GET", "/executions/{execution_id}/analytics", analytics.read),
    ("POST", "/executions/{execution_id}/job/{job_id}/status", executions.job_status),
    ("POST", "/analytics/turns", analytics.post_turn),
    ("POST", "/analytics/tool-calls", analytics.post_tool_call),
    ("POST", "/analytics/tasks", analytics.post_task),
    ("PATCH", "/analytics/tasks/{task_id}", analytics.patch_task),
    ("POST", "/analytics/batch", analytics.post_batch),
    # jobs
    ("GET", "/jobs", jobs.list_all),
    ("POST", "/jobs", jobs.create),
    ("GET", "/jobs/{job_id}", jobs.read),
    ("PATCH", "/jobs/{job_id}", jobs.patch),
    ("DELETE", "/jobs/{job_id}", jobs.delete),
    ("POST", "/jobs/{job_id}/trigger", jobs.trigger),
    ("POST", "/jobs/{job_id}/pause", jobs.pause),
    ("POST", "/jobs/{job_id}/resume", jobs.resume),
    ("GET", "/jobs/{job_id}/executions", jobs.executions),
    # agents, teams, skills
    ("GET", "/agents", agents.list_agents),
    ("POST", "/agents", agents.create_agent),
    ("GET", "/agents/{agent_id}", agents.read_agent),
    ("PATCH", "/agents/{agent_id}", agents.patch_agent),
    ("DELETE", "/agents/{agent_id}", agents.delete_agent),
    ("GET", "/teams", agents.list_teams),
    ("POST", "/teams", agents.create_team),
    ("GET", "/teams/{team_id}", agents.read_team),
    ("PATCH", "/teams/{team_id}", agents.patch_team),
    ("DELETE", "/teams/{team_id}", agents.delete_team),
    ("GET", "/skills", skills.list_all),
    ("POST", "/skills", skills.create),
    ("GET", "/skills/associations/{entities}/{entity_id}/skills/resolved", skills.resolved),
    ("GET", "/skills/associations/{entities}/{entity_id}/toolsets/resolved", skills.resolved),
    ("GET", "/skills/associations/{entities}/{entity_id}/skills", skills.list_associations),
    ("POST", "/skills/associations/{entities}/{entity_id}/skills", skills.associate),
    ("DELETE", "/skills/associations/{entities}/{entity_id}/skills/{skill_id}", skills.dissociate),
    ("GET", "/skills/{skill_id}", skills.read),
    ("PATCH", "/skills/{skill_id}", skills.patch),
    ("DELETE", "/skills/{skill_id}", skills.delete),
    # environments, secrets, the caller
    ("GET", "/environments", environments.list_all),
    ("POST", "/environments", environments.create),
    ("GET", "/environments/{environment_id}", environments.read),
    ("GET", "/execution-environment/{entities}/{entity_id}/resolved", environments.variables),
    ("GET", "/execution-environment/{entities}/{entity_id}/resolved/full", environments.full),
    ("GET", "/secrets/value/{name}", environments.secret_value),
    ("POST", "/secrets", environments.create_secret),
    ("GET", "/auth/validate", environments.whoami),
    ("GET", "/client/config", environments.client_config),
)


@dataclass(slots=True)
class Outage:
    """For tests: while `active`, every call below `/api/v1` is answered with a plain 503 and does nothing."""

    active: bool = False


def build(context: Context, *, model: ScriptedModel, outage: Outage) -> ASGIApp:
    """The application: control plane below `/api`, scripted model below `/llm/v1`."""
    anthropic = AnthropicFace(model)
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in _API:
        by_path.setdefault(path, {})[method] = handler
    routes: list[BaseRoute] = [
        Route("/api/health", endpoint(context, environments.health, public=True)),
        Route("/api/ready", endpoint(context, environments.ready, public=True)),
        Route("/llm/v1/chat/completions", model.chat, methods=["POST"]),
        Route("/llm/v1/messages", anthropic.messages, methods=["POST"]),
        Route("/llm/v1/messages/count_tokens", anthropic.count_tokens, methods=["POST"]),
        Route("/llm/v1/models", model.models),
        Route("/llm/v1/calls", model.list_calls),
    ]
    for path, handlers in by_path.items():
        routes.append(_route(context, path, handlers))
    app = Starlette(routes=routes, exception_handlers={HTTPException: http_error})

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (said := stranger(Headers(scope=scope))):
            await reply({"detail": said}, 403)(scope, receive, send)
            return
        if outage.active and scope["type"] == "http" and scope["path"].startswith("/api/v1"):
            await send({"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Service Unavailable"})
            return
        await app(scope, receive, send)

    return guarded


def _route(context: Context, path: str, handlers: dict[str, Handler]) -> Route:
    wrapped = {method: endpoint(context, handler) for method, handler in handlers.items()}
    if "GET" in wrapped:
        wrapped["HEAD"] = wrapped["GET"]

    async def by_method(request: Request) -> Response:
        return await wrapped[request.method](request)

    return Route(f"/api/v1{path}", by_method, methods=list(handlers), name=path)
