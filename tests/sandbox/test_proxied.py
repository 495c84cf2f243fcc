"""One request becomes exactly one request to exactly one host."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker_core.network.reachable import Address, AddressRefused, Network, NetworkPolicy
from worker_core.sandbox.gatekeeper import Gatekeeper
from worker_core.sandbox.proxied import read_head, read_origin_head

HERE: list[Address] = [ipaddress.ip_address("127.0.0.1")]


async def names(host: str, port: int) -> list[Address]:
    return HERE


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("http://good.example/", "Host: good.example"),
        ("http://GOOD.example.:80/x", "Host: good.example"),
        ("http://user:password@good.example:8080/", "Host: good.example:8080"),
        ("http://good.example:0080/", "Host: good.example"),
        ("http://[2606:4700::1111]:81/", "Host: [2606:4700::1111]:81"),
        ("http://bad.example\\@good.example/", "Host: good.example"),
    ],
)
def test_the_host_line_is_the_one_that_is_connected_to(target: str, line: str) -> None:
    request = read_head(head(f"GET {target} HTTP/1.1", "host: other.example", "Host: another.example", "X: y"))
    assert request.host in line
    assert request.head.lower().count(b"\r\nhost:") == 1
    assert f"\r\n{line}\r\n".encode() in request.head
    assert b"another" not in request.head


@pytest.mark.parametrize(
    "said",
    [
        head("GET http://good.example/ HTTP/1.1", "X: y\nHost: other.example"),
        head("GET http://good.example/ HTTP/1.1", "X: y\rHost: other.example"),
        head("GET http://good.example/ HTTP/1.1", "X: y\0"),
        head("GET http://good.example/ HTTP/1.1", " Host: other.example"),
        head("GET http://good.example/ HTTP/1.1", "Host : other.example"),
        head("GET http://good.example/ HTTP/1.1", "Host"),
        head("GET http://good.example/ HTTP/1.1", ": x"),
        head("GET http://good.example/\nHost: other.example HTTP/1.1"),
        head("GET http://good.example/\tx HTTP/1.1"),
        head("GET  http://good.example/ HTTP/1.1"),
        head("GET http://good.example/ HTTP/1.1 x"),
        head("GET http://good.example/ HTTP/2"),
        head("GET http://good.example/ HTTP/1.1\nHost: other.example"),
        head("GET http://good.example:99999/ HTTP/1.1"),
        head("GET http://good.example:x/ HTTP/1.1"),
        head("GET good.example HTTP/1.1"),
        head("GET https://good.example/ HTTP/1.1"),
        head("CONNECT good.example HTTP/1.1"),
        head("CONNECT good.example:+443 HTTP/1.1"),
        head("CONNECT good.example:4_43 HTTP/1.1"),
        head("POST http://good.example/ HTTP/1.1", "Content-Length: 1", "Content-Length: 2"),
        head("POST http://good.example/ HTTP/1.1", "Content-Length: 1", "Content-Length: 1"),
        head("POST http://good.example/ HTTP/1.1", "Content-Length: +1"),
        head("POST http://good.example/ HTTP/1.1", "Content-Length: 1, 1"),
        head("POST http://good.example/ HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"),
        head("POST http://good.example/ HTTP/1.1", "Transfer-Encoding: gzip, chunked"),
        head("POST http://good.example/ HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(said: bytes) -> None:
    with pytest.raises((ValueError, AddressRefused)):
        read_head(said)


@pytest.mark.parametrize("lines", [("Host: Good.Example.",), ("host: good.example:80", "X: y"), ()])
def test_a_request_for_the_host_that_was_asked_for(lines: tuple[str, ...]) -> None:
    request = read_origin_head(head("GET //x?y=http://other/ HTTP/1.1", *lines), host="good.example")
    assert (request.host, request.port, request.tunnel) == ("good.example", 80, False)
    assert request.head.startswith(b"GET //x?y=http://other/ HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n")


@pytest.mark.parametrize(
    "said",
    [
        head("GET / HTTP/1.1", "Host: other.example"),
        head("GET / HTTP/1.1", "Host: good.example", "Host: other.example"),
        head("GET / HTTP/1.1", "Host: good.example:8080"),
        head("GET / HTTP/1.1", "Host:"),
        head("GET / HTTP/1.1", "Host: \xe9.example"),
        head("GET / HTTP/1.1", "Host : good.example"),
        head("GET http://good.example/ HTTP/1.1", "Host: good.example"),
        head("CONNECT good.example:443 HTTP/1.1"),
        head("OPTIONS * HTTP/1.1", "Host: good.example"),
        head("PRI * HTTP/2.0"),
    ],
)
def test_a_request_for_another_host_than_was_asked_for(said: bytes) -> None:
    with pytest.raises((ValueError, AddressRefused)):
        read_origin_head(said, host="good.example")


@given(
    st.binary(max_size=60),
    st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from([b"Host: x", b"A: b", b"\nHost: x", b"content-length: 5"]))
    ),
)
@example(b"http://a.example/", [b"A: b\r\n\r\nGET http://b.example/ HTTP/1.1"])
def test_whatever_is_said_there_is_one_host_and_one_request(target: bytes, lines: list[bytes]) -> None:
    said = b"GET http://a.example/" + target + b" HTTP/1.1\r\n" + b"".join(one + b"\r\n" for one in lines) + b"\r\n"
    said = said[: said.index(b"\r\n\r\n") + 4]  # as it is read from a connection
    try:
        request = read_head(said)
    except (ValueError, AddressRefused):
        return
    assert request.head.endswith(b"\r\n\r\n")
    assert request.head.count(b"\r\n\r\n") == 1
    parts = request.head[:-4].split(b"\r\n")
    assert not any(b"\r" in part or b"\n" in part or b"\0" in part for part in parts)
    hosts = [part for part in parts[1:] if part.lower().partition(b":")[0].strip() == b"host"]
    assert [one.split()[1].rpartition(b":")[0] or one.split()[1] for one in hosts] == [request.host.encode()] or [
        one.split()[1] for one in hosts
    ] == [request.host.encode()]


def test_reading_twice_as_much_takes_twice_the_steps() -> None:
    """Counted, not timed."""

    def steps(count: int) -> int:
        counted = 0

        def count_it(frame: object, event: str, argument: object) -> object:
            nonlocal counted
            counted += 1
            return count_it

        said = head("GET http://a.example/ HTTP/1.1", *(f"X-{number}: {' ' * 20}y" for number in range(count)))
        before = sys.gettrace()
        sys.settrace(count_it)
        try:
            read_head(said)
        finally:
            sys.settrace(before)
        return counted

    assert steps(400) < 2.5 * steps(200)


class Host:
    """A server that remembers every byte, and answers each request that it sees."""

    def __init__(self) -> None:
        self.heard = b""
        self.port = 0
        self.complete = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, until: bytes) -> None:
        with contextlib.suppress(OSError):
            while not self.heard.endswith(until):
                block = await reader.read(65536)
                if not block:
                    break
                self.heard += block
            self.complete.set()
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfine")
            await writer.drain()
        writer.close()


Say = Callable[..., Awaitable[tuple[bytes, bytes]]]


@pytest.fixture
def say() -> Say:
    """Says something to a proxy in front of a host; what the host heard, and what came back."""

    async def say(said: bytes, *, until: bytes, policy: NetworkPolicy | None = None) -> tuple[bytes, bytes]:
        host = Host()
        gatekeeper = Gatekeeper(policy or NetworkPolicy(), resolve=names, permits=lambda _: True)
        async with (
            await asyncio.start_server(partial(host.take, until=until), "127.0.0.1", 0) as behind,
            await asyncio.start_server(gatekeeper.serve, "127.0.0.1", 0) as proxy,
        ):
            port = str(behind.sockets[0].getsockname()[1]).encode()
            reader, writer = await asyncio.open_connection(*proxy.sockets[0].getsockname()[:2])
            writer.write(said.replace(b"PORT", port))
            answer = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            return host.heard, answer

    return say


SECOND = b"GET http://other.example/secret HTTP/1.1\r\nHost: other.example\r\n\r\n"


async def test_a_second_request_does_not_leave(say: Say) -> None:
    heard, answer = await say(b"GET http://a.example:PORT/ HTTP/1.1\r\n\r\n" + SECOND, until=b"\r\n\r\n")
    assert b"secret" not in heard
    assert answer.endswith(b"fine")


async def test_nor_behind_a_body(say: Say) -> None:
    post = b"POST http://a.example:PORT/ HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    heard, answer = await say(post + SECOND, until=b"body")
    assert heard.endswith(b"\r\n\r\nbody")
    assert answer.endswith(b"fine")


async def test_nor_behind_chunks(say: Say) -> None:
    post = b"POST http://a.example:PORT/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"4;name=value\r\nbody\r\n10\r\n0123456789abcdef\r\n0\r\nHost: other.example\r\n\r\n"
    heard, answer = await say(post + chunks + SECOND, until=b"0\r\n\r\n")
    assert heard.endswith(b"\r\n\r\n4\r\nbody\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n")
    assert answer.endswith(b"fine")


@pytest.mark.parametrize(
    "chunks", [b"x\r\n", b"4\r\nbodyGET / HTTP/1.1\r\n\r\n", b"-1\r\n\r\n", b" 4\r\nbody\r\n0\r\n\r\n"]
)
async def test_chunks_that_are_none_cut_the_connection(say: Say, chunks: bytes) -> None:
    post = b"POST http://a.example:PORT/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    heard, _ = await say(post + chunks, until=b"never")
    assert b"HTTP/1.1\r\n\r\n" not in heard.partition(b"\r\n\r\n")[2]


async def test_a_tunnel_is_for_https(say: Say) -> None:
    """At port 80 it would carry any Host line, at others any protocol."""
    for port in (80, 22, 25, 6667, 8443):
        heard, answer = await say(f"CONNECT a.example:{port} HTTP/1.1\r\n\r\n".encode(), until=b"x")
        assert heard == b""
        assert b"403" in answer
        assert b"network_ports" in answer


async def test_named_ports_take_tunnels(say: Say) -> None:
    policy = NetworkPolicy(ports=tuple(range(1024, 65536)))
    heard, answer = await say(b"CONNECT a.example:PORT HTTP/1.1\r\n\r\nx", until=b"x", policy=policy)
    assert heard == b"x"
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_which_ports() -> None:
    def tunnel(policy: NetworkPolicy, port: int) -> bool:
        with contextlib.suppress(AddressRefused):
            policy.check_host("a.example", port)
            policy.check_port("a.example", port, tunnel=True)
            return True
        return False

    on = NetworkPolicy(ports=(8443,))
    assert [tunnel(on, port) for port in (443, 8443, 80, 8080)] == [True, True, False, False]
    listed = NetworkPolicy(network=Network.ALLOW_LIST, hosts=("a.example", "*.example:8443", "a.example:80"))
    assert [tunnel(listed, port) for port in (443, 80, 8443)] == [True, False, True]
    listed = NetworkPolicy(network=Network.ALLOW_LIST, hosts=("a.example:8443", "a.example:22"), ports=(9443,))
    assert [tunnel(listed, port) for port in (443, 8443, 22)] == [False, True, True]


@pytest.mark.parametrize("port", [22, 25, 6667])
async def test_plain_requests_do_not_go_where_other_protocols_are(say: Say, port: int) -> None:
    _, answer = await say(f"POST http://a.example:{port}/ HTTP/1.1\r\n\r\n".encode(), until=b"x")
    assert b"is not for HTTP" in answer
