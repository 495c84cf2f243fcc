"""The way out of a sandbox: a real proxy, real servers, and tools in a real sandbox."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.sandbox.egress.conftest import Tool
from tests.sandbox.egress.served import Server
from tests.support.processes import eventually, ignored_or_blocked
from tests.support.walls import bubblewrap, missing_bubblewrap
from worker_core.network.reachable import Network, NetworkPolicy
from worker_core.sandbox import gate
from worker_core.sandbox.egress.egress import Egress
from worker_core.sandbox.gatekeeper import Gatekeeper
from worker_core.sandbox.launcher import Command

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or bool(missing_bubblewrap()), reason=missing_bubblewrap() or "namespaces are Linux's"
)


async def test_a_page(tool: Tool, server: Server) -> None:
    assert await tool(f"curl -sS http://somewhere.example:{server.port}/path?x=1") == "hello "
    (head,) = server.heads
    assert head.startswith(f"GET /path?x=1 HTTP/1.1\r\nHost: somewhere.example:{server.port}\r\n".encode())
    assert b"proxy" not in head.lower()


@pytest.mark.parametrize("perl", ["/usr/bin/perl", "/no/perl"])
async def test_with_perl_and_without(tool: Tool, server: Server, perl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_PERL", perl)
    assert await tool(f"curl -sS http://somewhere.example:{server.port}/; env | grep -c PERL") == "hello 0\n"


@pytest.mark.parametrize("perl", ["/usr/bin/perl", "/no/perl"])
async def test_a_worker_that_does_not_answer(
    short: Path, tmp_path: Path, perl: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that writes to nobody would be ended by SIGPIPE, and the tool with it."""
    monkeypatch.setattr(gate, "_PERL", perl)
    egress = Egress(gatekeeper=Gatekeeper(NetworkPolicy()))
    egress.start()
    launcher = bubblewrap(short / "walls", egress=egress)
    command = Command(argv=["/bin/echo", "runs"], cwd=tmp_path, environment={"PATH": "/usr/bin:/bin"})
    wrapped = launcher.wrap(command, workspace=tmp_path)
    egress.close()
    await eventually(lambda: not [one for one in threading.enumerate() if one.name == "egress"])
    result = await run(wrapped)
    said = b"".join(result.output.ends()).decode()
    result.output.close()
    assert "The network of this call could not be set up" in said
    assert said.endswith("runs\n")


@pytest.mark.parametrize("perl", ["/usr/bin/perl", "/no/perl"])
async def test_a_tool_gets_nothing_of_the_way_but_its_address(
    tool: Tool, perl: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_PERL", perl)
    script = "ls -1 /proc/self/fd | wc -l; ls /run 2>/dev/null; wc -l </proc/net/unix; grep Sig[BI] /proc/self/status"
    descriptors, unix_sockets, *status = (await tool(script)).splitlines()
    assert int(descriptors) == 4, "three and the folder itself"
    assert int(unix_sockets) == 1, "the heading"
    assert ignored_or_blocked("\n".join(status)) == 0


async def test_a_body(tool: Tool, server: Server) -> None:
    said = await tool(
        f"head -c 300000 /dev/zero | tr '\\0' x | curl -sS --data-binary @- http://a.example:{server.port}/ | wc -c"
    )
    assert int(said) == 300_006


async def test_a_tunnel(tool: Tool, server: Server) -> None:
    fetch = f"curl -sS --proxytunnel http://somewhere.example:{server.port}/"
    assert await tool(fetch, ports=(server.port,)) == "hello "
    assert "403" in await tool(f"{fetch} 2>&1")
    hosts = (f"somewhere.example:{server.port}",)
    assert await tool(fetch, hosts=hosts) == "hello "


async def test_the_host_line_is_that_of_the_address(tool: Tool, server: Server) -> None:
    await tool(
        f"curl -sS -H 'Host: other.example' http://good.example:{server.port}/", hosts=(f"good.example:{server.port}",)
    )
    assert b"other.example" not in server.heads[0]


async def test_the_allow_list(tool: Tool, server: Server) -> None:
    hosts = (f"good.example:{server.port}",)
    assert await tool(f"curl -sS http://good.example:{server.port}/", hosts=hosts) == "hello "
    refused = await tool(f"curl -sS http://bad.example:{server.port}/", hosts=hosts)
    assert "bad.example" in refused
    assert "network_allow" in refused
    assert "403" in await tool(f"curl -sS --proxytunnel http://bad.example:{server.port}/ 2>&1", hosts=hosts)
    assert len(server.heads) == 1


async def test_a_name_is_not_looked_up_before_it_is_allowed(tool: Tool) -> None:
    said = await tool("curl -sS http://secret-in-a-name.nowhere.example/", hosts=("good.example",))
    assert "network_allow" in said


@pytest.mark.parametrize("host", ["somewhere.example", "two.example", "127.0.0.1", "[::1]", "169.254.169.254"])
async def test_addresses_are_looked_at_after_they_are_resolved(tool: Tool, server: Server, host: str) -> None:
    said = await tool(f"curl -sS --noproxy '' http://{host}:{server.port}/", really=True)
    assert "address of this machine, a private network or a metadata service" in said
    assert server.heads == []


async def test_a_host_that_is_not_there(tool: Tool) -> None:
    assert "The host cannot be reached: no such name." in await tool("curl -sS http://nowhere.example/")
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    assert "The host cannot be reached" in await tool(f"curl -sS http://somewhere.example:{port}/")


@pytest.mark.parametrize(
    "said",
    [
        "nonsense\\r\\n\\r\\n",
        "GET / HTTP/1.1\\r\\n\\r\\n",
        "GET ftp://x/ HTTP/1.1\\r\\n\\r\\n",
        "CONNECT x:y HTTP/1.1\\r\\n\\r\\n",
    ],
)
async def test_what_is_not_for_a_proxy(tool: Tool, said: str) -> None:
    assert "400 Bad Request" in await tool(f"exec 3<>/dev/tcp/127.0.0.1/3128; printf '{said}' >&3; cat <&3")


async def test_a_head_without_end(tool: Tool) -> None:
    script = "exec 3<>/dev/tcp/127.0.0.1/3128; head -c 100000 /dev/zero | tr '\\0' x >&3; cat <&3"
    assert "400" in await tool(script)


async def test_no_network_for_a_call_that_wants_none(tool: Tool, server: Server) -> None:
    said = await tool(
        f"env | grep -i proxy; curl -sS http://somewhere.example:{server.port}/ 2>&1", network=Network.OFF
    )
    assert "Could not resolve host" in said
    assert server.heads == []
