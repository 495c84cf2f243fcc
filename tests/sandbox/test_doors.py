"""Ports of the worker's own that a sandbox may come to, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.sandbox.egress.served import Server
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.network.reachable import Network, NetworkPolicy
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.egress.egress import Egress
from worker_core.sandbox.gatekeeper import WORKER, Gatekeeper
from worker_core.sandbox.launcher import Command, Launcher, Observed
from worker_core.sandbox.macos import SandboxExec
from worker_core.sandbox.walls import Walls


async def through(gatekeeper: Gatekeeper, request: str, *, doors: Collection[int] = ()) -> str:
    listening = await asyncio.start_server(partial(gatekeeper.serve, doors=doors), "127.0.0.1", 0)
    async with listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
        writer.write(request.encode())
        answer = await reader.read()
        writer.close()
    return answer.decode()


@pytest.mark.parametrize("policy", [NetworkPolicy(network=Network.ALLOW_LIST), NetworkPolicy(network=Network.OFF)])
async def test_a_door_is_open_whatever_the_policy(server: Server, policy: NetworkPolicy) -> None:
    gatekeeper = Gatekeeper(policy)
    request = f"GET http://{WORKER}:{server.port}/x HTTP/1.1\r\n\r\n"
    assert "no such door" in await through(gatekeeper, request)
    assert (await through(gatekeeper, request, doors={server.port})).endswith("hello ")


async def test_the_name_opens_nothing_else(server: Server) -> None:
    gatekeeper = Gatekeeper(NetworkPolicy(network=Network.ALLOW_LIST))
    for host in (f"127.0.0.1:{server.port}", f"x.{WORKER}:{server.port}", f"{WORKER}:{server.port + 1}", WORKER):
        assert " 403 " in await through(gatekeeper, f"GET http://{host}/ HTTP/1.1\r\n\r\n", doors={server.port}), host


def walls(tmp_path: Path, network: Network, egress: Egress | None = None) -> Walls:
    return Walls(runtime=tmp_path, network=network, egress=egress)


def test_who_shares_the_network_comes_by_the_loopback(tmp_path: Path) -> None:
    host = walls(tmp_path, Network.HOST)
    launchers: list[Launcher] = [DirectLauncher(), SandboxExec(walls=host), Observed(DirectLauncher())]
    assert [launcher.door(81) for launcher in launchers] == ["http://127.0.0.1:81"] * 3


def test_who_has_no_network_has_no_door(tmp_path: Path) -> None:
    assert SandboxExec(walls=walls(tmp_path, Network.ON)).door(81) is None


@needs_bubblewrap
def test_a_sandbox_comes_by_the_proxy(tmp_path: Path) -> None:
    egress = Egress(gatekeeper=Gatekeeper(NetworkPolicy(network=Network.ALLOW_LIST)))
    proxied = bubblewrap(tmp_path / "walls", network=Network.ALLOW_LIST, egress=egress)
    assert proxied.door(81) == f"http://{WORKER}:81"
    assert bubblewrap(tmp_path / "walls", network=Network.OFF).door(81) is None


@needs_bubblewrap
async def test_a_door_belongs_to_one_call_and_ends_with_it(
    tmp_path: Path,
    server: Server,
) -> None:
    """Nobody takes it back: the port may be a stranger's later, and the way to it is gone with the call."""
    egress = Egress(gatekeeper=Gatekeeper(NetworkPolicy(network=Network.ALLOW_LIST)))
    egress.start()
    launcher = bubblewrap(tmp_path / "walls", network=Network.ALLOW_LIST, egress=egress)
    url = launcher.door(server.port)

    async def said(*, doors: frozenset[int] = frozenset()) -> str:
        command = Command(
            argv=["/usr/bin/curl", "-sS", f"{url}/"], cwd=tmp_path, environment={"PATH": "/usr/bin"}, doors=doors
        )
        result = await run(launcher.wrap(command, workspace=tmp_path))
        text = b"".join(result.output.ends()).decode()
        result.output.close()
        return text

    try:
        assert await said(doors=frozenset({server.port})) == "hello "
        assert await said() == "The worker has no such door.\n"
    finally:
        egress.close()
