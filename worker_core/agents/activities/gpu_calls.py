"""Which tool calls are given GPUs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from worker_core.agents.messages import RunTool
from worker_core.settings import Settings

if TYPE_CHECKING:
    from worker_core.machine.gpus import Found
    from worker_core.tools.registry import SkillDefinition

SKILLS: Final = frozenset({"shell", "python", "workflow_executor"})
"""Types of skills whose calls run what an agent chooses. Others need no GPU, and servers of MCP are given none: they
outlive their calls."""


def gpus_of_call(settings: Settings, request: RunTool, *, queue_id: str, skill: SkillDefinition | None) -> Found | None:
    """For one call. It looks at the machine: call it in a thread. None: the settings switch GPUs off."""
    names = (queue_id, request.entity_id, *request.granted_as)
    if skill is None:
        return gpus_for(settings, skill_type="", names=names)
    return gpus_for(settings, skill_type=skill.type, names=(*names, skill.type, skill.name))


def gpus_for(settings: Settings, *, skill_type: str, names: Iterable[str]) -> Found | None:
    """What a call is given, by the type of its skill and all names that the owner may have said it by."""
    if settings.gpu == "off":
        return None
    from worker_core.machine import gpus

    if skill_type not in SKILLS or (settings.gpu_for and not set(settings.gpu_for) & set(names)):
        return gpus.Found()
    return gpus.MACHINE.find(settings.gpu)
