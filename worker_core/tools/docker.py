"""`docker`: containers, images, volumes and networks, through the docker command line program.

Whoever may start containers may do almost anything on the machine of that Docker; what is offered here asks for no
privileges, mounts nothing but the workspace, and adds none to what an image has.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.threads import uninterrupted
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.sandbox.call import run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.tools import arguments
from worker_core.tools.arguments import WrongArguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.report import run_and_report
from worker_core.tools.shell import bounded
from worker_core.workspaces.workspace import OutsideWorkspace, Workspace, safe_name

DEFAULT_TIMEOUT = timedelta(seconds=120)
LONGEST_TIMEOUT = timedelta(minutes=30)
_TIDY_LIMIT = timedelta(seconds=15)
_INSIDE = "/workspace"
_MOST_PROCESSES = "1024"
DEFAULT_HOST = "unix:///var/run/docker.sock"

Group = Literal["container", "image", "volume", "network"]
_SWITCHES: Mapping[Group, tuple[str, bool]] = {
    "container": ("enable_container_management", True),
    "image": ("enable_image_management", False),
    "volume": ("enable_volume_management", False),
    "network": ("enable_network_management", False),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,254}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PORT = re.compile(r"((127\.0\.0\.1|\[::1\]):)?\d{0,5}:?\d{1,5}(/(tcp|udp))?")
_LIMIT = re.compile(r"\d{1,10}[bkmg]?", re.IGNORECASE)


class _Arguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


_Seconds = Annotated[
    float | None, msgspec.Meta(description="Stop it after so many seconds; 1800 at most, if nothing else is said.")
]


class ListArguments(_Arguments, kw_only=True):
    what: Annotated[Group, msgspec.Meta(description="What to list.")]
    all: Annotated[bool, msgspec.Meta(description="Containers that do not run as well.")] = False


class InspectArguments(_Arguments, kw_only=True):
    what: Annotated[Group, msgspec.Meta(description="What it is.")]
    name: Annotated[str, msgspec.Meta(description="Its name or id.")]


class LogsArguments(_Arguments, kw_only=True):
    container: Annotated[str, msgspec.Meta(description="Name or id.")]
    tail: Annotated[int, msgspec.Meta(description="How many of the last lines.", ge=1)] = 200


class RunArguments(_Arguments, kw_only=True):
    image: Annotated[str, msgspec.Meta(description="Image with its tag.")]
    command: Annotated[list[str], msgspec.Meta(description="Program and arguments; the image's own by default.")] = []
    detach: Annotated[bool, msgspec.Meta(description="Let it run on, and return at once.")] = False
    name: Annotated[str, msgspec.Meta(description="Name of a container that runs on.")] = ""
    environment: Annotated[dict[str, str], msgspec.Meta(description="Variables and their values.")] = {}
    pass_variables: Annotated[
        list[str], msgspec.Meta(description="Names of variables of this execution that it gets, such as tokens.")
    ] = []
    ports: Annotated[list[str], msgspec.Meta(description="Such as 8080:80; reached from this machine alone.")] = []
    mount_workspace: Annotated[bool, msgspec.Meta(description="See the workspace as /workspace.")] = False
    working_directory: Annotated[str, msgspec.Meta(description="Folder in the container.")] = ""
    network: Annotated[str, msgspec.Meta(description="Name of a network, or none.")] = ""
    memory: Annotated[str, msgspec.Meta(description="Limit such as 512m.")] = ""
    timeout_seconds: _Seconds = None


class ExecArguments(_Arguments, kw_only=True):
    container: Annotated[str, msgspec.Meta(description="Name or id.")]
    command: Annotated[list[str], msgspec.Meta(description="Program and arguments.", min_length=1)]
    working_directory: Annotated[str, msgspec.Meta(description="Folder in the container.")] = ""
    timeout_seconds: _Seconds = None


class ContainerArguments(_Arguments, kw_only=True):
    action: Annotated[Literal["start", "stop", "restart", "remove"], msgspec.Meta(description="What to do with it.")]
    container: Annotated[str, msgspec.Meta(description="Name or id.")]
    force: Annotated[bool, msgspec.Meta(description="Remove it even if it runs.")] = False


class ImageArguments(_Arguments, kw_only=True):
    action: Annotated[Literal["pull", "build", "tag", "remove"], msgspec.Meta(description="What to do.")]
    image: Annotated[str, msgspec.Meta(description="Image with its tag; what a build is called.")]
    new_name: Annotated[str, msgspec.Meta(description="For tag: the other name.")] = ""
    folder: Annotated[str, msgspec.Meta(description="For build: folder of the workspace with the Dockerfile.")] = "."
    timeout_seconds: _Seconds = None


class VolumeArguments(_Arguments, kw_only=True):
    action: Annotated[Literal["create", "remove"], msgspec.Meta(description="What to do.")]
    name: Annotated[str, msgspec.Meta(description="Its name.")]


class NetworkArguments(_Arguments, kw_only=True):
    action: Annotated[Literal["create", "remove", "connect", "disconnect"], msgspec.Meta(description="What to do.")]
    name: Annotated[str, msgspec.Meta(description="Its name.")]
    container: Annotated[str, msgspec.Meta(description="For connect and disconnect: name or id.")] = ""


_OPERATIONS: Mapping[str, tuple[type[_Arguments], Group | None, bool, str]] = {
    "docker_list": (ListArguments, None, True, "List what Docker has."),
    "docker_inspect": (InspectArguments, None, True, "Show everything that Docker knows of one thing."),
    "docker_logs": (LogsArguments, "container", True, "Show what a container printed last."),
    "docker_run": (
        RunArguments,
        "container",
        False,
        "Run a new container; unless it is to run on, it is removed when it ends, and you read what it printed.",
    ),
    "docker_exec": (ExecArguments, "container", False, "Run a command in a container that runs."),
    "docker_container": (ContainerArguments, "container", False, "Start, stop, restart or remove a container."),
    "docker_image": (ImageArguments, "image", False, "Pull, build, tag or remove an image."),
    "docker_volume": (VolumeArguments, "volume", False, "Create or remove a volume."),
    "docker_network": (
        NetworkArguments,
        "network",
        False,
        "Create or remove a network, or connect a container with it.",
    ),
}
"""Arguments, the group that must be allowed, whether it only reads, and what the model is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerTool:
    """One operation. `groups` are those that the configuration allows; `host` is empty for the program's own choice."""

    name: str
    groups: tuple[Group, ...]
    host: str = ""

    @property
    def spec(self) -> ToolSpec:
        model, _, read_only, description = _OPERATIONS[self.name]
        parameters = arguments.schema(model)
        if "what" in parameters["properties"]:
            parameters["properties"]["what"] = {**parameters["properties"]["what"], "enum": list(self.groups)}
        return ToolSpec(name=self.name, description=description, parameters=parameters, read_only=read_only)

    def details(self, arguments_: Mapping[str, Any]) -> list[tuple[str, str]]:  # noqa: ARG002 - of whatever call
        """Whose Docker it is, where the skill's configuration names one."""
        return [("Docker of", self.host)] if self.host else []

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        """What runs in a container does not see this machine's files; rules about commands count all the same."""
        asked = arguments.read(_OPERATIONS[self.name][0], arguments_)
        there = _Setting(workspace=Workspace(path=reader.workspace))
        if isinstance(asked, ImageArguments) and asked.action == "build":
            yield from reader.path(asked.folder)
        argv = ["run", *_run_options(asked, there)] if isinstance(asked, RunArguments) else _command(asked, there)
        yield from reader.elsewhere(["docker", *argv])
        if isinstance(asked, RunArguments | ExecArguments) and asked.command:
            yield from reader.elsewhere(asked.command)

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        program = shutil.which("docker", path=context.environment.get("PATH"))
        if program is None:
            return arguments.failed(
                "Docker is not installed on this machine, or not on the worker's PATH; nothing was run. Do without it, "
                "or ask the machine's owner to install it."
            )
        docker = [program, *(("--host", self.host) if self.host else ())]
        try:
            asked = arguments.read(_OPERATIONS[self.name][0], arguments_)
            if isinstance(asked, ListArguments | InspectArguments) and asked.what not in self.groups:
                raise WrongArguments(f"The skill's configuration does not allow to see what {asked.what}s there are.")
            timeout = bounded(
                getattr(asked, "timeout_seconds", None),
                default=DEFAULT_TIMEOUT,
                longest=context.at_most(LONGEST_TIMEOUT),
            )
            if isinstance(asked, RunArguments) and not asked.detach:
                return await self._run_to_its_end(docker, asked, context, timeout)
            command = _command(asked, _setting(context))
        except OutsideWorkspace as error:
            return arguments.failed(error.sentence)
        except WrongArguments as error:
            return arguments.failed(str(error))
        return await run_and_report([*docker, *command], context, timeout=timeout)

    async def _run_to_its_end(
        self, docker: list[str], asked: RunArguments, context: ToolContext, timeout: timedelta
    ) -> ToolResult:
        """The program may be killed; the container does not end with it, so it has a name and is removed by it."""
        if asked.name:
            raise WrongArguments("A name is for containers that run on (detach); leave it out.")
        name = f"kubiya-{safe_name(context.call_id)[:40]}-{os.urandom(4).hex()}"
        command = ["run", "--rm", "--name", name, *_run_options(asked, _setting(context))]
        try:
            result = await run_and_report([*docker, *command], context, timeout=timeout)
        except asyncio.CancelledError:
            await uninterrupted(_remove(docker, name, context))
            raise
        if result.metadata.get("timed_out"):
            await uninterrupted(_remove(docker, name, context))
        return result


