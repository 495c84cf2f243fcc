"""Which proxy is used: for control plane, Temporal, model gateway and MCP servers alike, on real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.mcp.flow import Flow
from worker_core.mcp.reach import Reach
from worker_core.mcp.remote import Guard
from worker_core.model.gateway import ModelGateway
from worker_core.network import proxy as proxy_of_process
from worker_core.network.proxy import check_proxy, use_proxy
from worker_core.network.reachable import Network, NetworkPolicy
from worker_core.secrets import Secret
from worker_core.settings import Settings, load
from worker_core.temporal.connection import Target, TemporalUnreachable, connect

NOWHERE = "control-plane.example.invalid"
"""No name server knows it: who reaches for it directly fails at once."""


class Proxy:
    """Remembers what it was asked for, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.credentials: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            line = await reader.readline()
            self.asked.append(" ".join(line.decode("latin-1").split()[:2]))
            while header := (await reader.readline()).decode("latin-1").strip():
                name, _, value = header.partition(": ")
                if name.lower() == "proxy-authorization":
                    self.credentials.append(base64.b64decode(value.removeprefix("Basic ")).decode())
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    made = Proxy()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Nothing of this machine's own, and afterwards everything as before."""
    for name in proxy_of_process._spellings():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(proxy_of_process, "_found", None)
    yield monkeypatch
    for name in proxy_of_process._spellings():
        os.environ.pop(name, None)


async def reach_for_everything() -> None:
    """The three connections of a worker, none of which succeeds here."""
    client = ControlPlaneClient(base_url=f"https://{NOWHERE}", api_key=Secret("kb-key-0123"))
    with pytest.raises(ControlPlaneError):
        await client.validate_key()
    await client.aclose()
    with pytest.raises(TemporalUnreachable):
        await connect(
            Target(host=f"temporal.{NOWHERE}:7233", namespace="n", api_key=Secret(""), tls="off"),
            identity="test",
            mask=str,
        )
    gateway = ModelGateway(base_url=f"https://gateway.{NOWHERE}/v1", api_key=Secret("kb-key-0123"))
    assert not await gateway.lists("any")
    await gateway.aclose()


EVERYTHING = {
    f"CONNECT {NOWHERE}:443",
    f"CONNECT temporal.{NOWHERE}:7233",
    f"CONNECT gateway.{NOWHERE}:443",
}


async def test_a_named_proxy_is_used_by_all_three_connections(proxy: Proxy) -> None:
    use_proxy(proxy.url)
    await reach_for_everything()
    assert set(proxy.asked) == EVERYTHING


async def test_the_systems_proxy_is_used_by_all_three(proxy: Proxy, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", proxy.url)
    use_proxy("system")
    await reach_for_everything()
    assert set(proxy.asked) == EVERYTHING


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_remote_mcp_servers_are_reached_through_it_too(
    proxy: Proxy, environment: pytest.MonkeyPatch, scheme: str
) -> None:
    environment.setenv("HTTPS_PROXY", scheme + "me:p%40ss@" + proxy.url.removeprefix("http://"))
    guard = Guard(Reach(policy=NetworkPolicy(network=Network.ON)), Flow())
    url = f"https://mcp.{NOWHERE}/mcp"
    guard.begin(url, ca_file=None)
    with pytest.raises(httpx2.ProxyError):
        await guard.handle_async_request(httpx2.Request("POST", url))
    await guard.aclose()
    assert proxy.asked == [f"CONNECT mcp.{NOWHERE}:443"]
    assert proxy.credentials == ["me:p@ss"]


async def test_none_is_none_whatever_the_environment_says(proxy: Proxy, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", proxy.url)
    environment.setenv("all_proxy", proxy.url)
    use_proxy("none")
    await reach_for_everything()
    assert proxy.asked == []


async def test_a_named_proxy_wins_over_the_environment_and_the_choice_can_be_taken_back(
    proxy: Proxy, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("https_proxy", "http://127.0.0.1:9")
    environment.setenv("NO_PROXY", "inside.example")
    use_proxy(proxy.url)
    assert os.environ["NO_PROXY"] == "inside.example", "what needs no proxy still needs none"
    await reach_for_everything()
    assert set(proxy.asked) == EVERYTHING
    use_proxy("none")
    use_proxy("system")
    found = {name: os.environ[name] for name in proxy_of_process._spellings() if name in os.environ}
    assert found == {"https_proxy": "http://127.0.0.1:9", "NO_PROXY": "inside.example"}


async def test_this_machine_is_never_reached_through_a_proxy(proxy: Proxy) -> None:
    use_proxy(proxy.url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = ControlPlaneClient(base_url=f"http://localhost:{port}", api_key=Secret("kb-key-0123"))
    with pytest.raises(KubiyaError):
        await client.validate_key()
    await client.aclose()
    with pytest.raises(TemporalUnreachable):
        await connect(
            Target(host=f"127.0.0.1:{port}", namespace="n", api_key=Secret(""), tls="off"), identity="test", mask=str
        )
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", "system"), ("System", "system"), ("NONE", "none"), ("proxy.example:8080", "http://proxy.example:8080"),
        ("http://proxy.example", "http://proxy.example:3128"), ("http://proxy.example:1/", "http://proxy.example:1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)  # fmt: skip
def test_what_people_type(typed: str, kept: str) -> None:
    assert check_proxy(typed) == kept
    assert check_proxy(kept) == kept


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("socks5://proxy:1080", "must be `system`, `none`, or such as"),
        ("http://proxy:99999999", "must be `system`, `none`, or such as"),
        ("http://", "must be `system`, `none`, or such as"),
        ("two words", "must be `system`, `none`, or such as"),
        ("http://proxy/path", "must be `system`, `none`, or such as"),
        ("http://user:secret@proxy:1", "user name or password; set HTTPS_PROXY in the environment"),
    ],
)
def test_what_is_no_proxy_is_a_sentence(typed: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load(environ={"KUBIYA_WORKER_PROXY": typed})


@pytest.mark.parametrize(
    "typed",
    [
        "http://user:canary@proxy:1", "user:canary@proxy:1", "socks5://user:canary@proxy:1", "http://user:can@ary@proxy",
        "http://user:canary/@proxy", "http://user:canary@proxy:port",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["KUBIYA_WORKER_PROXY", "CONTROL_PLANE_URL", "LITELLM_API_BASE"])
def test_a_password_in_an_address_is_refused_and_not_repeated(name: str, typed: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(environ={name: typed})
    assert "can" not in caught.value.sentence.replace("cannot", "")
    assert "canary" not in str(caught.value.__cause__)


@given(st.text(max_size=80))
def test_no_text_is_trouble(text: str) -> None:
    try:
        kept = check_proxy(text)
    except ValueError:
        return
    assert kept in {"system", "none"} or kept.startswith("http://")


def test_the_setting_is_the_systems_by_default() -> None:
    assert Settings().proxy == "system"
    assert load(environ={}, flags={"proxy": "none"}).proxy == "none"
