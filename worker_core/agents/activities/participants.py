"""Who takes part in an execution: what each is told, which model it uses, and which tools it is offered."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from temporalio.exceptions import ApplicationError

from worker_core.agents.activities import offered_tools
from worker_core.agents.activities.environment_files import write_environment_files
from worker_core.agents.activities.services import Services
from worker_core.agents.execution_input import EntityKind, ExecutionInput
from worker_core.agents.messages import Persona
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.shortening import LONGEST_TEXT, shortened
from worker_core.control_plane.errors import NotFound
from worker_core.control_plane.models import ResolvedEnvironment
from worker_core.errors import KubiyaError
from worker_core.mcp.configuration import Servers
from worker_core.model.gateway import ModelGateway
from worker_core.model.options import options_of
from worker_core.settings import Settings
from worker_core.tools.registry import SkillDefinition, offer

log = logging.getLogger(__name__)

LIBRARY_PREFIX = "openai/"
NO_SERVERS = Servers(usable={}, left_out={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The main persona, a team's members, and what could not be offered, as sentences."""

    persona: Persona
    members: tuple[Persona, ...] = ()
    unknown: tuple[str, ...] = ()
    servers: tuple[Servers, ...] = ()
    """MCP servers of the persona, then of each member: read, and not started."""

    def each(self, change: Callable[[Persona], Persona]) -> Cast:
        """The same, everybody changed."""
        return replace(self, persona=change(self.persona), members=tuple(map(change, self.members)))


async def assemble(services: Services, execution: ExecutionInput, gateway: ModelGateway) -> Cast:
    """Resolve everybody; variables are kept in memory for the tools.

    Raises:
        ControlPlaneError: the control plane could not be asked.
        ApplicationError: a team without members.
    """
    main = await _main(services, execution, gateway)
    if execution.kind == "agents":
        return main
    if execution.inline:
        members = await _inline_members(execution, main.persona, gateway)
    else:
        members = await _members(services, execution, main.persona, gateway)
    called = _names(member.persona.name for member in members)
    personas = tuple(replace(member.persona, called=name) for member, name in zip(members, called, strict=True))
    return Cast(
        persona=replace(main.persona, tools=(*main.persona.tools, *(_delegation(member) for member in personas))),
        members=personas,
        unknown=(*main.unknown, *(sentence for member in members for sentence in member.unknown)),
        servers=tuple(one for each in (main, *members) for one in (each.servers or (NO_SERVERS,))),
    )


async def equipped(
    services: Services, execution_id: str, cast: Cast, *, tell: Callable[[str], None]
) -> tuple[Cast, tuple[str, ...]]:
    """Start the MCP servers of everybody. The cast with their tools, and a sentence for each that is missing.

    Args:
        services: of the engine.
        execution_id: whose servers they are.
        cast: as it was assembled.
        tell: hears a sentence about what takes long.
    """
    found = await asyncio.gather(
        *(
            offered_tools.offered(services, execution_id, persona, servers, tell=tell)
            for persona, servers in zip((cast.persona, *cast.members), cast.servers, strict=False)
        )
    )
    if not found:
        return cast, ()
    (persona, _), *members = found
    with_tools = replace(cast, persona=persona, members=tuple(member for member, _ in members))
    return with_tools, tuple(sentence for _, missing in found for sentence in missing)


def unhonoured(cast: Cast) -> tuple[str, ...]:
    """A sentence for each persona whose model has settings that this worker does not send."""
    told = []
    for persona in (cast.persona, *cast.members):
        if names := options_of(persona.model_config)[1]:
            whose = f" of {persona.name}" if persona.name else ""
            told.append(f"These settings of the model{whose} are not honoured by this worker: {', '.join(names)}.")
    return tuple(told)


async def _main(services: Services, execution: ExecutionInput, gateway: ModelGateway) -> Cast:
    unwritten: tuple[str, ...] = ()
    if execution.inline:
        environment, skills = ResolvedEnvironment(), await _skills_by_id(services, execution.skill_ids)
    else:
        environment, skills, unwritten = await _resolved(
            services, execution.kind, execution.execution_id, execution.entity_id
        )
    prompt = (
        execution.system_prompt
        or environment.system_prompt
        or str(execution.config.get("system_prompt") or "")
        or environment.instructions
        or _lines(execution.config.get("instructions"))
    )
    cast = _persona(
        skills,
        Persona(
            kind=execution.kind,
            entity_id="" if execution.inline else execution.entity_id,
            model=await _model(services.settings, gateway, execution.model_id),
            model_config=execution.model_config,
            system_prompt=shortened(prompt, LONGEST_TEXT),
        ),
        unwritten,
    )
    return _with_servers(services, cast, environment, execution.mcp_servers)


def _with_servers(services: Services, cast: Cast, environment: ResolvedEnvironment, own: Mapping[str, Any]) -> Cast:
    servers = offered_tools.of(services, environment, own)
    return replace(cast, persona=replace(cast.persona, mcp_servers=dict(own)), servers=(servers,))


async def _members(
    services: Services, execution: ExecutionInput, leader: Persona, gateway: ModelGateway
) -> Sequence[Cast]:
    team = await services.client.get_team(execution.entity_id)
    if not team.agents:
        raise ApplicationError(
            f"The team {team.name or team.id} has no members. Add agents to it on the control plane.",
            "configuration",
            type="NoMembers",
            non_retryable=True,
        )
    return await asyncio.gather(*(_member(services, execution, leader, member, gateway) for member in team.agents))


