"""Ports of the worker's own that a sandbox may come to, and no others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.sandbox.test_egress import Server, server  # noqa: F401 - a fixture
from worker_core.sandbox.egress import WORKER, Gatekeeper
from worker_core.sandbox.launcher import DirectLauncher, Launcher, Network, Observed
from worker_core.sandbox.linux import Walls, find_program
from worker_core.sandbox.macos import SandboxExec
from worker_core.sandbox.network import NetworkPolicy


async def through(gatekeeper: Gatekeeper, request: str) -> str:
    listening = await asyncio.start_server(gatekeeper.serve, "127.0.0.1", 0)
    async with listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
        writer.write(request.encode())
        answer = await reader.read()
        writer.close()
    return answer.decode()


@pytest.mark.parametrize("policy", [NetworkPolicy(network=Network.ALLOW_LIST), NetworkPolicy(network=Network.OFF)])
async def test_a_door_is_open_whatever_the_policy(server: Server, policy: NetworkPolicy) -> None:  # noqa: F811
    doors: set[int] = set()
    gatekeeper = Gatekeeper(policy, doors=doors)
    request = f"GET http://{WORKER}:{server.port}/x HTTP/1.1\r\n\r\n"
    assert "no such door" in await through(gatekeeper, request)
    doors.add(server.port)
    assert (await through(gatekeeper, request)).endswith("hello ")


async def test_the_name_opens_nothing_else(server: Server) -> None:  # noqa: F811
    gatekeeper = Gatekeeper(NetworkPolicy(network=Network.ALLOW_LIST), doors={server.port})
    for host in (f"127.0.0.1:{server.port}", f"x.{WORKER}:{server.port}", f"{WORKER}:{server.port + 1}", WORKER):
        assert " 403 " in await through(gatekeeper, f"GET http://{host}/ HTTP/1.1\r\n\r\n"), host


def walls(tmp_path: Path, network: Network, egress: Path | None = None) -> Walls:
    return Walls(runtime=tmp_path, network=network, egress=egress)


def test_who_shares_the_network_comes_by_the_loopback(tmp_path: Path) -> None:
    host = walls(tmp_path, Network.HOST)
    launchers: list[Launcher] = [DirectLauncher(), SandboxExec(walls=host), Observed(DirectLauncher())]
    assert [launcher.door(81) for launcher in launchers] == ["http://127.0.0.1:81"] * 3


def test_who_has_no_network_has_no_door(tmp_path: Path) -> None:
    assert SandboxExec(walls=walls(tmp_path, Network.ON)).door(81) is None


@pytest.mark.skipif(find_program() is None, reason="bubblewrap is not installed")
def test_a_sandbox_comes_by_the_proxy(tmp_path: Path) -> None:
    from worker_core.sandbox.linux import Bubblewrap

    program = find_program()
    assert program is not None
    proxied = walls(tmp_path, Network.ALLOW_LIST, egress=tmp_path / "egress")
    assert Bubblewrap(program=program, walls=proxied).door(81) == f"http://{WORKER}:81"
    assert proxied.doors == {81}
    assert Bubblewrap(program=program, walls=walls(tmp_path, Network.OFF)).door(81) is None
