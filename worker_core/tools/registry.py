"""From resolved skills to tools: what an agent is offered, and what of its skills this worker does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from worker_core.tools import python, shell
from worker_core.tools.base import Tool, ToolSpec
from worker_core.tools.files import FileTool


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
class Offer:
    """`unknown` holds a sentence for every skill, or setting of one, that is not honoured."""

    tools: Mapping[str, Tool]
    unknown: tuple[str, ...] = ()

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())


def offer(skills: Iterable[SkillDefinition]) -> Offer:
    """The tools of the enabled skills. An agent without skills has none; of two that clash, the first wins."""
    tools: dict[str, Tool] = {}
    unknown: list[str] = []
    for skill in skills:
        if not skill.enabled:
            continue
        maker = _MAKERS.get(skill.type)
        if maker is None:
            unknown.append(f"The skill {skill.name!r} of type {skill.type!r} is not available on this worker.")
            continue
        for name, tool in maker(skill.configuration, unknown).items():
            if tools.setdefault(name, tool) != tool:
                unknown.append(f"Several skills offer {name!r} with different settings; the first of them is used.")
    return Offer(tools=tools, unknown=tuple(unknown))


_Configuration = Mapping[str, Any]


def _shell(configuration: _Configuration, unknown: list[str]) -> dict[str, Tool]:
    allowed = _names(configuration, "allowed_commands")
    binary = _text(configuration, "shell_binary")
    given = (binary, *(_names(configuration, "shell_args") or ("-c",))) if binary else shell.default_shell()
    return {
        "shell": shell.ShellTool(
            timeout=_seconds(
                configuration, "timeout", default=shell.DEFAULT_TIMEOUT, longest=shell.LONGEST_TIMEOUT, unknown=unknown
            ),
            allowed_commands=None if allowed is None else frozenset(allowed),
            blocked_commands=frozenset(_names(configuration, "blocked_commands") or ()),
            working_directory=_folder(configuration, "working_directory", unknown=unknown),
            shell=given,
            guidelines=" ".join(
                filter(None, (_text(configuration, "usage_guidelines"), _text(configuration, "environment_context")))
            ),
        )
    }


def _python(configuration: _Configuration, unknown: list[str]) -> dict[str, Tool]:
    if configuration.get("enable_code_execution") is False:
        return {}
    return {
        "python": python.PythonTool(
            timeout=_seconds(
                configuration,
                "timeout",
                default=python.DEFAULT_TIMEOUT,
                longest=python.LONGEST_TIMEOUT,
                unknown=unknown,
            ),
            allowed_imports=_names(configuration, "allowed_imports"),
            blocked_imports=_names(configuration, "blocked_imports") or (),
        )
    }


_FILE_SWITCHES = {
    "read_file": "enable_read_file",
    "write_file": "enable_save_file",
    "edit_file": "enable_save_file",
    "list_files": "enable_list_files",
    "search_files": "enable_search_files",
}


def _file_system(configuration: _Configuration, unknown: list[str]) -> dict[str, Tool]:
    base = _folder(configuration, "base_dir", "base_directory", unknown=unknown)
    return {
        name: FileTool(name=name, base=base)
        for name, switch in _FILE_SWITCHES.items()
        if configuration.get(switch) is not False
    }


_MAKERS: Mapping[str, Callable[[_Configuration, list[str]], dict[str, Tool]]] = {
    "shell": _shell,
    "python": _python,
    "file_system": _file_system,
}


def _text(configuration: _Configuration, key: str) -> str:
    value = configuration.get(key)
    return value.strip() if isinstance(value, str) else ""


def _folder(configuration: _Configuration, *keys: str, unknown: list[str]) -> str:
    """A folder of the workspace; the workspace itself where it is another one."""
    folder = next(filter(None, (_text(configuration, key) for key in keys)), "")
    if folder.startswith(("/", "~", "\\")) or ":" in folder or ".." in folder.replace("\\", "/").split("/"):
        unknown.append(f"The folder {folder!r} of a skill is outside the workspace; the workspace is used.")
        return ""
    return folder


def _names(configuration: _Configuration, key: str) -> tuple[str, ...] | None:
    """A list of names, which some screens store as one text with commas. None: not configured."""
    value = configuration.get(key)
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return None
    names = tuple(str(item).strip() for item in value if str(item).strip())
    return names or None


def _seconds(
    configuration: _Configuration, key: str, *, default: timedelta, longest: timedelta, unknown: list[str]
) -> timedelta:
    value = configuration.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        unknown.append(f"The setting {key} = {value!r} of a skill is not a number of seconds; the default is used.")
        return default
    return min(timedelta(seconds=min(value, 1e6)), longest)