async def _remove(docker: list[str], name: str, context: ToolContext) -> None:
    command = Command(
        argv=[*docker, "container", "rm", "--force", name],
        cwd=context.workspace.path,
        environment=tool_environment(context.environment, call_mark=f"{context.execution_id}/{context.call_id}"),
    )
    try:
        result = await run_process(
            context.launcher.wrap(command, workspace=context.workspace.path),
            timeout=_TIDY_LIMIT,
            output_limit_bytes=1000,
        )
        result.output.close()
    except OSError:
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """Of a call. `variables` None: they are not known yet."""

    workspace: Workspace
    execution_id: str = ""
    variables: frozenset[str] | None = None


def _setting(context: ToolContext) -> _Setting:
    return _Setting(
        workspace=context.workspace,
        execution_id=context.execution_id,
        variables=frozenset(context.environment),
    )


def _command(asked: _Arguments, setting: _Setting) -> list[str]:
    """The arguments of the docker program; no value of the model's can be taken for an option."""
    match asked:
        case ListArguments(what="container"):
            return ["container", "ls", *(["--all"] if asked.all else [])]
        case ListArguments():
            return [asked.what, "ls"]
        case InspectArguments():
            return [asked.what, "inspect", _name(asked.name)]
        case LogsArguments():
            return ["container", "logs", "--timestamps", "--tail", str(asked.tail), _name(asked.container)]
        case RunArguments():
            named = ["--name", _name(asked.name)] if asked.name else []
            return ["run", "--detach", *named, *_run_options(asked, setting)]
        case ExecArguments():
            where = ["--workdir", _inside(asked.working_directory)] if asked.working_directory else []
            return ["container", "exec", *where, _name(asked.container), *asked.command]
        case ContainerArguments():
            forced = ["--force"] if asked.force and asked.action == "remove" else []
            verb = "rm" if asked.action == "remove" else asked.action
            return ["container", verb, *forced, _name(asked.container)]
        case ImageArguments(action="build"):
            folder = setting.workspace.resolve(asked.folder)
            return ["image", "build", "--tag", _name(asked.image), str(folder)]
        case ImageArguments(action="tag"):
            return ["image", "tag", _name(asked.image), _name(asked.new_name)]
        case ImageArguments():
            return ["image", "rm" if asked.action == "remove" else asked.action, _name(asked.image)]
        case VolumeArguments():
            return ["volume", "rm" if asked.action == "remove" else asked.action, _name(asked.name)]
        case NetworkArguments(action="connect" | "disconnect"):
            return ["network", asked.action, _name(asked.name), _name(asked.container)]
        case NetworkArguments():
            return ["network", "rm" if asked.action == "remove" else asked.action, _name(asked.name)]
    raise AssertionError(asked)


