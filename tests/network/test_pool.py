"""Calls over pooled connections, on real sockets: what is sent, TLS and tunnels, and what becomes of a connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.http_server import Answer, Request, serving
from tests.support.imports import loaded_by
from tests.support.loops import LOOPS, run_on
from tests.support.tls import Authority
from worker_core.basics.tasks import TaskKeeper
from worker_core.network.faults import LocalProtocolError, PoolTimeout, ProxyError, RemoteProtocolError, WriteTimeout
from worker_core.network.http import NoHttpAnswer, explain, new_client
from worker_core.network.pool import Pool, _read_base, _target
from worker_core.network.sockets import UNREAD_BYTES

NAME = "control-plane.example.invalid"
SOCKET_BUFFERS = 8 << 20
"""More than the kernel takes before the other side reads."""


@asynccontextmanager
async def pool_of(url: str, *, ca_file: Path | None = None) -> AsyncIterator[Pool]:
    pool = Pool(base_url=url, ca_file=ca_file, max_connections=4)
    try:
        yield pool
    finally:
        await pool.aclose()


async def whole(pool: Pool, path: str = "/x", *, method: str = "GET", **how: Any) -> tuple[int, bytes]:
    how = {"headers": {}, "timeout": {"connect": 5.0}, **how}
    async with pool.call(method, path, **how) as answer:
        return answer.status, b"".join([chunk async for chunk in answer.chunks])


def explained(error: Exception) -> str:
    return explain(error, action="it", server="s", proxy="", limit_seconds=1.0, called="server").sentence


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Ends when the other side has ended all that it began."""
    under_way = TaskKeeper()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(
        lambda reader, writer: under_way.start(quietly(reader, writer)), "127.0.0.1", 0, limit=1 << 20, ssl=tls
    )
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await under_way.ended()


def echo(request: Request) -> Answer:
    return Answer(headers={"Content-Length": str(len(request.body))}, parts=(request.body,))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("content", [None, b"", b"{}"])
async def test_what_is_sent_is_what_a_client_sends(method: str, content: bytes | None) -> None:
    headers = {"Authorization": "Bearer k", "Accept": "text/event-stream"}
    with serving(echo) as server:
        url = f"http://127.0.0.1:{server.port}/base/"
        async with pool_of(url) as pool, new_client(base_url=url) as client:
            await client.request(method, "/a b", headers=headers, content=content, params={"q": "ü &"})
            await whole(pool, "/a b", method=method, headers=headers, content=content, query={"q": "ü &"})
    sent_by_client, ours = server.requests
    assert ours == sent_by_client


