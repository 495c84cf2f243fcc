"""Docker or Podman: each call in a container of its own, which is removed with it."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from worker_core.basics.sentences import worded
from worker_core.network.reachable import Network, narrower
from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.interpreter import files_child
from worker_core.sandbox.launcher import Command, Holds, on_loopback
from worker_core.sandbox.limits import Limits, kernel_limits
from worker_core.sandbox.loans import data
from worker_core.sandbox.walls import HOME, TMP, TMP_BYTES, Walls, sandboxed_environment

log = logging.getLogger(__name__)

PROGRAMS = ("docker", "podman")
PROBE_SECONDS = 10.0
PULL_SECONDS = 300.0
"""How long fetching the image may take."""
_PYTHON = "python3"
_COVER_BYTES = 65536

_PLAIN_NAME = re.compile(r"[A-Za-z_][!-<>-~]*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN_VALUE = re.compile(r"(?:[!#-&(-\[\]-_a-~](?:[ -\[\]-~]*[!#-&(-\[\]-_a-~])?)?")
"""No backslash; no quote and no blank at an end."""

_DECODED = "{0}=$(printf '%b.' \"${0}\"); {0}=${{{0}%.}}; export {0}; "
"""The point keeps line breaks at the end, which `$()` takes away."""

_ULIMITS: dict[int, str] = {}
if sys.platform != "win32":
    import resource

    _ULIMITS = {
        resource.RLIMIT_CORE: "core", resource.RLIMIT_CPU: "cpu", resource.RLIMIT_DATA: "data",
        resource.RLIMIT_NOFILE: "nofile", resource.RLIMIT_FSIZE: "fsize",
    }  # fmt: skip


class Container:
    """Starts commands through `docker run` or `podman run`.

    `allow-list` and `on` are `off` here: a container reaches either nothing or, with `host`, its bridge and all of it.

    Args:
        program: path of docker or podman.
        image: with a shell, and Python for the file and Python tools.
        walls: what it is to enforce.
        worker_python: path of the worker's interpreter, which the image's `python3` stands in for.
        is_podman: whatever the program is called.

    """

    name = "container"

    def __init__(self, *, program: str, image: str, walls: Walls, worker_python: str, is_podman: bool = False) -> None:
        self._program = program
        self._image = image
        self._walls = walls
        self._worker_python = worker_python
        # It would copy into a tmpfs what that is to cover, and the other engine has no such option.
        self._empty = ",notmpcopyup" if is_podman else ""

    def _home(self, kept: Path | None) -> list[str]:
        if kept is None:
            return ["--tmpfs", _tmpfs(str(HOME)) + self._empty]
        return ["--mount", _mount(kept, where=HOME)]

    @property
    def enforces(self) -> frozenset[str]:
        held = set(Holds)
        return frozenset(held - {Holds.NETWORK} if self._walls.network is Network.HOST else held)

    def door(self, port: int) -> str | None:
        return on_loopback(port) if self._walls.network is Network.HOST else None

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        policy = narrower(self._walls.network, network)
        limits = command.limits or self._walls.limits
        inside = sandboxed_environment(
            {name: value for name, value in command.environment.items() if name not in {"PATH", "SHELL"}},
            home=HOME, proxy=None,
        )  # fmt: skip
        argv = [
            self._program, "run", "--rm", "--interactive", "--init", "--pull", "missing", "--log-driver", "none",
            "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--network", "bridge" if policy is Network.HOST else "none",
            "--pids-limit", str(limits.processes), "--memory", str(limits.memory_bytes),
            "--memory-swap", str(limits.memory_bytes),
            "--tmpfs", _tmpfs(TMP) + self._empty, *self._home(command.home),
            "--mount", _mount(workspace), "--mount", _mount(files_child(), readonly=True),
        ]  # fmt: skip
        for folder in sorted(command.folders, key=lambda one: len(one.path.parts)):
            argv += ["--mount", _mount(folder.path, readonly=not folder.writable)]
        readable, covers = self._walls.shown()
        for path in readable:
            argv += ["--mount", _mount(path, readonly=True)]
        for path in covers:
            if path.is_file():
                argv += ["--mount", _mount(Path(os.devnull), readonly=True, where=path)]
                continue
            argv += [
                "--tmpfs",
                f"{path}:rw,nosuid,nodev,noexec,size={_COVER_BYTES}{self._empty}",
            ]  # the workspace may lie below
        if sys.platform != "win32":
            argv += ["--user", f"{os.getuid()}:{os.getgid()}"]
        for name, value in _kernel_limits(limits).items():
            argv += ["--ulimit", f"{name}={value}:{value}"]
        lines, coded = _env_file(inside)
        file = data(lines)
        argv += ["--env-file", f"/dev/fd/{file.descriptor}"]
        mark = command.environment.get(CALL_MARK, "")
        argv += ["--label", f"{CALL_MARK.lower()}={mark}", "--workdir", str(command.cwd), self._image]
        if coded:
            argv += ["/bin/sh", "-c", "".join(map(_DECODED.format, coded)) + 'exec "$@"', "variables"]
        argv += [_PYTHON if part == self._worker_python else part for part in command.argv[:1]]
        argv += command.argv[1:]
        return replace(
            command,
            argv=argv,
            cwd=workspace,
            environment={**_own_environment(), CALL_MARK: mark},
            limits=replace(limits, memory_bytes=max(limits.memory_bytes, 2**30)),
            workspace=workspace,
            loans=(*command.loans, file),
        )


_OF_THE_PROGRAM = frozenset(
    {"PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY",
     "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS", "CONTAINER_HOST",
     "CONTAINERS_CONF", "SYSTEMROOT", "USERPROFILE"}
)  # fmt: skip
"""Of the worker's own environment. The program runs outside the walls: what an execution declares is not for it."""