def _run_options(asked: RunArguments, setting: _Setting) -> list[str]:
    options = ["--label", f"ai.kubiya.execution={safe_name(setting.execution_id)}"]
    options += ["--security-opt", "no-new-privileges", "--pids-limit", _MOST_PROCESSES]
    for name, value in asked.environment.items():
        options += ["--env", f"{_variable(name)}={value}"]
    for name in asked.pass_variables:
        if setting.variables is not None and name not in setting.variables:
            raise WrongArguments(f"This execution has no variable {name[:100]!r}.")
        options += ["--env", _variable(name)]  # the value goes by the program's environment, never on its command line
    for port in asked.ports:
        if not _PORT.fullmatch(port):
            raise WrongArguments(f"The port {port[:50]!r} is not like 8080:80.")
        on_this_machine = port if port.startswith(("127.", "[")) else f"127.0.0.1:{port if ':' in port else ':' + port}"
        options += ["--publish", on_this_machine]
    if asked.mount_workspace:
        options += ["--mount", f"type=bind,source={setting.workspace.path},target={_INSIDE}"]
        if sys.platform != "win32" and os.getuid() != 0:  # else its files would be root's, and stay for ever
            options += ["--user", f"{os.getuid()}:{os.getgid()}"]
    if asked.working_directory or asked.mount_workspace:
        options += ["--workdir", _inside(asked.working_directory or _INSIDE)]
    if asked.network:
        if asked.network == "host" or asked.network.startswith("container:"):
            raise WrongArguments("A container does not get the machine's own network, or another container's.")
        options += ["--network", _name(asked.network)]
    if asked.memory:
        if not _LIMIT.fullmatch(asked.memory):
            raise WrongArguments(f"The limit {asked.memory[:50]!r} is not like 512m.")
        options += ["--memory", asked.memory]
    return [*options, _name(asked.image), *asked.command]


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise WrongArguments(f"{text[:100]!r} is no name that Docker takes.")
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise WrongArguments(f"{text[:100]!r} is no name of a variable.")
    return text


def _inside(text: str) -> str:
    if not text.startswith("/") or "\0" in text:
        raise WrongArguments(f"The folder {text[:100]!r} in the container must begin with a slash.")
    return text


def make(configuration: Configuration) -> dict[str, Tool]:
    groups = tuple(
        group for group, (switch, default) in _SWITCHES.items() if configuration.switch(switch, default=default)
    )
    host = configuration.text("docker_host")
    if host and not re.match(r"(unix|tcp|ssh|npipe|fd)://", host):
        configuration.unknown.append(f"The docker_host {host!r} of a skill is no address of a Docker; it is not used.")
        host = ""
    return {
        name: DockerTool(name=name, groups=groups, host="" if host == DEFAULT_HOST else host)
        for name, (_, group, _, _) in _OPERATIONS.items()
        if groups and (group is None or group in groups)
    }
