"""A sandbox with a real proxy, which takes 127.0.0.1 for a public address."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.support.walls import bubblewrap
from worker_core.network.reachable import Address, Network, NetworkPolicy
from worker_core.sandbox.egress.egress import Egress
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.gatekeeper import Connect, Gatekeeper
from worker_core.sandbox.launcher import Command

HERE: list[Address] = [ipaddress.ip_address("127.0.0.1")]


async def names(host: str, port: int) -> list[Address]:
    """A resolver: every name is this machine, `moves` is another one the second time."""
    if host == "nowhere.example":
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    if host == "two.example":
        return [ipaddress.ip_address("1.1.1.1"), *HERE]
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        return HERE


Tool = Callable[..., Awaitable[str]]


@pytest.fixture
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def tool(short: Path, tmp_path: Path) -> Iterator[Tool]:
    """Runs a script of bash or Python in a sandbox whose proxy takes 127.0.0.1 for a public address."""
    started: list[Egress] = []

    async def use(
        script: str,
        *,
        hosts: tuple[str, ...] | None = None,
        ports: tuple[int, ...] = (),
        really: bool = False,
        network: Network | None = None,
        connect: Connect | None = None,
    ) -> str:
        policy = NetworkPolicy(ports=ports) if hosts is None else NetworkPolicy(network=Network.ALLOW_LIST, hosts=hosts)
        permits = None if really else (lambda address: address in HERE)
        egress = Egress(gatekeeper=Gatekeeper(policy, resolve=names, permits=permits, connect=connect))
        egress.start()
        started.append(egress)
        launcher = bubblewrap(short / "walls", egress=egress, network=policy.network)
        environment = tool_environment({}, call_mark="egress", inherited={"PATH": os.environ["PATH"]})
        command = Command(argv=["/bin/bash", "-c", script], cwd=tmp_path, environment=environment)
        result = await run(launcher.wrap(command, workspace=tmp_path, network=network))
        said = b"".join(result.output.ends()).decode()
        result.output.close()
        return said

    yield use
    for egress in started:
        egress.close()