async def _member(
    services: Services, execution: ExecutionInput, leader: Persona, listed: Mapping[str, Any], gateway: ModelGateway
) -> Cast:
    """The team lists names and descriptions alone; prompt and model stand in the agent's own record (9.6)."""
    agent_id = str(listed.get("id") or "")
    environment, skills, unwritten = await _resolved(services, "agents", execution.execution_id, agent_id)
    configuration: Mapping[str, Any] = {}
    model, model_config = "", {}
    try:
        agent = await services.client.get_agent(agent_id)
        configuration, model, model_config = agent.configuration, agent.model_id or "", agent.llm_config
    except NotFound:
        log.warning("Team member %s has no record of its own; it works with the leader's model.", agent_id)
    cast = _persona(
        skills,
        Persona(
            kind="agents",
            entity_id=agent_id,
            name=str(listed.get("name") or agent_id),
            description=str(listed.get("description") or ""),
            model=await _model(services.settings, gateway, model) if model else leader.model,
            model_config=model_config or leader.model_config,
            system_prompt=environment.system_prompt or str(configuration.get("system_prompt") or ""),
        ),
        unwritten,
    )
    return _with_servers(services, cast, environment, {})


async def _inline_members(execution: ExecutionInput, leader: Persona, gateway: ModelGateway) -> Sequence[Cast]:
    runtime = execution.config.get("runtime_config")
    agents = runtime.get("agents") if isinstance(runtime, Mapping) else None
    if not isinstance(agents, Mapping):
        return ()
    models = {
        name: await _known_as(gateway, str(about.get("model") or leader.model))
        for name, about in agents.items()
        if isinstance(about, Mapping)
    }
    return [
        Cast(
            persona=replace(
                leader,
                name=str(name),
                description=str(about.get("description") or ""),
                system_prompt=str(about.get("prompt") or ""),
                model=models[name],
            )
        )
        for name, about in agents.items()
        if isinstance(about, Mapping)
    ]


async def _resolved(
    services: Services, kind: EntityKind, execution_id: str, entity_id: str
) -> tuple[ResolvedEnvironment, list[dict[str, Any]], tuple[str, ...]]:
    """Environment and skills; its files are written into the workspace. The sentences say which could not be."""
    environment, skills = await asyncio.gather(
        services.client.resolved_environment(kind, entity_id), services.client.resolved_skills(kind, entity_id)
    )
    await services.environments.keep(execution_id, entity_id, environment)
    unwritten: tuple[str, ...] = ()
    if environment.files:
        unwritten = await asyncio.to_thread(
            write_environment_files, services.workspaces, execution_id, environment.files
        )
    return environment, skills, unwritten


async def _skills_by_id(services: Services, ids: Iterable[str]) -> list[dict[str, Any]]:
    found = await asyncio.gather(*(services.client.get_skill(one) for one in ids))
    return [skill for skill in found if skill is not None]


def _persona(skills: Sequence[dict[str, Any]], persona: Persona, unwritten: tuple[str, ...] = ()) -> Cast:
    definitions = [SkillDefinition.from_wire(skill) for skill in skills]
    offered = offer(definitions)
    return Cast(
        persona=replace(
            persona,
            tools=tuple(
                {
                    "name": spec.name,
                    "description": spec.description,
                    "parameters": spec.parameters,
                    "read_only": spec.read_only,
                }
                for spec in offered.specs
            ),
            skills=tuple(msgspec.to_builtins(definition) for definition in definitions),
        ),
        unknown=(*unwritten, *offered.unknown),
    )


async def _model(settings: Settings, gateway: ModelGateway, wished: str) -> str:
    """Override, then the input's, then the default."""
    return await _known_as(gateway, settings.model_override or wished or settings.default_model)


async def _known_as(gateway: ModelGateway, model: str) -> str:
    """The client-library prefix `openai/` is not sent (protocol 10), unless the gateway itself lists a model by it."""
    if not model.startswith(LIBRARY_PREFIX):
        return model
    try:
        listed = await gateway.lists(model)
    except KubiyaError:  # the first model call says what is wrong
        listed = False
    return model if listed else model.removeprefix(LIBRARY_PREFIX)


def _delegation(member: Persona) -> dict[str, Any]:
    about = f" About it: {member.description}" if member.description else ""
    return {
        "name": member.called,
        "description": f"Give {member.name}, a member of your team, a task; you get its answer.{about} Tasks that do "
        "not need each other's answers may be given at the same time.",
        "parameters": {
            "type": "object",
            "properties": {
                "task": {
                    "type": "string",
                    "description": "Everything that it needs to know; it does not see this conversation.",
                }
            },
            "required": ["task"],
            "additionalProperties": False,
        },
        "read_only": False,
    }


def _names(names: Iterable[str]) -> list[str]:
    """Tool names, one each, that any provider accepts."""
    given: list[str] = []
    for name in names:
        base = "delegate_to_" + (re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40] or "member")
        number, unique = 1, base
        while unique in given:
            number += 1
            unique = f"{base}_{number}"
        given.append(unique)
    return given


def _lines(value: object) -> str:
    """Instructions come as text or as a list of texts (9.6)."""
    if isinstance(value, list):
        return "\n".join(str(line) for line in value)
    return value if isinstance(value, str) else ""