@given(path=st.text(max_size=20), query=st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_a_target_is_quoted_as_a_client_quotes_it(path: str, query: dict[str, str] | None) -> None:
    client = new_client(base_url="http://host.example")
    try:
        expected = client.build_request("GET", f"/api/{path}", params=query).url.raw_path.decode()
    except (httpx2.InvalidURL, UnicodeEncodeError) as error:
        with pytest.raises(LocalProtocolError if isinstance(error, httpx2.InvalidURL) else type(error)):
            _target(f"/api/{path}", query)
    else:
        assert _target(f"/api/{path}", query) == expected


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "rest",
    [
        "host", "host.example", "host.example:8080/a/b~c_d-1", "host.example:80/", "host.example:443", "a-b.c:07",
        "127.0.0.1:5000", "10.1.2.3", "10.0.0.300", "[::1]:90/x", "HOST.example",
        "bücher.example/a b?c=d", "a..b", "a_b.c",
    ],
)  # fmt: skip
def test_a_base_is_read_as_a_client_reads_it(scheme: str, rest: str) -> None:
    url = f"{scheme}://{rest}"
    try:
        read = httpx2.URL(url)
    except httpx2.InvalidURL:
        with pytest.raises(LocalProtocolError):
            _read_base(url)
    else:
        ours = _read_base(url)
        assert (ours.scheme, ours.host, ours.port) == (read.scheme, read.raw_host.decode(), read.port)
        assert (ours.netloc, ours.path) == (read.netloc.decode("ascii"), read.raw_path.decode("ascii"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system may name a proxy")
def test_a_worker_that_waits_has_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    program = (
        "import worker_core.control_plane.client\n"
        "from worker_core.network.pool import Pool\n"
        "for url in ('http://127.0.0.1:80/api', 'https://host.example'): Pool(base_url=url, max_connections=1)"
    )
    assert not loaded_by(program) & {
        "anyio", "email", "http", "httpcore2", "httpx2", "idna", "urllib.request", "zipfile",
    }  # fmt: skip


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


async def test_calls_beyond_the_last_connection_wait_for_one() -> None:
    under_way = most = 0
    full = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        while await reader.readuntil(b"\r\n\r\n"):
            under_way += 1
            most = max(most, under_way)
            if under_way == 4:
                full.set()
            await full.wait()
            under_way -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with listening(serve) as url, pool_of(url) as pool:
        assert await asyncio.gather(*(whole(pool) for _ in range(30))) == [(200, b"ok")] * 30
        assert most == 4
        async with contextlib.AsyncExitStack() as held:
            for _ in range(4):
                await held.enter_async_context(pool.call("GET", "/x", headers={}, timeout={}))
            with pytest.raises(NoHttpAnswer) as caught:
                await whole(pool, timeout={"pool": 0.05})
            assert isinstance(caught.value.__cause__, PoolTimeout)
        assert await whole(pool) == (200, b"ok"), "who gave up left no place behind"


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X": "a\0"}, {"X\r\nY": "a"}, {"X: Y": "a"}, {"X": "a\x85"}])
async def test_no_header_brings_another(headers: dict[str, str]) -> None:
    with serving(echo) as server:
        async with pool_of(f"http://127.0.0.1:{server.port}") as pool:
            with pytest.raises(NoHttpAnswer) as caught:
                await whole(pool, headers=headers)
            assert isinstance(caught.value.__cause__, LocalProtocolError)
            assert await whole(pool) == (200, b"")
    assert len(server.requests) == 1


async def test_a_pool_that_is_closed_ends_the_calls_under_way() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        assert not await reader.read()

    async with listening(serve) as url:
        pool = Pool(base_url=url, max_connections=1)
        async with pool.call("GET", "/x", headers={}, timeout={}) as answer:
            assert await anext(answer.chunks) == b"half"
            await pool.aclose()
            with pytest.raises(RemoteProtocolError):
                await anext(answer.chunks)


async def test_a_connection_that_comes_about_when_its_pool_is_closed_is_not_kept() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with listening(serve) as url:  # which waits for its end
        pool = Pool(base_url=url, max_connections=1)
        call = asyncio.create_task(whole(pool))
        await asyncio.sleep(0)
        await pool.aclose()
        assert await call == (200, b"ok")


async def test_an_answer_that_comes_before_the_whole_body_was_taken_is_read() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        await writer.drain()
        writer.write_eof()
        while await reader.read(1 << 16):
            pass

    async with listening(serve) as url, pool_of(url) as pool:
        assert await whole(pool, method="POST", content=bytes(SOCKET_BUFFERS)) == (413, b"big")


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


async def test_a_call_given_up_at_any_step_leaves_no_connection() -> None:
    opened = ended = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened, ended
        opened += 1
        try:
            while await reader.read(1 << 16):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        finally:
            ended += 1

    async with listening(serve) as url:
        for steps in range(40):
            async with pool_of(url) as pool:
                call = asyncio.create_task(whole(pool))
                for _ in range(steps):
                    await asyncio.sleep(0)
                call.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await call
        async with pool_of(url) as pool:  # accepted after all others
            assert await whole(pool) == (200, b"ok")
    assert opened == ended > 1


@pytest.mark.parametrize("says", [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", b""])
async def test_a_connection_on_which_something_came_unasked_is_not_used_again(says: bytes) -> None:
    went = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        await went.wait()
        if says:
            writer.write(says)
            await reader.read()

    async with listening(serve) as url, pool_of(url) as pool:
        assert await whole(pool) == (200, b"ok")
        [idle] = pool._idle
        went.set()
        async with asyncio.timeout(60):
            while idle.is_usable(idle_seconds=60):
                await asyncio.sleep(0)
        assert await whole(pool) == (200, b"ok")


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", b"\r\n", b"x"])
async def test_what_came_with_an_answer_beyond_its_end_is_nobody_elses_answer(more: bytes) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + more)
            await writer.drain()

    async with listening(serve) as url, pool_of(url) as pool:
        for _ in range(3):
            assert await whole(pool) == (200, b"ok")
    assert connections == 3


async def test_a_server_waits_for_who_does_not_read() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        short = b"/short" in await reader.readuntil(b"\r\n\r\n")
        length = (1 if short else 32) << 20
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % length)
        for _ in range(length >> 16):
            writer.write(b" " * (1 << 16))
            await writer.drain()
            sent += (1 << 16) * (not short)

    async with (
        listening(serve) as url,
        pool_of(url) as pool,
        pool.call("GET", "/long", headers={}, timeout={}) as answer,
    ):
        read = len(await anext(answer.chunks))
        for _ in range(4):
            assert len((await whole(pool, "/short"))[1]) == 1 << 20
        assert sent < SOCKET_BUFFERS + UNREAD_BYTES
        async for chunk in answer.chunks:
            read += len(chunk)
    assert read == 32 << 20


async def test_no_large_place_is_made_to_receive_an_answer() -> None:
    """asyncio's own way makes one of 256 KB for each piece."""
    with serving(echo) as server:
        async with pool_of(f"http://127.0.0.1:{server.port}") as pool:
            await whole(pool, method="POST", content=b"first")
            tracemalloc.start()
            try:
                assert await whole(pool, method="POST", content=b"a") == (200, b"a")
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert most < 128 << 10


async def test_a_body_that_nobody_takes_has_an_end_and_a_long_one_arrives() -> None:
    taken = asyncio.Event()
    content = bytes(range(256)) * (32 << 12)
    came = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        await reader.readuntil(b"\r\n\r\n")
        await taken.wait()
        came = await reader.readexactly(len(content))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with listening(serve) as url, pool_of(url) as pool:
        with pytest.raises(NoHttpAnswer) as caught:
            await whole(pool, method="POST", content=content, timeout={"write": 0.2})
        assert isinstance(caught.value.__cause__, WriteTimeout)
        taken.set()
        assert await whole(pool, method="POST", content=content) == (200, b"")
    assert came == content
