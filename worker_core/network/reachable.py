"""Which hosts and addresses a task may reach."""

from __future__ import annotations

import enum
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable

from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import KubiyaError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

_SERVED_BY_CLOUDS = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Public by number, but the cloud's own service for its machines (Azure's WireServer). The others are link-local
(169.254.169.254), unique-local (fd00:ec2::254, fd20:ce::254) or shared (100.100.100.200), and refused as such."""

_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            # What Python's own tables call global, or called so in some version (the IANA registries say otherwise).
            "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
        ),
    )
)  # fmt: skip
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HOST_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,62})\.)*[a-z0-9_]([a-z0-9_-]{0,62})")

_NUMBER = re.compile(r"(0x[0-9a-f]*|\d+)")
_NOT_HTTP = frozenset(
    {
        0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
        110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
        531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190,
        5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    }
)  # fmt: skip
"""Where other protocols are spoken, whose servers may take an HTTP request for theirs: browsers refuse them, too
(WHATWG Fetch, "port blocking")."""


class Network(enum.Enum):
    """What a task may reach."""

    OFF = "off"
    """Nothing."""

    ALLOW_LIST = "allow-list"
    """The hosts of the setting `network_allow`, over HTTP and HTTPS."""

    ON = "on"
    """Every public host, over HTTP, and over HTTPS at port 443 and those of the setting `network_ports`. No loopback,
    private, link-local or metadata address."""

    HOST = "host"
    """The machine's own network, unfiltered."""


def narrower(allowed: Network, asked: Network | None) -> Network:
    """The less of two policies."""
    order = (Network.OFF, Network.ALLOW_LIST, Network.ON, Network.HOST)
    return allowed if asked is None else min(allowed, asked, key=order.index)


class AddressRefused(KubiyaError):
    """A connection that the policy does not allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """What the settings allow."""

    network: Network = Network.ON
    hosts: tuple[str, ...] = ()
    """For the allow-list alone: `example.com`, or `*.example.com` for all names below it, each with a port
    (`example.com:8443`) or without (then 80 and 443)."""

    ports: tuple[int, ...] = ()
    """Where HTTPS is spoken besides 443."""

    @property
    def tunnels(self) -> tuple[int, ...]:
        """Ports that may lead somewhere: those of HTTP and HTTPS, and those that the settings name."""
        named = (int(port) for _, _, port in (entry.partition(":") for entry in self.hosts) if port)
        return tuple(dict.fromkeys((80, 443, *self.ports, *named)))

    def check_host(self, host: str, port: int) -> None:
        """Raise AddressRefused where a name may not be reached; its addresses are looked at afterwards."""
        if self.network is Network.OFF:
            raise AddressRefused("This task has no network.")
        if self.network is Network.ALLOW_LIST and not any(_fits(entry, host, port) for entry in self.hosts):
            raise AddressRefused(
                f"{host}:{port} is not among the hosts that the worker's settings allow (network_allow): "
                f"{', '.join(self.hosts) or 'none'}."
            )

    def check_port(self, host: str, port: int, *, tunnel: bool) -> None:
        """Raise AddressRefused where a port of a host that may be reached is not for HTTP, or a tunnel (CONNECT) is to
        lead to one that is not for HTTPS: what goes through a tunnel, the proxy cannot see.
        """
        if port in self.ports or (tunnel and port == 443):
            return
        named = self.network is Network.ALLOW_LIST and any(
            entry.endswith(f":{port}") and _fits(entry, host, port) for entry in self.hosts
        )
        if tunnel and (port == 80 or not named):
            raise AddressRefused(
                f"HTTPS goes to port 443 and to those of the worker's setting network_ports; {port} is not among them."
            )
        if port in _NOT_HTTP and not named:
            raise AddressRefused(
                f"Port {port} is not for HTTP. If it is here, put it into the worker's setting network_ports."
            )


def _fits(entry: str, host: str, port: int) -> bool:
    name, _, wanted = entry.partition(":")
    if port not in ({int(wanted)} if wanted else {80, 443}):
        return False
    if name.startswith("*."):
        return host.endswith(name[1:])
    return host == name


def check_entry(entry: str) -> str:
    """An entry of `network_allow` in the form that is compared.

    Raises:
        ValueError: it is no host name; the text says what one looks like.

    """
    name, colon, port = entry.strip().lower().partition(":")
    if not _HOST_NAME.fullmatch(name) or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise ValueError(f"{entry!r} is no host; write example.com, *.example.com or example.com:8443")
    return f"{name}{colon}{port}"


def normal_host(host: str) -> str:
    """A host name in the form that is compared: small letters, no final dot, ASCII.

    Raises:
        AddressRefused: it is none.

    """
    bare = host.strip("[]").rstrip(".").lower()
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        name = bare.encode("idna").decode()
    except UnicodeError:
        name = ""
    # `127.1`, `0x7f.1` and `2130706433` are addresses to some resolvers.
    if not _HOST_NAME.fullmatch(name) or name.startswith("*") or _NUMBER.fullmatch(name.split(".")[-1]):
        raise AddressRefused(f"{host[:200]!r} is no host name.")
    return name


def is_public(address: Address, *, own: Iterable[Address] = ()) -> bool:
    """Whether an address is out on the internet: not this machine, its networks, or a cloud's metadata service.

    Args:
        address: after resolution.
        own: addresses of this machine, which may be public ones.

    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner, own=own)
        if address.scope_id or address not in _GLOBAL_UNICAST:
            return False
    if address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback:
        return False
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and address not in _SERVED_BY_CLOUDS and address not in set(own)


def resolve(host: str, port: int) -> list[str]:
    """The system's addresses for a name.

    Raises:
        OSError: there are none, or the system cannot tell.

    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def own_addresses() -> frozenset[Address]:
    """Of this machine's interfaces."""
    import psutil

    found = set()
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family in {socket.AF_INET, socket.AF_INET6}:
                found.add(ipaddress.ip_address(one.address.partition("%")[0]))
    return frozenset(found)
