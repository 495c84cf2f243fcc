"""What host a URL names: one reading for whoever decides about it and whoever connects.

Programs read much as a host that does not look like it: full-width letters, other dots, characters that are left out,
percent signs, numbers in any base. What is here gives each one form.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import Final
from urllib.parse import unquote

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded

LONGEST_URL: Final = 4_000
_BLANKS = "".join(map(chr, range(33)))
_IGNORED = str.maketrans("", "", "\t\r\n")
"""Browsers and Python's own reader take them out of a URL, wherever they stand."""

_SCHEME = re.compile(r"(?:(https?|wss?|ftp):[/\\]+|([A-Za-z][A-Za-z0-9+.-]{0,30})://+)", re.IGNORECASE)
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """Taken apart, the host in its one form."""

    scheme: str
    """Small letters; empty where none is named."""

    host: str
    """Empty where it is no name that could be asked for."""

    port: int | None
    target: str
    """Path and query, from the slash on."""

    has_user: bool


def read_url(text: str) -> Url | None:
    """The parts of a URL, also of one without `scheme://`; None where its port is none, or a bracket is not closed."""
    cleaned = text.strip(_BLANKS)[:LONGEST_URL].translate(_IGNORED)
    found = _SCHEME.match(cleaned)
    scheme = (found[1] or found[2]).lower() if found else ""
    rest = cleaned[found.end() :] if found else cleaned
    authority = re.split(r"[/\\?#]", rest, maxsplit=1)[0]
    target = rest[len(authority) :].partition("#")[0].replace("\\", "/")
    _, at, place = authority.rpartition("@")
    if place.startswith("["):
        name, bracket, port = place[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return None
        port = port.removeprefix(":")
    else:
        name, _, port = place.partition(":")
    if port and not (port.isascii() and port.isdecimal() and int(port) < 65536):
        return None
    return Url(
        scheme=scheme,
        host=host_name(name),
        port=int(port) if port else None,
        target=target if target.startswith("/") else f"/{target}",
        has_user=bool(at),
    )


def _mapped(text: str) -> str:
    import unicodedata  # half a megabyte, for names that few have

    return "".join(one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one) != "Cf")


def host_name(text: str) -> str:
    """A host as it is asked for: ASCII, small letters, addresses as they are usually written. Never fails.

    Empty for what is no host; a name that no server would know stays as it is, without what cannot be seen.
    """
    bare = unquote(text[:LONGEST_URL]).strip("[]").lower()
    mapped = bare if bare.isascii() else _mapped(bare)
    for dot in "\u3002\uff0e\uff61":
        mapped = mapped.replace(dot, ".")
    mapped = mapped.rstrip(".").casefold()
    if (address := _address(mapped)) is not None:
        return address
    if not mapped.isascii():
        with contextlib.suppress(UnicodeError):
            mapped = mapped.encode("idna").decode()
    return mapped


def _address(text: str) -> str | None:
    name, zone, _ = text.partition("%")
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(name if zone else text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(address)
    return _number(text)


def _number(text: str) -> str | None:
    """The forms of inet_aton(3): `127.1`, `0x7f.1`, `017700000001`, `2130706433`."""
    parts = text.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) and len(part) < 20 for part in parts):
        return None
    try:
        numbers = [
            int(part[2:] or "0", 16) if part[:2] == "0x" else int(part, 8 if part[0] == "0" else 10) for part in parts
        ]
    except ValueError:
        return None
    *first, last = numbers
    if any(one > 255 for one in first) or last >= 256 ** (5 - len(parts)):
        return None
    value = last
    for at, one in enumerate(first):
        value |= one << (24 - 8 * at)
    return str(ipaddress.IPv4Address(value))


def listening_host(text: str) -> str:
    """Where to listen, in its one form.

    Raises:
        ValueError: it is no host; the message goes on from "X is Y; ".
    """
    bare = text.strip()
    is_v6 = bare.count(":") > 1 and not bare.startswith("[")
    place = read_url(f"[{bare}]" if is_v6 else bare)
    if place is None or not place.host or place.port is not None or any(mark in bare for mark in "/\\?#@ "):
        raise ValueError(worded("it must be an address or a name without a port: 127.0.0.1, 0.0.0.0, ::, localhost"))
    return place.host


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
