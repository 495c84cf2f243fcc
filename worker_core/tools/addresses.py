"""Which addresses of the network a page may be fetched from: public ones, and none that lead back to this machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_V4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_CLOUD_METADATA = frozenset(map(ipaddress.ip_address, ("168.63.129.16", "192.0.0.192", "100.100.100.200")))
"""Those that are, or look, public: Azure's (168.63.129.16), Oracle's and Alibaba's."""


def resolve(host: str, port: int) -> list[str]:
    """The system's addresses for a name.

    Raises:
        OSError: there are none, or the system cannot tell.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet, whatever form it is written in, and not to this machine."""
    return all(_is_global(one) for one in _meant(address)) and str(address) not in _own()


def _meant(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address inside it: some systems take the one for the other."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield from address.teredo
        if any(address in network for network in (*_NAT64, _V4_COMPATIBLE)):
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _is_global(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:  # judged by what is inside it
            return True
        if address.is_site_local or address.scope_id is not None:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and address not in _CLOUD_METADATA
    )


def _own() -> frozenset[str]:
    """This machine's addresses: a public one leads to services that were meant for the inside."""
    import psutil

    return frozenset(
        entry.address.partition("%")[0]
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in {socket.AF_INET, socket.AF_INET6}
    )
