"""From resolved skills to tools: what an agent is offered, and what of its skills this worker does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import Any, Self

from worker_core.basics.quick_dataclass import dataclass
from worker_core.tools.base import Tool, ToolSpec
from worker_core.tools.configuration import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillDefinition:
    """A resolved skill (protocol, section 8.8), nulls and wrong types replaced."""

    name: str
    type: str
    enabled: bool = True
    configuration: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, raw: Mapping[str, Any]) -> Self:
        configuration = raw.get("configuration")
        kind = raw.get("type")
        name = raw.get("name")
        return cls(
            name=name if isinstance(name, str) else "",
            type=kind if isinstance(kind, str) else "",
            enabled=raw.get("enabled") is not False,
            configuration=dict(configuration) if isinstance(configuration, dict) else {},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTools:
    """`unknown` holds a sentence for every skill, or setting of one, that is not honoured."""

    tools: Mapping[str, Tool]
    unknown: tuple[str, ...] = ()
    skills: Mapping[str, SkillDefinition] = field(default_factory=dict)
    """Whose each tool is, by its name."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())


def offer(skills: Iterable[SkillDefinition]) -> OfferedTools:
    """The tools of the enabled skills. An agent without skills has none; of two that clash, the first wins."""
    tools: dict[str, Tool] = {}
    of: dict[str, SkillDefinition] = {}
    unknown: list[str] = []
    for skill in skills:
        if not skill.enabled:
            continue
        kind, values = _meant(skill)
        maker = _MAKERS.get(kind)
        if maker is None:
            why = _NOT_HERE.get(kind, "")
            unknown.append(f"The skill {skill.name!r} of type {skill.type!r} is not available on this worker{why}.")
            continue
        for name, tool in maker(Configuration(values=values, unknown=unknown)).items():
            of.setdefault(name, replace(skill, type=kind, configuration=dict(values)))
            if tools.setdefault(name, tool) != tool:
                unknown.append(f"Several skills offer {name!r} with different settings; the first of them is used.")
    return OfferedTools(tools=tools, unknown=tuple(unknown), skills=of)


# Each is imported when an agent first has such a skill: a worker starts without them.


def _shell(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import shell

    return shell.make(configuration)


def _python(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import python

    return python.make(configuration)


def _files(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import files

    return files.make(configuration)


def _sleep(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import sleep

    return sleep.make(configuration)


def _docker(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import docker

    return docker.make(configuration)


def _documents(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import documents

    return documents.make(configuration)


def _diagrams(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import diagrams

    return diagrams.make(configuration)


def _workflows(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import workflows

    return workflows.make(configuration)


def _slack(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import slack

    return slack.make(configuration)


def _knowledge(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import knowledge

    return knowledge.make(configuration)


def _memory(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import memory

    return memory.make(configuration)


def _web(configuration: Configuration) -> dict[str, Tool]:
    from worker_core.tools import web

    return web.make(configuration)


_MAKERS: Mapping[str, Callable[[Configuration], dict[str, Tool]]] = {
    "shell": _shell,
    "python": _python,
    "file_system": _files,
    "sleep": _sleep,
    "docker": _docker,
    "file_generation": _documents,
    "data_visualization": _diagrams,
    "workflow_executor": _workflows,
    "slack": _slack,
    "contextual_awareness": _knowledge,
    "knowledge_api": _knowledge,
    "cognitive_memory": _memory,
    "web_fetch": _web,
}

_NOT_HERE: Mapping[str, str] = {
    "agent_communication": ": the control plane has no such calls; use a team instead",
    "code_ingestion": ": it belongs to the control plane's own workers",
    "remote_filesystem": ": files are kept in the workspace; use the skill file_system",
    "custom": ": it names a class of another program's code",
}


def _meant(skill: SkillDefinition) -> tuple[str, Mapping[str, Any]]:
    """The kind of a skill. `custom` is how the API makes a skill of a kind that it does not know, such as
    `web_fetch`: the name then says which.
    """
    if skill.type == "custom" and skill.name in _MAKERS:
        given = skill.configuration.get("custom_config")
        return skill.name, {**skill.configuration, **(given if isinstance(given, dict) else {})}
    return skill.type, skill.configuration
