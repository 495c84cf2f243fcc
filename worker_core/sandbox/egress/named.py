"""The way out for programs that know no proxy: a name server, and listeners at the addresses that it answers with.

A call's network has nothing but loopback, which is given a network of addresses more. Each name that is asked for gets
one of these, so what connects to one has said where it wants to go, and is passed to the gatekeeper like what asked
the proxy: the same hosts, the same look at their addresses, the same bounds. Nothing runs in the sandbox for it.

The kernel asks whoever binds a socket for the right to ports below 1024, and whoever gives an interface an address for
the right to that, in the user namespace that its network belongs to. That of bubblewrap belongs to the worker's user,
who has every right in it (user_namespaces(7)); the gate and the tool have none. So the gate makes the sockets and hands
them over, and both is done here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import field
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.reachable import AddressRefused, normal_host
from worker_core.sandbox.egress.arrivals import TokenBucket, readable
from worker_core.sandbox.egress.dns import ADDRESS, MOST_BYTES, NOTHING_THERE, Code, Query, answer, read_query
from worker_core.sandbox.gatekeeper import Gatekeeper

NAME_SERVER: Final = IPv4Address("127.0.0.1")
"""Where programs ask that find no other in `resolv.conf`, too."""

RESOLV_CONF: Final = f"nameserver {NAME_SERVER}\noptions timeout:10 attempts:2\n"
"""A look-up may take the worker's own name server a while."""

GIVEN: Final = IPv4Network("22.0.0.0/8")
"""Whose addresses stand for names. Programs that refuse loopback, private and reserved addresses, since these lead into
somebody's own network, take them for the public ones that the gatekeeper will connect to (mcp-server-fetch 2026.10.24
looks even where it has a proxy). Real ones cannot be had: of several names at one address it would not be known which
is meant. This network is the US Department of Defense's (IANA), which has no host in it that a tool would name."""

WITHIN_LOOPBACK: Final = IPv4Network("127.128.0.0/9")
"""The same, where the interface cannot be given addresses."""

MOST_NAMES: Final = 1000
"""Of one call; what was not asked for longest is forgotten then. Its address is given to no other name."""

MOST_PORTS: Final = 32
"""That lead somewhere: the first ones of the settings."""

FOR_HIGH_PORTS: Final = 32
"""Sockets for ports from 1024 on: one for each name and port, as a tool may serve those ports itself."""

BURST: Final = 1000
QUESTIONS_PER_SECOND: Final = 100.0
MOST_QUESTIONS: Final = 32
"""That are being looked up at the same time; a further one is not answered, and asked again."""

_FIRST_OPEN_PORT: Final = 1024
_GET_NETWORK: Final = 0x894C
"""SIOCGSKNS: the network namespace of a socket, for those alone who may rule it (netdevice.h)."""

_SET_ADDRESS: Final = 0x8916
"""SIOCSIFADDR (netdevice(7)), of the socket's own network."""

