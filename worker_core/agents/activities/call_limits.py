"""What one tool call may use up: by the owner for all, for a queue or a skill, and by the skill's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from worker_core.agents.activities.participants import Cast
from worker_core.agents.messages import Persona
from worker_core.basics.durations import duration_as_typed
from worker_core.basics.quick_dataclass import dataclass
from worker_core.sandbox.limits import Limits, limits_of_call
from worker_core.settings import Settings
from worker_core.settings.call_limits import KINDS, CallLimitKind, limits_for
from worker_core.tools.registry import SkillDefinition, offer

_ASKED_FOR: Final = "timeout_seconds"
"""The argument of tools whose calls may say how long they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """Of one call."""

    processes: Limits | None
    """Of what it starts; None: what all may."""

    time: timedelta
    """How long it may take."""

    longest: timedelta | None = None
    """What the owner has said of that for this queue or skill, beyond what tools allow themselves."""


def limits_of_tool(settings: Settings, *, queue_id: str, skill: SkillDefinition | None) -> CallLimits:
    """For a call in a queue, of a tool of a skill. None: it is of an MCP server's."""
    said = limits_for(settings.tool_limits, _names(queue_id, skill))
    wished = {} if skill is None else _wished(skill.configuration.get("limits"))
    longest = said.get("time")
    time = settings.tool_timeout.total_seconds() if longest is None else longest
    time = min(time, wished.get("time", time))
    return CallLimits(
        processes=limits_of_call(settings, said, wished),
        time=timedelta(seconds=time),
        longest=None if longest is None else timedelta(seconds=time),
    )


def longest_call(settings: Settings) -> timedelta:
    """Of any tool in any queue."""
    named = [timedelta(seconds=one.amount) for one in settings.tool_limits if one.kind == "time"]
    return max([settings.tool_timeout, *named])


def with_longest(cast: Cast, settings: Settings, *, queue_id: str) -> Cast:
    """Models are told of calls that may take longer than tools allow themselves."""
    if not any(one.kind == "time" for one in settings.tool_limits):
        return cast

    def told(persona: Persona) -> Persona:
        skills = offer([SkillDefinition.from_wire(skill) for skill in persona.skills]).skills
        tools = []
        for tool in persona.tools:
            longest = None
            if not tool.get("server") and _ASKED_FOR in tool["parameters"].get("properties", {}):
                longest = limits_of_tool(settings, queue_id=queue_id, skill=skills.get(tool["name"])).longest
            more = "" if longest is None else f" On this machine a call may ask for up to {duration_as_typed(longest)}."
            tools.append({**tool, "description": f"{tool['description']}{more}"})
        return replace(persona, tools=tuple(tools))

    return cast.each(told)


def _names(queue_id: str, skill: SkillDefinition | None) -> tuple[str, ...]:
    return (queue_id,) if skill is None else (queue_id, skill.type, skill.name)


def _wished(given: Any) -> Mapping[CallLimitKind, float]:
    """Of a skill's configuration: times in seconds. What is no amount is none."""
    if not isinstance(given, Mapping):
        return {}
    amounts = {kind: given.get(kind) for kind in KINDS}
    return {
        kind: float(one)
        for kind, one in amounts.items()
        if isinstance(one, int | float) and not isinstance(one, bool) and 1 <= one <= 1e9
    }
