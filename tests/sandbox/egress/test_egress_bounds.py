"""What one call can take of the way out, and what it leaves to others: real sockets, two calls side by side."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import ipaddress
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.sandbox.egress.served import Server
from tests.support.processes import eventually
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.network.reachable import Address, NetworkPolicy
from worker_core.sandbox.egress import egress as egress_module
from worker_core.sandbox.egress.egress import Egress, Lease
from worker_core.sandbox.gatekeeper import Gatekeeper
from worker_core.sandbox.launcher import Command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes without a network are Linux's")

HERE: list[Address] = [ipaddress.ip_address("127.0.0.1")]


async def names(host: str, port: int) -> list[Address]:
    return HERE


@pytest.fixture
def egress() -> Iterator[Egress]:
    made = Egress(gatekeeper=Gatekeeper(NetworkPolicy(), resolve=names, permits=lambda address: address in HERE))
    made.start()
    yield made
    made.close()


class Call:
    """One call as the proxy sees it: a gate that hands its listener over, and what connects to that."""

    def __init__(self, egress: Egress) -> None:
        self.lease: Lease = egress.lease()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.listener.getsockname()[1])

    def hand_over(self) -> None:
        with socket.socket(fileno=os.dup(self.lease.descriptor)) as gate:
            rights = array.array("i", [self.listener.fileno()])
            gate.sendmsg([b"l"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        self.lease.given()

    def connect(self, count: int = 1, *, said: bytes = b"") -> None:
        for _ in range(count):
            self.connections.append(socket.create_connection(self.address))
            self.connections[-1].sendall(said)

    async def fetch(self, port: int) -> bytes:
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(f"GET http://a.example:{port}/ HTTP/1.1\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer

    def close(self) -> None:
        self.lease.end()
        self.listener.close()
        for one in self.connections:
            one.close()


@pytest.fixture
def call(egress: Egress) -> Iterator[Callable[[], Call]]:
    made: list[Call] = []

    def begin() -> Call:
        made.append(Call(egress))
        made[-1].hand_over()
        return made[-1]

    yield begin
    for one in made:
        one.close()


class Silent:
    """Takes connections and says nothing."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: set[asyncio.StreamWriter] = set()

    @property
    def open(self) -> int:
        return len(self.taken)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken.add(writer)
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass
        writer.close()
        self.taken.discard(writer)


@pytest.fixture
async def silent() -> AsyncIterator[Silent]:
    made = Silent()
    listening = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()
    for writer in made.taken:
        writer.transport.abort()
    await eventually(lambda: not made.taken)


def request(port: int) -> bytes:
    return f"GET http://a.example:{port}/ HTTP/1.1\r\n\r\n".encode()


def closed(one: socket.socket) -> bool:
    one.settimeout(0)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


async def test_a_call_that_holds_all_it_may_leaves_others_theirs(
    call: Callable[[], Call],
    silent: Silent,
    server: Server,
) -> None:
    greedy, modest = call(), call()
    most = egress_module.MOST_OF_ONE_CALL
    assert most < egress_module.MOST_CONNECTIONS
    greedy.connect(2 * most, said=request(silent.port))
    await eventually(lambda: silent.open == most)
    assert (await modest.fetch(server.port)).endswith(b"hello ")
    assert silent.open == most, "what it may hold stays its own"
    greedy.connections[0].close()
    await eventually(lambda: silent.open == most)  # the next one came in from the kernel's queue


