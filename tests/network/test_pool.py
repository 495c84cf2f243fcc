"""Calls over pooled connections, on real sockets: what is sent, and what becomes of a connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tracemalloc

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.network.pools import echo, listening, pool_of, whole
from tests.support.http_server import serving
from tests.support.imports import loaded_by
from worker_core.network.faults import LocalProtocolError, PoolTimeout, RemoteProtocolError, WriteTimeout
from worker_core.network.http import NoHttpAnswer, new_client
from worker_core.network.pool import Pool, _read_base, _target
from worker_core.network.sockets import UNREAD_BYTES

SOCKET_BUFFERS = 8 << 20
"""More than the kernel takes before the other side reads."""


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
