"""Docker or Podman: each call in a container of its own, which is removed with it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.launcher import Command, Holds, Network, narrower, on_loopback
from worker_core.sandbox.limits import shell_prefix
from worker_core.sandbox.linux import HOME, TMP_BYTES, Walls, files_child, sandboxed_environment

log = logging.getLogger(__name__)

PROGRAMS = ("docker", "podman")
PROBE_SECONDS = 10.0
PULL_SECONDS = 300.0
"""How long fetching the image may take."""
DEFAULT_IMAGE = "python:3.13-slim"
_PYTHON = "python3"


class Container:
    """Starts commands through `docker run` or `podman run`.

    `allow-list` and `on` are `off` here: a container reaches either nothing or, with `host`, its bridge and all of it.

    Args:
        program: path of docker or podman.
        image: with a shell, and Python for the file and Python tools.
        walls: what it is to enforce.
        worker_python: path of the worker's interpreter, which the image's `python3` stands in for.

    """

    name = "container"

    def __init__(self, *, program: str, image: str, walls: Walls, worker_python: str) -> None:
        self._program = program
        self._image = image
        self._walls = walls
        self._worker_python = worker_python

    @property
    def enforces(self) -> frozenset[str]:
        held = set(Holds)
        return frozenset(held - {Holds.NETWORK} if self._walls.network is Network.HOST else held)

    def door(self, port: int) -> str | None:
        return on_loopback(port) if self._walls.network is Network.HOST else None

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        policy = narrower(self._walls.network, network)
        limits = self._walls.limits
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
            "--tmpfs", f"/tmp:rw,nosuid,nodev,exec,size={TMP_BYTES}",  # noqa: S108 -- of the container
            "--mount", _mount(workspace), "--mount", _mount(files_child(), readonly=True),
        ]  # fmt: skip
        for path in self._walls.readable:
            argv += ["--mount", _mount(path, readonly=True)]
        if sys.platform != "win32":
            argv += ["--user", f"{os.getuid()}:{os.getgid()}"]
        for name in inside:
            argv += ["--env", name]  # by name: values are not for the process list
        mark = command.environment.get(CALL_MARK, "")
        argv += ["--label", f"{CALL_MARK.lower()}={mark}", "--workdir", str(command.cwd), self._image]
        argv += shell_prefix(limits, counts_processes=False, first='mkdir -p "$HOME"')
        argv += [_PYTHON if part == self._worker_python else part for part in command.argv[:1]]
        argv += command.argv[1:]
        own = {name: value for name, value in os.environ.items() if name in _OF_THE_PROGRAM}
        return replace(
            command,
            argv=argv,
            cwd=workspace,
            # HOME and TMPDIR are for what runs inside; the program itself finds its own configuration another way.
            environment={**own, **inside},
            limits=replace(limits, memory_bytes=max(limits.memory_bytes, 2**30)),
            workspace=workspace,
        )


_OF_THE_PROGRAM = frozenset(
    {"PATH", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY",
     "XDG_RUNTIME_DIR", "CONTAINER_HOST", "SYSTEMROOT"}
)  # fmt: skip


def _mount(path: Path, *, readonly: bool = False) -> str:
    # A field of CSV: quoted, a comma in a path stays in it.
    field = str(path).replace('"', '""')
    return f'type=bind,"source={field}","target={field}"' + (",readonly" if readonly else "")


def find_program(search_path: str | None = None) -> str | None:
    """Path of docker, else of podman."""
    return next(filter(None, (shutil.which(name, path=search_path) for name in PROGRAMS)), None)


def probe(program: str, image: str) -> str:
    """Empty where its service answers and has the image, else a sentence that says what is wrong and what to do.

    An image that is not there is fetched now, so that it is known whether it can be had before a call needs it.
    """
    try:
        answer = _ask(program, "version", "--format", "{{.Server.Version}}", seconds=PROBE_SECONDS)
        if answer.returncode != 0:
            return f"{program} is there but its service does not answer ({_said(answer)}). Start it."
        if _ask(program, "image", "inspect", image, seconds=PROBE_SECONDS).returncode == 0:
            return ""
        log.info("The image %s is not here yet; %s fetches it", image, program)
        answer = _ask(program, "pull", "--quiet", image, seconds=PULL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{program} could not be asked: {error}."
    if answer.returncode == 0:
        return ""
    return (
        f"The image {image} is not here and {program} could not fetch it ({_said(answer)}). "
        f"Fetch it with `{Path(program).name} pull {image}`, or name another one in sandbox_image."
    )


def _ask(program: str, *arguments: str, seconds: float) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
    )


def _said(answer: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(answer.stderr.decode("utf-8", "replace").split())[:200]