async def test_when_all_are_in_use_the_greediest_makes_room(
    call: Callable[[], Call],
    silent: Silent,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(egress_module, "MOST_CONNECTIONS", 12)
    greedy, other, modest = call(), call(), call()
    greedy.connect(8, said=request(silent.port))
    other.connect(4, said=request(silent.port))
    await eventually(lambda: silent.open == 12)
    modest.connect(3, said=request(silent.port))
    await eventually(lambda: sum(map(closed, greedy.connections)) == 3)
    assert not any(map(closed, [*other.connections, *modest.connections]))
    assert (await modest.fetch(server.port)).endswith(b"hello ")


async def test_a_call_that_has_all_its_connections_in_use_loses_silent_ones(
    call: Callable[[], Call],
    silent: Silent,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(egress_module, "MOST_OF_ONE_CALL", 4)
    monkeypatch.setattr(egress_module, "CROWDED_IDLE_SECONDS", 0.2)
    crowded = call()
    crowded.connect(4, said=request(silent.port))
    await eventually(lambda: silent.open == 4)
    assert (await crowded.fetch(server.port)).endswith(b"hello ")
    assert sum(map(closed, crowded.connections)) == 1


async def test_a_flood_of_connections_waits_in_the_kernel(
    call: Callable[[], Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it is, the worker takes no more than its pace of them."""
    monkeypatch.setattr(egress_module, "BURST", 10)
    monkeypatch.setattr(egress_module, "CONNECTIONS_PER_SECOND", 20.0)
    monkeypatch.setattr(egress_module, "MOST_OF_ONE_CALL", 1000)
    taken = 0

    async def count(self: Gatekeeper, reader: object, writer: asyncio.StreamWriter, **_: object) -> None:
        nonlocal taken
        taken += 1
        writer.close()

    monkeypatch.setattr(Gatekeeper, "serve", count)
    flooding = call()
    began = time.monotonic()
    flooding.connect(60)
    while taken < 30:
        assert taken <= 11 + (time.monotonic() - began) * 20.0
        await asyncio.sleep(0.005)


async def test_what_a_call_left_connected_is_cut_when_it_is_over(
    call: Callable[[], Call], silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress_module, "LEAVE_SECONDS", 0.1)
    over, other = call(), call()
    for one in (over, other):
        one.connect(3, said=request(silent.port))
    await eventually(lambda: silent.open == 6)
    over.lease.end()
    over.lease.end()
    await eventually(lambda: silent.open == 3)
    assert not any(map(closed, other.connections))


@pytest.mark.parametrize("busy", [False, True], ids=["", "before the proxy has looked at it"])
async def test_what_a_call_said_at_last_still_leaves(
    egress: Egress, call: Callable[[], Call], busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress_module, "LEAVE_SECONDS", 60.0)
    received = bytearray()
    others = threading.Event()
    everything = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while block := await reader.read(65536):
            received.extend(block)
        everything.set()
        writer.close()

    listening = await asyncio.start_server(take, "127.0.0.1", 0)
    async with listening:
        if busy:
            egress._soon(others.wait)
        leaving = call()
        body = b"x" * (3_000 if busy else 300_000)
        port = listening.sockets[0].getsockname()[1]
        head = f"POST http://a.example:{port}/ HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        await asyncio.to_thread(leaving.connect, said=head + body)
        leaving.connections[0].shutdown(socket.SHUT_WR)
        leaving.lease.end()
        others.set()
        await asyncio.wait_for(everything.wait(), 60)
        assert received.endswith(body)


async def test_who_does_not_read_is_cut_and_not_waited_for(
    call: Callable[[], Call],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(egress_module, "LEAVE_SECONDS", 0.1)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal pouring
        pouring += 1
        try:
            while True:
                writer.write(bytes(65536))
                await writer.drain()
        except OSError:
            pouring -= 1
            writer.close()

    pouring = 0
    listening = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with listening:
        deaf = call()
        deaf.connect(5, said=request(listening.sockets[0].getsockname()[1]))
        await eventually(lambda: pouring == 5)
        assert (await call().fetch(server.port)).endswith(b"hello ")
        deaf.lease.end()
        await eventually(lambda: pouring == 0)


async def test_only_one_message_is_taken_and_only_a_listener(egress: Egress, tmp_path: Path) -> None:
    before = _descriptors()
    for given in (socket.socket(), socket.socket(socket.AF_UNIX), (tmp_path / "file").open("w")):
        call = Call(egress)
        with given, socket.socket(fileno=os.dup(call.lease.descriptor)) as gate:
            call.lease.given()
            rights = array.array("i", [given.fileno()] * 3)
            gate.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            gate.settimeout(60)
            assert await asyncio.to_thread(gate.recv, 1) == b"", "it is shut"
        call.close()
    await eventually(lambda: _descriptors() <= before)


async def test_a_call_that_never_starts_leaves_nothing(egress: Egress, tmp_path: Path) -> None:
    before = _descriptors()
    for _ in range(20):
        egress.lease()
    with pytest.raises(FileNotFoundError):
        await run(Command(argv=["/no/such/program"], cwd=tmp_path, environment={}, loans=(egress.lease(),)))
    await eventually(lambda: _descriptors() <= before)


async def test_nothing_is_lent_once_it_is_closed(egress: Egress) -> None:
    before = _descriptors()
    leases = [egress.lease() for _ in range(20)]  # the loop may not have looked at them yet
    egress.close()
    with pytest.raises(OSError, match="closed"):
        egress.lease()
    egress.close()
    for one in leases:
        one.end()
    await eventually(lambda: _descriptors() < before)  # its loop's own are gone too


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


HOSTILE = """
import socket, time
held = []
for number in range(300):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 60, 0, 0, 0]))
    one.settimeout(0)
    try:
        one.connect(("127.0.0.1", 3128))
    except BlockingIOError:
        pass
    held.append(one)
open("holding", "w").close()
time.sleep(600)
"""


@needs_bubblewrap
async def test_two_executions_side_by_side(egress: Egress, tmp_path: Path, server: Server) -> None:
    launcher = bubblewrap(tmp_path / "walls", egress=egress)

    def command(*argv: str, name: str) -> Command:
        workspace = tmp_path / name
        workspace.mkdir(exist_ok=True)
        return launcher.wrap(
            Command(argv=argv, cwd=workspace, environment={"PATH": os.environ["PATH"]}), workspace=workspace
        )

    hostile = asyncio.create_task(run(command(sys.executable, "-c", HOSTILE, name="hostile")))
    try:
        await eventually((tmp_path / "hostile" / "holding").exists)
        for _ in range(3):
            fetch = command("/usr/bin/curl", "-sS", f"http://a.example:{server.port}/", name="other")
            result = await run(fetch)
            assert b"".join(result.output.ends()) == b"hello "
            result.output.close()
    finally:
        hostile.cancel()
        await asyncio.wait([hostile])


async def test_a_call_that_ends_before_the_proxy_has_looked_at_it_leaves_nothing_open(egress: Egress) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(200):
        egress.lease().end()
    await eventually(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)
    gc.collect()  # a socket that is collected while it is open is a warning, and so an error
