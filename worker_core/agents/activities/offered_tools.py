"""Which MCP servers an agent has, and what of their tools the model is offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from worker_core.agents.activities.services import Services
from worker_core.agents.messages import Persona
from worker_core.control_plane.models import ResolvedEnvironment
from worker_core.logs.declared import is_secret
from worker_core.mcp.configuration import Servers, read_servers


def of(services: Services, environment: ResolvedEnvironment, own: Mapping[str, Any]) -> Servers:
    """Those of the agent's environment, then those that came with the execution (protocol, 9.3)."""
    return read_servers(
        environment.mcp_servers,
        own,
        variables=environment.env_vars,
        is_secret=is_secret,
        withheld=services.own_secrets(),
    )


async def offered(
    services: Services, execution_id: str, persona: Persona, servers: Servers, *, tell: Callable[[str], None]
) -> tuple[Persona, tuple[str, ...]]:
    """The persona with the tools of its servers and their words about them, and a sentence for each that is missing.

    Args:
        services: of the engine.
        execution_id: whose servers they are.
        persona: who gets their tools.
        servers: as they were read.
        tell: hears what a start that takes long is busy with; a sentence.
    """
    if not servers.usable and not servers.left_out:
        return persona, ()
    taken = {str(tool["name"]) for tool in persona.tools}
    offer = await services.mcp.offer(execution_id, servers, taken=taken, tell=tell)
    tools = tuple(
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
            "read_only": tool.read_only,
            "server": tool.server,
            "tool": tool.tool,
        }
        for tool in offer.tools
    )
    prompt = "\n\n".join(filter(None, (persona.system_prompt, *offer.words)))
    return replace(persona, tools=(*persona.tools, *tools), system_prompt=prompt), tuple(offer.left_out)
