"""How a pool reaches its server: in TLS, through tunnels and proxies, by several addresses; on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.network.pools import NAME, echo, explained, listening, pool_of, whole
from tests.support.http_server import serving
from tests.support.loops import LOOPS, run_on
from tests.support.tls import Authority
from worker_core.network.faults import ProxyError
from worker_core.network.http import NoHttpAnswer, new_client


@pytest.mark.parametrize("loop", LOOPS)
def test_tls_to_a_trusted_server_keeps_its_connection(tmp_path: Path, loop: str) -> None:
    authority = Authority(tmp_path, name="localhost")

    async def called(url: str) -> None:
        async with pool_of(url, ca_file=authority.file) as pool:
            for content in (b"one", b"2" * 300_000):
                assert await whole(pool, method="POST", content=content) == (200, content)
        async with pool_of(url) as pool:
            with pytest.raises(NoHttpAnswer) as caught:
                await whole(pool)
        assert "cannot be trusted" in explained(caught.value)

    with serving(echo, tls=authority.context) as server:
        run_on(loop, called(f"https://localhost:{server.port}"))


async def carried(server: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What comes goes to a port of this machine, and back."""
    there, out = await asyncio.open_connection("127.0.0.1", server)

    async def carry(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await one.read(1 << 16):
                other.write(piece)
                await other.drain()
        other.close()

    await asyncio.gather(carry(reader, out), carry(there, writer))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_tls_goes_through_a_tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """With `https`, the proxy is spoken to in TLS as well."""
    (of_proxy := tmp_path / "proxy").mkdir()
    authority, proxys, asked = Authority(tmp_path, name=NAME), Authority(of_proxy, name="localhost"), []
    both = tmp_path / "both.pem"
    both.write_bytes(authority.file.read_bytes() + proxys.file.read_bytes())

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n"))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await carried(server.port, reader, writer)

    with serving(echo, tls=authority.context) as server:
        async with listening(tunnel, tls=proxys.context if scheme == "https" else None) as proxy:
            address = proxy.removeprefix("http://127.0.0.1:")
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://me:p%40ss@localhost:{address}")
            monkeypatch.delenv("NO_PROXY", raising=False)
            async with pool_of(f"https://{NAME}", ca_file=both) as pool:
                assert await whole(pool, method="POST", content=b"a") == (200, b"a")
                assert await whole(pool, method="POST", content=b"b") == (200, b"b")
    [[line, *headers]] = asked  # one tunnel for both
    assert line == f"CONNECT {NAME}:443 HTTP/1.1"
    assert {f"Host: {NAME}:443", "Proxy-Authorization: Basic bWU6cEBzcw=="} <= set(headers)
    assert "Authorization" not in {header.partition(":")[0] for header in headers}


async def test_a_tunnel_that_is_refused_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
        assert not await reader.read(), "nothing of the call itself"

    async with listening(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with pool_of(f"https://{NAME}") as pool:
            with pytest.raises(NoHttpAnswer) as caught:
                await whole(pool, headers={"Authorization": "Bearer k"})
    assert isinstance(caught.value.__cause__, ProxyError)
    assert "did not let us through" in explained(caught.value)
    assert "407 Who are you" in explained(caught.value)


async def test_a_proxy_is_asked_for_what_is_not_encrypted_as_a_client_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(echo) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        url = f"http://{NAME}:8080/base"
        async with pool_of(url) as pool, new_client(base_url=url) as client:
            await client.post("/a", content=b"a", params={"q": "1"})
            assert await whole(pool, "/a", method="POST", content=b"a", query={"q": "1"}) == (200, b"a")
    by_client, ours = proxy.requests
    assert ours == by_client
    assert ours.path == f"http://{NAME}:8080/base/a?q=1"


def answered_by(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """The name stands for these ports of this machine."""

    async def found(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)


def port_nobody_listens_at() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def test_an_address_that_refuses_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(echo) as server:
        answered_by(monkeypatch, port_nobody_listens_at(), server.port, server.port)
        async with pool_of(f"http://{NAME}") as pool:
            assert await whole(pool) == (200, b"")


async def test_an_address_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        serving(echo) as server,
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        contextlib.ExitStack() as on,
    ):
        for _ in range(3):  # and its line is full
            waits = on.enter_context(socket.socket())
            waits.setblocking(False)
            waits.connect_ex(full.getsockname())
        answered_by(monkeypatch, full.getsockname()[1], server.port)
        async with pool_of(f"http://{NAME}") as pool:
            assert await whole(pool) == (200, b"")


async def test_why_no_address_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answered_by(monkeypatch, port_nobody_listens_at(), port_nobody_listens_at())
    async with pool_of(f"http://{NAME}") as pool:
        with pytest.raises(NoHttpAnswer) as caught:
            await whole(pool)
    assert "refused the connection" in explained(caught.value)