def _own_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _OF_THE_PROGRAM}


def _kernel_limits(limits: Limits) -> dict[str, int]:
    """By the names that engines have for them; what the worker itself has less of stays."""
    if sys.platform == "win32":
        return {}
    import resource

    told = {}
    for number, value in kernel_limits(limits).items():
        if (name := _ULIMITS.get(number)) is not None:
            _, most = resource.getrlimit(number)
            told[name] = value if most == resource.RLIM_INFINITY else min(value, most)
    return told


def _env_file(variables: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """For `--env-file`, a line each; and the names of those whose values had to be written as `printf %b` reads them.

    Engines take lines, and read quotes, white space and what is not ASCII each in its own way.

    Raises:
        OSError: one can be written in neither way.

    """
    lines, coded = [], []
    for name, value in variables.items():
        if _PLAIN_NAME.fullmatch(name) and _PLAIN_VALUE.fullmatch(value):
            lines.append(f"{name}={value}\n")
        elif _IDENTIFIER.fullmatch(name):
            octal = "".join(rf"\0{byte:03o}" for byte in os.fsencode(value))
            lines.append(f"{name}={octal}\n")
            coded.append(name)
        else:
            raise OSError(errno.EINVAL, f"the variable {name[:100]!r} cannot be handed to a container")
    return "".join(lines).encode(), coded


def _tmpfs(path: str) -> str:
    return f"{path}:rw,nosuid,nodev,exec,mode=1777,size={TMP_BYTES}"


def _mount(path: Path, *, readonly: bool = False, where: Path | None = None) -> str:
    # A field of CSV: quoted, a comma in a path stays in it.
    source, target = (str(one).replace('"', '""') for one in (path, where or path))
    return f'type=bind,"source={source}","target={target}"' + (",readonly" if readonly else "")


def find_program(search_path: str | None = None) -> str | None:
    """Path of docker, else of podman."""
    return next(filter(None, (shutil.which(name, path=search_path) for name in PROGRAMS)), None)


def is_podman(program: str) -> bool:
    """Also where it is called docker, as the package podman-docker calls it."""
    try:
        return b"podman" in _ask(program, "--version", seconds=PROBE_SECONDS).stdout.lower()
    except (OSError, subprocess.SubprocessError):
        return Path(program).name.startswith("podman")


def probe(program: str, image: str) -> str:
    """Empty where its service answers and has the image, else a sentence that says what is wrong and what to do.

    An image that is not there is fetched now, so that it is known whether it can be had before a call needs it.
    """
    try:
        answer = _ask(program, "version", "--format", "{{.Server.Version}}", seconds=PROBE_SECONDS)
        if answer.returncode != 0:
            return worded(
                "{program} is there but its service does not answer ({why}). Start it.",
                program=program,
                why=_said(answer),
            )
        if _ask(program, "image", "inspect", image, seconds=PROBE_SECONDS).returncode == 0:
            return ""
        log.info("The image %s is not here yet; %s fetches it", image, program)
        answer = _ask(program, "pull", "--quiet", image, seconds=PULL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        return worded("{program} could not be asked: {why}.", program=program, why=str(error))
    if answer.returncode == 0:
        return ""
    return worded(
        "The image {image} is not here and {program} could not fetch it ({why}). Fetch it with `{name} pull {image}`, "
        "or name another one in sandbox_image.",
        image=image,
        program=program,
        why=_said(answer),
        name=Path(program).name,
    )


def _ask(program: str, *arguments: str, seconds: float) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
    )


def _said(answer: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(answer.stderr.decode("utf-8", "replace").split())[:200]
