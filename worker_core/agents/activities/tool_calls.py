"""One tool call, at most once: journal first, then the effect, then the record, then the report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from temporalio import activity

from worker_core.agents.activities import in_call, offered_tools, traces, working_folder
from worker_core.agents.activities.call_limits import CallLimits, limits_of_tool
from worker_core.agents.activities.gpu_calls import gpus_of_call
from worker_core.agents.activities.gpu_places import NoPlace
from worker_core.agents.activities.journal import Dispatched, Finished, JournalError
from worker_core.agents.activities.services import Services
from worker_core.agents.conversation import arguments_object
from worker_core.agents.messages import UNKNOWN_OUTCOME, ApprovalWanted, RunTool, ToolCall, ToolOutcome
from worker_core.basics import foreign_json
from worker_core.basics.git_author import git_author_variables
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.whole_text import whole
from worker_core.checkouts.record import CheckoutError
from worker_core.control_plane.models import ResolvedEnvironment
from worker_core.control_plane.outbox.lane import Lane
from worker_core.events import ToolFinished, ToolStarted
from worker_core.mcp.tool import McpTool, mcp_tool
from worker_core.network.reachable import Network, NetworkPolicy
from worker_core.policy.decision import Ask, Call, Denied, Ruling
from worker_core.policy.subjects import OwnPlaces
from worker_core.sandbox.launcher import WORKSPACE_ALONE, Launcher, Observed, WorkPlace
from worker_core.tools.arguments import failed
from worker_core.tools.base import AsksUser, Detailed, Tool, ToolContext, ToolResult, UserAnswer
from worker_core.tools.registry import SkillDefinition, offer
from worker_core.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from worker_core.machine.gpus import Found

log = logging.getLogger(__name__)

EVENT_OUTPUT_LIMIT = 10_000
"""Characters of output in `tool_completed` (the existing worker's cap: protocol, section 8.3)."""

_FLUSH_LIMIT = timedelta(seconds=10)


async def run(services: Services, request: RunTool, environment: ResolvedEnvironment, *, queue_id: str) -> ToolOutcome:
    """Answer from the journal, or run the tool and write it there.

    Args:
        services: of the engine.
        request: the call, and what the workflow heard about it.
        environment: of the agent whose call it is.
        queue_id: where an answer to a question is told.
    """
    with traces.tool_call(request) as told:
        outcome = await _run(services, request, environment, queue_id=queue_id)
        how = "succeeded" if outcome.succeeded else "unknown" if outcome.unknown else "failed"
        told.set({"kubiya.outcome": "waiting" if outcome.approval is not None else how})
        if how != "succeeded" and outcome.approval is None:
            told.failed(f"tool_{how}")
        return outcome


async def _run(services: Services, request: RunTool, environment: ResolvedEnvironment, *, queue_id: str) -> ToolOutcome:
    lane = services.outbox.lane(request.execution_id)
    lane.advance(request.after_sequence)
    call = request.call
    say = _progress_of(call, lane)
    tool, skill = _tool_of(services, request, environment, say)
    limits = limits_of_tool(services.settings, queue_id=queue_id, skill=skill)
    gpus = partial(gpus_of_call, services.settings, request, queue_id=queue_id, skill=skill)
    known = services.journal.outcome(request.execution_id, call.call_id)
    common: dict[str, Any] = {
        "tool_name": call.name,
        "tool_execution_id": call.call_id,
        "source": _source(request),
        "parent_message_id": request.parent_message_id,
    }
    if request.member_name:
        common["member_name"] = request.member_name
    prefix = "member_" if request.member_name else ""
    started = time.monotonic()

    def begin() -> None:
        about = {"tool_arguments": arguments_object(call.arguments), "message": f"Running {call.name}"}
        lane.publish(f"{prefix}tool_started", {**common, **about})
        services.bus.publish(ToolStarted(execution_id=request.execution_id, call_id=call.call_id, tool_name=call.name))

    done: _Done | Ask
    if isinstance(known, Finished):
        done = _Done(result=known.result)
    else:
        dispatched = isinstance(known, Dispatched)
        done = await _done(
            services,
            request,
            environment,
            tool,
            limits,
            gpus,
            queue_id=queue_id,
            dispatched=dispatched,
            begin=begin,
            say=say,
        )
    if isinstance(done, Ask):
        await lane.flush(_FLUSH_LIMIT)
        wanted = ApprovalWanted(id=done.id, expires_at=services.client.on_its_clock(done.expires_at).isoformat())
        return ToolOutcome(succeeded=False, output="", approval=wanted, last_sequence=lane.last_sequence)
    mask = services.redactor.mask
    # Tools mask what they read; a sentence about it may hold a part of it, too.
    result = replace(done.result, output=mask(done.result.output), error=done.result.error and mask(done.result.error))
    seconds = time.monotonic() - started
    lane.publish(
        f"{prefix}tool_completed",
        {
            **common,
            "status": "success" if result.succeeded else "failed",
            "tool_output": result.output[:EVENT_OUTPUT_LIMIT],
            "tool_error": result.error,
            "message": f"{call.name} {'done' if result.succeeded else 'failed'}",
            "duration_ms": round(seconds * 1000),
            **({"sandbox": done.where} if done.where else {}),
        },
    )
    services.bus.publish(
        ToolFinished(
            execution_id=request.execution_id,
            call_id=call.call_id,
            tool_name=call.name,
            succeeded=result.succeeded,
            duration_seconds=seconds,
            failure="denied" if done.denied else "unknown" if done.unknown else "",
        )
    )
    await lane.flush(_FLUSH_LIMIT)
    return ToolOutcome(
        succeeded=result.succeeded,
        output=result.output,
        error=result.error,
        unknown=done.unknown,
        duration_ms=round(seconds * 1000),
        last_sequence=lane.last_sequence,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What became of a call."""

    result: ToolResult
    unknown: bool = False
    """It may have had its effect, or not."""

    denied: bool = False
    where: str = ""
    """Where it had it; see `_place`."""


async def _done(
    services: Services,
    request: RunTool,
    environment: ResolvedEnvironment,
    tool: Tool | None,
    limits: CallLimits,
    gpus: Callable[[], Found | None],
    *,
    queue_id: str,
    dispatched: bool,
    begin: Callable[[], None],
    say: Callable[[str], None],
) -> _Done | Ask:
    """Decide about the call and run it, or go on with one that had stopped at a question.

    Args:
        services: of the engine.
        request: the call.
        environment: of the agent.
        tool: None: there is none of that name.
        limits: of the call.
        gpus: what of GPUs the call is given.
        queue_id: where an answer to a question is told.
        dispatched: an earlier attempt has begun with it.
        begin: tells whoever looks on that it begins.
        say: tells them what it is at.
    """
    arguments, wrong = _read_arguments(request.call)
    try:
        place = await working_folder.placed(services, request, queue_id=queue_id)
    except CheckoutError as error:
        place, wrong = WORKSPACE_ALONE, wrong or error.sentence
    asked = (
        None
        if tool is None or wrong
        else to_decide(request, tool, arguments, queue_id=queue_id, launcher=services.launcher, place=place)
    )
    answer: UserAnswer | None = None
    if dispatched and asked is not None:
        heard = await in_call.going_on(services.permissions, asked, content=request.content)
        if isinstance(heard, Ask):
            return heard
        answer = heard
    if answer is None:  # else it was decided before it began
        if dispatched and not (tool is not None and tool.spec.read_only):
            return _Done(result=failed(UNKNOWN_OUTCOME), unknown=True)
        if asked is None:
            ruling: Ruling = Denied(
                sentence=wrong if tool is not None else f"There is no tool named {request.call.name!r} here."
            )
        else:
            ruling = await services.permissions.decide(asked)
        if isinstance(ruling, Ask):
            return ruling
        begin()
        if isinstance(ruling, Denied):
            return _Done(result=failed(ruling.sentence), denied=asked is not None)
    assert tool is not None
    assert asked is not None
    found = None if services.settings.gpu == "off" else await asyncio.to_thread(gpus)
    observed = Observed(services.launcher, limits=limits.processes, gpus=None if found is None else found.grant)
    async with contextlib.AsyncExitStack() as held:
        if found is not None and found.problem:
            say(found.problem)
        if found is not None and found.grant.nodes:
            try:
                await held.enter_async_context(services.gpu_places.place(lambda: services.settings, say=say))
            except NoPlace as error:
                return _Done(result=failed(str(error)))
        try:
            result = await _run_once(services, request, environment, tool, asked, observed, answer, limits, say)
        except AsksUser as error:
            return await in_call.ask(services.permissions, asked, error.question)
    return _Done(result=result, where=_place(request, observed))


def to_decide(
    request: RunTool,
    tool: Tool,
    arguments: Mapping[str, Any],
    *,
    queue_id: str,
    launcher: Launcher,
    place: WorkPlace = WORKSPACE_ALONE,
) -> Call:
    """What the policy is asked. What the call is named in its request decides nothing: the tool that would run does."""
    return Call(
        tool=tool.spec.name,
        bound_to=tool.identity if isinstance(tool, McpTool) else request.skills,
        arguments=arguments,
        subjects=partial(tool.subjects, arguments),
        own=OwnPlaces.held(launcher.enforces),
        place=WORKSPACE_ALONE if isinstance(tool, McpTool) else place,
        details=partial(tool.details, arguments) if isinstance(tool, Detailed) else tuple,
        execution_id=request.execution_id,
        call_id=request.call.call_id,
        entity_id=request.entity_id,
        workflow_id=activity.info().workflow_id or "",
        queue_id=queue_id,
        claim=request.answer,
    )


def _progress_of(call: ToolCall, lane: Lane) -> Callable[[str], None]:
    """Tells whoever looks on what a call is at; from any thread."""
    loop = asyncio.get_running_loop()

    def say(progress: str) -> None:
        about = {"tool_name": call.name, "tool_execution_id": call.call_id, "message": progress}
        with contextlib.suppress(RuntimeError):  # the engine's loop is gone
            loop.call_soon_threadsafe(lane.publish, "tool_progress", about)

    return say


def _tool_of(
    services: Services, request: RunTool, environment: ResolvedEnvironment, say: Callable[[str], None]
) -> tuple[Tool | None, SkillDefinition | None]:
    """The tool, and the skill whose it is; None of each where there is none."""
    call = request.call
    if not request.mcp_server:
        offered = offer([SkillDefinition.from_wire(skill) for skill in request.skills])
        return offered.tools.get(call.name), offered.skills.get(call.name)
    servers = offered_tools.of(services, environment, request.mcp_servers)
    config = servers.usable.get(request.mcp_server)
    if config is None:
        return None, None
    return mcp_tool(services.mcp, config, name=call.name, tool=request.mcp_tool, say_progress=say), None


def _place(request: RunTool, observed: Observed) -> str:
    """Where the call had its effect: the sandbox's name, `none`, an MCP server's alias, or `worker`."""
    if request.mcp_server:
        return f"mcp {request.mcp_server}"
    return observed.name if observed.used else "worker"


def _read_arguments(call: ToolCall) -> tuple[dict[str, Any], str]:
    """The call's arguments, or why they are none: a sentence for the model, and the call fails without an effect."""
    if call.problem:
        return {}, call.problem
    try:
        arguments = foreign_json.loads(call.arguments or "{}")
    except foreign_json.NestedTooDeep:
        return {}, (
            f"The arguments nest more than {foreign_json.DEEPEST} levels deep, so the call was not made. Send them "
            "flatter, or put what is nested into a file."
        )
    except ValueError as error:
        return {}, f"The arguments are not valid JSON: {error}."
    return (arguments, "") if isinstance(arguments, dict) else ({}, "The arguments must be one JSON object.")


def _source(request: RunTool) -> str:
    if request.member_name:
        return "team_member"
    return "team_leader" if request.in_team else "agent"


async def _run_once(
    services: Services,
    request: RunTool,
    environment: ResolvedEnvironment,
    tool: Tool,
    decided: Call,
    launcher: Launcher,
    answer: UserAnswer | None,
    limits: CallLimits,
    say: Callable[[str], None],
) -> ToolResult:
    call = request.call
    journal = services.journal
    journaled = not tool.spec.read_only
    settings = services.settings

    def mark() -> None:
        if journaled and answer is None:
            journal.mark_dispatched(request.execution_id, call.call_id)

    try:
        workspace = await asyncio.to_thread(Workspace.open, services.workspaces, request.execution_id)
        author = await asyncio.to_thread(git_author_variables, settings.git_author)
        result = await tool.run(
            decided.arguments,
            ToolContext(
                execution_id=request.execution_id,
                call_id=call.call_id,
                workspace=workspace,
                launcher=launcher,
                place=decided.place,
                may_touch=partial(services.permissions.further, decided),
                may_reach=NetworkPolicy(network=Network(settings.network), hosts=settings.network_allow).check_host,
                environment={**author, **_declared(environment, services.own_secrets())},
                timeout=limits.time,
                longest=limits.longest,
                output_limit_bytes=settings.tool_output_limit_bytes,
                api=services.client,
                mask=services.redactor.mask,
                before_effect=mark,
                say_progress=say,
                answer=answer,
            ),
        )
    except JournalError as error:
        log.error("%s", error.sentence)
        return failed(error.sentence)
    # Whatever it read, from a process, a server or a file: what is said of it is text that can be written down.
    result = replace(result, output=whole(result.output), error=None if result.error is None else whole(result.error))
    if journaled:
        try:
            await asyncio.to_thread(journal.record, request.execution_id, call.call_id, result)
        except JournalError as error:
            # It ran, and its result is here: Temporal keeps it from now on. Only a crash before that would not know.
            log.error("%s", error.sentence)
    return result


def _declared(environment: ResolvedEnvironment, own_secrets: frozenset[str]) -> dict[str, str]:
    """The execution's variables, without any that carries a key of the worker's own (the server sends one)."""
    return {
        name: value
        for name, value in environment.env_vars.items()
        if not any(own in value for own in own_secrets if own)
    }
