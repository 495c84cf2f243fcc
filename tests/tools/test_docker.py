"""A program named docker that writes down how it was called stands in for Docker: there is no daemon to test with."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.tools.conftest import Call
from worker_core.tools.docker import DEFAULT_HOST, DockerTool
from worker_core.tools.registry import SkillDefinition, offer

EVERY = ("container", "image", "volume", "network")

FAKE = """\
import json, os, sys, time
here = os.environ["FAKE_DOCKER"]
name = os.path.join(here, f"call-{time.monotonic_ns()}")
with open(f"{here}-draft-{os.getpid()}", "w") as file:
    json.dump({"argv": sys.argv[1:], "token": os.environ.get("TOKEN")}, file)
os.rename(file.name, name)
if sys.argv[-1] == "hang":
    print("hanging", flush=True)
    time.sleep(60)
print("docker says", " ".join(sys.argv[1:]))
sys.exit(int(os.environ.get("FAKE_EXIT", "0")))
"""

Calls = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def docker(tmp_path: Path) -> tuple[dict[str, str], Calls]:
    """Variables of the execution under which the program is found, and its calls so far."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    calls.mkdir()
    (folder / "docker.py").write_text(FAKE)
    if os.name == "nt":
        (folder / "docker.cmd").write_text(f'@"{sys.executable}" "%~dp0docker.py" %*\n')
    else:
        program = folder / "docker"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{folder / "docker.py"}" "$@"\n')
        program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"

    def made() -> list[dict[str, Any]]:
        return [json.loads(one.read_text()) for one in sorted(calls.iterdir())]

    return {"PATH": path, "FAKE_DOCKER": str(calls)}, made


def tool(name: str, host: str = "", groups: Any = EVERY) -> DockerTool:
    return DockerTool(name=f"docker_{name}", groups=groups, host=host)


@pytest.mark.parametrize(
    ("name", "arguments", "argv"),
    [
        ("list", {"what": "container"}, "container ls"),
        ("list", {"what": "container", "all": True}, "container ls --all"),
        ("list", {"what": "image"}, "image ls"),
        ("inspect", {"what": "volume", "name": "data"}, "volume inspect data"),
        ("logs", {"container": "web"}, "container logs --timestamps --tail 200 web"),
        ("exec", {"container": "web", "command": ["ls", "-l"]}, "container exec web ls -l"),
        ("exec", {"container": "w", "command": ["x"], "working_directory": "/a"}, "container exec --workdir /a w x"),
        ("container", {"action": "stop", "container": "web", "force": True}, "container stop web"),
        ("container", {"action": "remove", "container": "web", "force": True}, "container rm --force web"),
        ("image", {"action": "pull", "image": "ghcr.io/a/b:1.2@sha256:00"}, "image pull ghcr.io/a/b:1.2@sha256:00"),
        ("image", {"action": "tag", "image": "a", "new_name": "b:1"}, "image tag a b:1"),
        ("image", {"action": "remove", "image": "a"}, "image rm a"),
        ("volume", {"action": "create", "name": "data"}, "volume create data"),
        ("volume", {"action": "remove", "name": "data"}, "volume rm data"),
        ("network", {"action": "create", "name": "net"}, "network create net"),
        ("network", {"action": "connect", "name": "net", "container": "web"}, "network connect net web"),
    ],
)
async def test_what_docker_is_told(
    call: Call, docker: tuple[dict[str, str], Calls], name: str, arguments: dict[str, Any], argv: str
) -> None:
    environment, calls = docker
    result = await call(tool(name), arguments, environment=environment)
    assert result.succeeded, result.error
    assert result.output.strip() == f"docker says {argv}"
    [made] = calls()
    assert made["argv"] == argv.split()


