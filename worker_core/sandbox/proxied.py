"""One request to a proxy: read strictly, and passed on as exactly one request to exactly one host (RFC 9112).

What a server behind a shared address answers depends on the Host line and on where a request ends. Both are ours: the
line is written anew from the host that was looked at, and only the bytes of the one request leave, whatever follows it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.reachable import AddressRefused, normal_host

BLOCK_BYTES: Final = 64 * 1024

_FIRST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([\x21-\x7e]+) (HTTP/1\.[01])")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""All but the tab, which may stand in a header's value."""

_PORT = re.compile(r"[0-9]{1,5}")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;[^\r\n]*)?\r\n")
_HOP_BY_HOP = frozenset(
    {b"host", b"proxy-connection", b"proxy-authorization", b"connection", b"keep-alive", b"te", b"upgrade",
     b"http2-settings"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a program asked the proxy for."""

    host: str
    """In the form that is compared."""

    port: int
    tunnel: bool
    """Bytes both ways (CONNECT)."""

    head: bytes = b""
    """What the host is told; nothing of a tunnel."""

    length: int | None = 0
    """Bytes of the body. None: it comes in chunks."""


def read_head(head: bytes) -> Request:
    """A request from its first lines.

    Args:
        head: with the empty line that ends it.

    Raises:
        ValueError: it is none that a proxy passes on, or could be read in two ways.
        AddressRefused: what it names is no host.

    """
    method, target, version, headers = _parts(head)
    if method == "CONNECT":
        name, _, number = target.rpartition(":")
        return Request(host=normal_host(name), port=_port(number), tunnel=True)
    url = urlsplit(target)
    if url.scheme != "http" or not url.hostname:
        raise ValueError(target)
    host = normal_host(url.hostname)
    port = 80 if url.port is None else _port(str(url.port))
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return _plain(method, path, version, headers, host=host, port=port)


def read_origin_head(head: bytes, *, host: str) -> Request:
    """A request from its first lines, of a program that has connected to port 80 of a host, as it thinks.

    Args:
        head: with the empty line that ends it.
        host: by the name that it asked for, in the form that is compared.

    Raises:
        ValueError: it is none, or could be read in two ways.
        AddressRefused: it is for another host.

    """
    method, target, version, headers = _parts(head)
    if method == "CONNECT" or not target.startswith("/"):
        raise ValueError(target)
    for name, value in headers:
        if name.lower() == b"host" and _host_line(value) != (host, 80):
            raise AddressRefused(f"The name {host} was asked for, and the request is for {_shown(value)}.")
    return _plain(method, target, version, headers, host=host, port=80)


def _parts(head: bytes) -> tuple[str, str, str, list[tuple[bytes, bytes]]]:
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = _FIRST_LINE.fullmatch(first)
    if found is None or any(map(_CONTROL.search, lines)):
        raise ValueError(first)
    method, target, version = (part.decode("ascii") for part in found.groups())
    return method, target, version, list(map(_header, lines))


def _plain(
    method: str, path: str, version: str, headers: list[tuple[bytes, bytes]], *, host: str, port: int
) -> Request:
    shown = (f"[{host}]" if ":" in host else host) + (f":{port}" if port != 80 else "")
    start = f"{method} {path} {version}\r\nHost: {shown}\r\nConnection: close\r\n".encode("ascii")
    kept = b"".join(b"%s: %s\r\n" % one for one in headers if one[0].lower() not in _HOP_BY_HOP)
    return Request(host=host, port=port, tunnel=False, head=start + kept + b"\r\n", length=_length(headers))


def _host_line(value: bytes) -> tuple[str, int]:
    host, _, port = value.decode("ascii", "replace").partition(":")
    return normal_host(host), _port(port or "80")


def _shown(value: bytes) -> str:
    return ascii(value[:200].decode("ascii", "replace"))


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name):  # a blank before the name or the colon is read in different ways
        raise ValueError(line)
    return name, value.strip(b" \t")


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65536:
        raise ValueError(text)
    return int(text)


def _length(headers: list[tuple[bytes, bytes]]) -> int | None:
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value.lower() for name, value in headers if name.lower() == b"transfer-encoding"]
    if codings:
        if codings != [b"chunked"] or lengths:
            raise ValueError(codings)
        return None
    if not lengths:
        return 0
    (length,) = lengths  # ValueError: there are several
    if not _LENGTH.fullmatch(length):
        raise ValueError(length)
    return int(length)


async def pass_body(
    request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moved: Callable[[], None]
) -> None:
    """Pass on what belongs to a request and nothing that follows it. `moved` is called now and then.

    Raises:
        ValueError: it is not as its head says.
        asyncio.IncompleteReadError, asyncio.LimitOverrunError: it ends early, or a line of it is too long.
        OSError: one of both has gone.

    """
    if request.length is not None:
        await _pass(reader, writer, request.length, moved)
        return
    while True:
        found = _CHUNK_SIZE.fullmatch(await reader.readuntil(b"\r\n"))
        if found is None:
            raise ValueError("no size of a chunk")
        size = int(found[1], 16)
        writer.write(b"%x\r\n" % size)
        if size == 0:
            break
        await _pass(reader, writer, size, moved)
        if await reader.readexactly(2) != b"\r\n":
            raise ValueError("no end of a chunk")
        writer.write(b"\r\n")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers: nobody needs them, and some servers take them for headers
    writer.write(b"\r\n")
    await writer.drain()


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int, moved: Callable[[], None]
) -> None:
    while count:
        block = await reader.read(min(count, BLOCK_BYTES))
        if not block:
            raise asyncio.IncompleteReadError(b"", count)
        moved()
        writer.write(block)
        count -= len(block)
        await writer.drain()