_Asker = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Which ports lead somewhere."""

    low: tuple[int, ...]
    """Below 1024: one listener each, for all names, since no tool can serve them."""

    high: tuple[int, ...]

    @classmethod
    def of(cls, ports: Sequence[int]) -> Ports:
        few = ports[:MOST_PORTS]
        return cls(
            low=tuple(port for port in few if port < _FIRST_OPEN_PORT),
            high=tuple(port for port in few if port >= _FIRST_OPEN_PORT),
        )

    @property
    def sockets(self) -> int:
        """How many the gate hands over, besides the one for datagrams."""
        return len(self.low) + (FOR_HIGH_PORTS if self.high else 0)


@dataclass(slots=True)
class _Given:
    """Which address stands for which name."""

    network: IPv4Network
    next: IPv4Address
    addresses: dict[str, IPv4Address] = field(default_factory=dict)
    """In the order in which they were last asked for."""

    names: dict[IPv4Address, str] = field(default_factory=dict)

    @classmethod
    def of(cls, network: IPv4Network) -> _Given:
        """The first address is the interface's own, as the last one is the network's."""
        return cls(network=network, next=network[2])

    def to(self, name: str) -> IPv4Address:
        """An address is never given again: somebody may remember it.

        Raises:
            OSError: there are no more.

        """
        address = self.addresses.pop(name, None)
        if address is None:
            if self.next >= self.network.broadcast_address:
                raise OSError("all addresses have been given away")
            address, self.next = self.next, self.next + 1
        if len(self.addresses) >= MOST_NAMES:
            oldest = next(iter(self.addresses))
            del self.names[self.addresses.pop(oldest)]
        self.addresses[name], self.names[address] = address, name
        return address


class NamedWay:
    """Of one call. Belongs to the loop of the thread.

    Args:
        sockets: what the gate handed over, of the call's own network: one for datagrams, then `ports.sockets`. They
            belong to this object from now on.
        ports: which lead somewhere.
        gatekeeper: knows which names may be asked about.
        asker: the call; its look-ups are one line, whoever in it asks.

    Raises:
        OSError: it may not bind them, or they are not the call's. They are closed then.

    """

    def __init__(
        self, sockets: Sequence[socket.socket], *, ports: Ports, gatekeeper: Gatekeeper, asker: Hashable
    ) -> None:
        self._sockets = list(sockets)
        self._ports = ports
        self._gatekeeper = gatekeeper
        self._asker = asker
        try:
            if len(sockets) != 1 + ports.sockets or not all(map(_is_of_a_call, sockets)):
                raise OSError("these are not the sockets of a call")
            self._datagrams, *rest = sockets
            self._given = _Given.of(_own_addresses(self._datagrams))
            self._datagrams.bind((str(NAME_SERVER), 53))
            self.listeners = rest[: len(ports.low)]
            self._unused = rest[len(ports.low) :]
            for one, port in zip(self.listeners, ports.low, strict=True):
                _listen(one, "0.0.0.0", port)  # noqa: S104 -- of a network that has loopback alone
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Nobody is answered any more."""
        for one in self._sockets:
            one.close()

    def called(self, connection: socket.socket) -> tuple[str, int] | None:
        """Which name and port somebody has connected to. None: the address stands for none."""
        host, port = connection.getsockname()
        name = self._given.names.get(IPv4Address(host))
        return None if name is None else (name, port)

    def meant(self, host: str) -> str:
        """The name that `host` stands for, as the proxy is asked for an address by whoever looked the name up before;
        every other host is itself.

        Raises:
            AddressRefused: it is such an address, and stands for none.

        """
        try:
            address = IPv4Address(host)
        except ValueError:
            return host
        if address not in self._given.network:
            return host
        name = self._given.names.get(address)
        if name is None:
            raise AddressRefused(f"{host} stands for no name that this call has asked for.")
        return name

    async def answer_questions(self, listen: Callable[[socket.socket], object]) -> None:
        """Until it is cancelled. `listen` is told of each further listener."""
        loop = asyncio.get_running_loop()
        bucket = TokenBucket(burst=BURST, per_second=QUESTIONS_PER_SECOND)
        under_way: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                await readable(self._datagrams)
                await bucket.wait(loop.time())
                try:
                    datagram, asker = self._datagrams.recvfrom(MOST_BYTES)
                    question = read_query(datagram)
                except (OSError, ValueError):
                    continue
                if question.kind != ADDRESS:
                    code = Code.FOUND if question.kind in NOTHING_THERE else Code.NOT_IMPLEMENTED
                    self._say(answer(question, code=code), asker)
                elif len(under_way) < MOST_QUESTIONS:
                    task = group.create_task(self._attend(question, asker, listen))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)

    async def _attend(self, question: Query, asker: _Asker, listen: Callable[[socket.socket], object]) -> None:
        try:
            address = await self._address(question.name, listen)
        except AddressRefused:
            self._say(answer(question, code=Code.REFUSED), asker)
        except (OSError, ValueError):
            self._say(answer(question, code=Code.FAILED), asker)
        else:
            code = Code.NO_SUCH_NAME if address is None else Code.FOUND
            self._say(answer(question, code=code, address=address), asker)

    async def _address(self, asked: str, listen: Callable[[socket.socket], object]) -> IPv4Address | None:
        """What stands for a name; None: there is no such name."""
        name = normal_host(asked)
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
            return IPv4Address("127.0.0.1")
        if _is_address(name) or not await self._gatekeeper.exists(name, asker=self._asker):
            return None
        is_new = name not in self._given.addresses
        address = self._given.to(name)
        if is_new:
            for port in self._ports.high:
                if self._unused and self._gatekeeper.may_reach(name, port):
                    self._serve_high(address, port, listen)
        return address

    def _serve_high(self, address: IPv4Address, port: int, listen: Callable[[socket.socket], object]) -> None:
        one = self._unused.pop()
        with contextlib.suppress(OSError):  # a tool serves this port at every address
            _listen(one, str(address), port)
            self.listeners.append(one)
            listen(one)

    def _say(self, datagram: bytes, asker: _Asker) -> None:
        with contextlib.suppress(OSError):  # who asked has gone, or does not read
            self._datagrams.sendto(datagram, asker)


def reset(connection: socket.socket) -> None:
    """Close it so that its other end sees that nobody took it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _listen(one: socket.socket, host: str, port: int) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((host, port))
    one.listen(128)


def _own_addresses(one: socket.socket) -> IPv4Network:
    """Make a network the loopback interface's own; `one` is a socket of a call. Which network it has got."""
    if sys.platform == "win32":
        return WITHIN_LOOPBACK
    import fcntl

    # `struct ifreq`. By its class (RFC 791) the address brings all of GIVEN with it, which on loopback leads to itself.
    wish = struct.pack("16sHH4s16x", b"lo:1", socket.AF_INET, 0, GIVEN[1].packed)
    try:
        fcntl.ioctl(one, _SET_ADDRESS, wish)
    except OSError:  # this kernel is another's, such as gVisor's
        return WITHIN_LOOPBACK
    return GIVEN


def _is_of_a_call(one: socket.socket) -> bool:
    """Whether it is of another network than the machine's. A listener there would be open to everybody."""
    if sys.platform != "linux" or one.family != socket.AF_INET:
        return False
    import fcntl

    network = fcntl.ioctl(one, _GET_NETWORK)
    try:
        return os.fstat(network).st_ino != Path("/proc/self/ns/net").stat().st_ino
    finally:
        os.close(network)