async def test_a_run_asks_for_no_privileges_and_keeps_secrets_off_the_command_line(
    call: Call, docker: tuple[dict[str, str], Calls], here: Path
) -> None:
    environment, calls = docker
    arguments = {
        "image": "alpine:3", "command": ["sh", "-c", "echo --privileged"], "environment": {"A": "b c"},
        "pass_variables": ["TOKEN"], "ports": ["8080:80", "90"], "mount_workspace": True, "memory": "512m",
        "network": "net",
    }  # fmt: skip
    result = await call(tool("run"), arguments, environment={**environment, "TOKEN": "the-secret"})
    assert result.succeeded, result.error
    [made] = calls()
    argv, image = made["argv"], made["argv"].index("alpine:3")
    options = argv[:image]
    assert argv[image + 1 :] == ["sh", "-c", "echo --privileged"]
    assert options[:3] == ["run", "--rm", "--name"]
    assert "the-secret" not in argv
    assert made["token"] == "the-secret"
    pairs = list(itertools.pairwise(options))
    for pair in (
        ("--env", "A=b c"), ("--env", "TOKEN"), ("--publish", "127.0.0.1:8080:80"), ("--publish", "127.0.0.1::90"),
        ("--mount", f"type=bind,source={here},target=/workspace"), ("--workdir", "/workspace"),
        ("--memory", "512m"), ("--network", "net"), ("--security-opt", "no-new-privileges"), ("--pids-limit", "1024"),
    ):  # fmt: skip
        assert pair in pairs


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("run", {"image": "--privileged"}, "no name that Docker takes"),
        ("run", {"image": "a", "environment": {"A=B": "c"}}, "no name of a variable"),
        ("run", {"image": "a", "pass_variables": ["MISSING"]}, "has no variable"),
        ("run", {"image": "a", "network": "host"}, "the machine's own network"),
        ("run", {"image": "a", "network": "container:db"}, "another container's"),
        ("run", {"image": "a", "ports": ["0.0.0.0:80:80"]}, "not like 8080:80"),
        ("run", {"image": "a", "memory": "lots"}, "not like 512m"),
        ("run", {"image": "a", "working_directory": "x"}, "begin with a slash"),
        ("run", {"image": "a", "name": "n"}, "for containers that run on"),
        ("run", {"image": "a", "privileged": True}, "not right"),
        ("exec", {"container": "-it", "command": ["x"]}, "no name that Docker takes"),
        ("image", {"action": "build", "image": "a", "folder": "../.."}, "leads out"),
        ("list", {"what": "swarm"}, "not right"),
    ],
)
async def test_what_is_refused(
    call: Call, docker: tuple[dict[str, str], Calls], name: str, arguments: dict[str, Any], said: str
) -> None:
    environment, calls = docker
    result = await call(tool(name), arguments, environment=environment)
    assert said in (result.error or "")
    assert calls() == []


async def test_groups_that_are_switched_off(call: Call, docker: tuple[dict[str, str], Calls]) -> None:
    environment, calls = docker
    result = await call(tool("list", groups=("container",)), {"what": "image"}, environment=environment)
    assert "does not allow" in (result.error or "")
    assert calls() == []
    assert tool("list", groups=("container",)).spec.parameters["properties"]["what"]["enum"] == ["container"]


async def test_a_container_of_a_call_that_is_stopped_is_removed(
    call: Call, docker: tuple[dict[str, str], Calls]
) -> None:
    environment, calls = docker
    result = await call(
        tool("run"), {"image": "alpine", "command": ["hang"], "timeout_seconds": 1.5}, environment=environment
    )
    assert "did not end within" in (result.error or "")
    began, removed = (one["argv"] for one in calls())
    assert removed == ["container", "rm", "--force", began[3]]

    running = asyncio.ensure_future(
        call(tool("run"), {"image": "alpine", "command": ["hang"]}, environment=environment)
    )
    async with asyncio.timeout(60):
        while len(calls()) < 3:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    *_, began, removed = (one["argv"] for one in calls())
    assert removed == ["container", "rm", "--force", began[3]]


async def test_a_failure_is_what_docker_says(call: Call, docker: tuple[dict[str, str], Calls]) -> None:
    environment, _ = docker
    result = await call(tool("list"), {"what": "image"}, environment={**environment, "FAKE_EXIT": "125"})
    assert result.error == "It exited with code 125."
    assert "docker says" in result.output


async def test_a_missing_docker_is_said(call: Call, tmp_path: Path) -> None:
    result = await call(tool("list"), {"what": "image"}, environment={"PATH": str(tmp_path)})
    assert "Docker is not installed" in (result.error or "")


async def test_the_effect_is_marked_right_before_it(call: Call, docker: tuple[dict[str, str], Calls]) -> None:
    environment, calls = docker
    marks: list[int] = []
    arguments = {"action": "create", "name": "data"}
    await call(tool("volume"), arguments, environment=environment, before_effect=lambda: marks.append(len(calls())))
    assert marks == [0]
    timeout = timedelta(seconds=30)
    await call(tool("volume"), {"action": "create", "name": "-x"}, environment=environment, timeout=timeout,
               before_effect=lambda: marks.append(-1))  # fmt: skip
    assert marks == [0]


def test_settings() -> None:
    def tools(**configuration: object) -> dict[str, Any]:
        return dict(offer([SkillDefinition.from_wire({"type": "docker", "configuration": configuration})]).tools)

    assert list(tools()) == [f"docker_{one}" for one in ("list", "inspect", "logs", "run", "exec", "container")]
    assert tools(docker_host=DEFAULT_HOST)["docker_run"].host == ""
    assert tools(docker_host="ssh://box")["docker_run"].host == "ssh://box"
    assert list(tools(enable_container_management=False)) == []
    assert list(tools(enable_container_management=False, enable_image_management=True)) == [
        "docker_list", "docker_inspect", "docker_image",
    ]  # fmt: skip


async def test_another_docker_is_reached(call: Call, docker: tuple[dict[str, str], Calls]) -> None:
    environment, calls = docker
    await call(tool("list", host="tcp://box:2375"), {"what": "image"}, environment=environment)
    assert calls()[0]["argv"] == ["--host", "tcp://box:2375", "image", "ls"]
