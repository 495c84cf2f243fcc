"""Whoever answers may send without end, or packed: what is read of it has a size, and takes time by its length."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.support import strange_data
from tests.support.fake_control_plane import API_KEY
from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.control_plane import connections, errors
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.model.gateway import ModelGateway
from worker_core.network.sse import EVENT_LIMIT_BYTES, IDLE_LIMIT_BYTES, SseParser, StreamTooLong
from worker_core.secrets import Secret

SOCKET_BUFFERS = 8 << 20
"""More than the kernel takes before the other side reads."""


@dataclass
class Flood:
    """Answers each request with `length` bytes of blanks, and counts those that it got rid of."""

    url: str = ""
    status: int = 200
    headers: str = ""
    content: bytes = b""
    length: int = 0
    sent: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            length = self.length + len(self.content)
            head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {length}\r\n{self.headers}Connection: close\r\n\r\n"
            writer.write(head.encode() + self.content)
            left = self.length
            while left:
                piece = b" " * min(left, 1 << 16)
                left -= len(piece)
                self.sent += len(piece)
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def flood() -> AsyncIterator[Flood]:
    made = Flood()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


@asynccontextmanager
async def client_of(flood: Flood) -> AsyncIterator[ControlPlaneClient]:
    client = ControlPlaneClient(base_url=flood.url, api_key=Secret(API_KEY))
    try:
        yield client
    finally:
        await client.aclose()


async def test_an_answer_twice_as_long_is_read_no_further(flood: Flood, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWER_LIMIT_BYTES", 3 << 20)
    async with client_of(flood) as client:
        for flood.length in (64 << 20, 128 << 20):
            flood.sent = 0
            with pytest.raises(errors.AnswerTooLong, match="longer than 3 MB; it was not read to its end") as caught:
                await client.get_execution("e1")
            assert not caught.value.retryable
            assert flood.sent < (3 << 20) + SOCKET_BUFFERS


async def test_the_words_of_a_refusal_are_read_and_not_what_follows(flood: Flood) -> None:
    flood.status, flood.content, flood.length = 422, b"no, since the \xff is wrong", 64 << 20
    async with client_of(flood) as client:
        with pytest.raises(errors.Rejected, match="no, since the \ufffd is wrong"):
            await client.get_execution("e1")
        with pytest.raises(errors.Rejected, match="no, since"):
            async for _ in client.stream("e1"):
                pass
    assert flood.sent < 2 * SOCKET_BUFFERS


async def test_a_packed_answer_is_not_unpacked(flood: Flood) -> None:
    flood.headers, flood.content = "Content-Encoding: gzip\r\n", gzip.compress(b"0" * 10_000_000)
    async with client_of(flood) as client:
        with pytest.raises(ControlPlaneError, match="compressed, which was not asked for"):
            await client.get_execution("e1")


async def test_a_gateways_list_of_models_has_a_size(flood: Flood) -> None:
    flood.length = 64 << 20
    gateway = ModelGateway(base_url=flood.url, api_key=Secret("sk-x"))
    try:
        assert not await gateway.lists("any")
    finally:
        await gateway.aclose()
    assert flood.sent < (16 << 20) + SOCKET_BUFFERS


@pytest.mark.parametrize("line", [b"\n", b"\r", b"\r\n", b":\n", b"data:\n", b"data: x\n\n"])
def test_a_stream_twice_as_long_takes_twice_the_time(line: bytes) -> None:
    def feed(content: bytes) -> None:
        with suppress(StreamTooLong):
            SseParser().feed(content)

    assert twice_the_length_costs(feed, lambda length: line * (length // len(line)), length=200_000) < LINEAR


@pytest.mark.parametrize(
    ("line", "most"), [(b":\n", IDLE_LIMIT_BYTES), (b"id: 1\n", IDLE_LIMIT_BYTES), (b"data:\n", EVENT_LIMIT_BYTES)]
)
def test_a_stream_that_says_nothing_ends(line: bytes, most: int) -> None:
    parser, piece = SseParser(), line * 8192

    def feed() -> None:
        for _ in range(most // len(piece) + 2):
            parser.feed(piece)

    with pytest.raises(StreamTooLong):
        feed()


def test_a_stream_that_says_something_now_and_then_does_not_end() -> None:
    parser = SseParser()
    comment = b":" + b"x" * (IDLE_LIMIT_BYTES // 2) + b"\n"
    assert sum(len(parser.feed(comment + b"data: still here\n\n")) for _ in range(10)) == 10
    parser.feed(b"\n" * 2 * IDLE_LIMIT_BYTES)  # empty lines cost next to nothing


async def test_an_answer_that_nests_without_a_floor_is_refused(flood: Flood) -> None:
    async with client_of(flood) as client:
        for depth in (51, 3000):
            flood.content = strange_data.nested(depth).encode()
            with pytest.raises(errors.ServerTrouble, match="nests more than 100 levels deep"):
                await client.get_execution("e1")


async def test_half_characters_of_an_answer_are_repaired(flood: Flood) -> None:
    flood.content = b'{"execution_id": "e1", "id": "e1", "status": "running", "response": "half \\ud83d \xff"}'
    async with client_of(flood) as client:
        assert (await client.get_execution("e1")).response == "half \ufffd \ufffd"
