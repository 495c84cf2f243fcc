"""One connection over which HTTP/1.1 is spoken: one call after the other, each answer read to its end."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from worker_core.network.answers import Head, HttpReader
from worker_core.network.faults import LocalProtocolError, ProxyError, WriteError
from worker_core.network.sockets import AsyncioStream

_TARGET: Final = re.compile(r"[\x21-\x7e]+")
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_VALUE: Final = re.compile(r"([^\x00\s]+([ \t]+[^\x00\s]+)*)?")
"""Nothing in it ends a line."""


class Connection:
    """Whoever has it makes one call: it sends, reads the head and the body, and settles."""

    def __init__(self, stream: AsyncioStream) -> None:
        self._stream = stream
        self._reader = HttpReader()
        self._settled_at = 0.0

    async def send(self, method: str, request: bytes, *, limit_seconds: float | None) -> None:
        """Send a request, head and body in one piece.

        Raises:
            WriteTimeout: the other side did not take it.
        """
        self._reader.expect(method)
        with suppress(WriteError):  # some servers answer, and go, before they have read it all
            await self._stream.write(request, limit_seconds=limit_seconds)

    async def head(self, *, limit_seconds: float | None) -> Head:
        """The answer's status and headers.

        Raises:
            TransportError: it did not come, or is none.
        """
        while (head := self._reader.head()) is None:
            self._reader.take(await self._stream.read(limit_seconds=limit_seconds))
        return head

    async def piece(self, *, limit_seconds: float | None) -> bytes | None:
        """The next piece of the body; None: there is no more.

        Raises:
            TransportError: it broke off.
        """
        while (piece := self._reader.piece()) is None and not self._reader.is_over:
            self._reader.take(await self._stream.read(limit_seconds=limit_seconds))
        return piece

    def settle(self) -> bool:
        """The call is over. True: the next one may come; else it is closed."""
        if not self._reader.another_may_follow:
            self.close()
            return False
        self._settled_at = time.monotonic()
        return True

    def is_usable(self, *, idle_seconds: float) -> bool:
        """Whether it can be used again. Not where something came unasked, or where it was idle for so long."""
        return time.monotonic() - self._settled_at <= idle_seconds and not self._stream.has_news

    def close(self) -> None:
        self._stream.close()


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """A request up to its body.

    Args:
        method: of HTTP.
        target: as it stands in the first line, quoted.
        headers: in their order.

    Raises:
        LocalProtocolError: one of them would end its line, or the headers.
    """
    if not _TARGET.fullmatch(target):
        raise LocalProtocolError(f"Illegal target {target!r}")
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise LocalProtocolError(f"Illegal header {name!r}")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


async def pass_through(stream: AsyncioStream, target: str, *, authorization: str, limit_seconds: float | None) -> None:
    """Have a proxy connect what is sent from now on to `target`, a host with its port.

    Raises:
        ProxyError: it does not.
        TransportError: no answer came.
    """
    headers = {"Host": target, "Accept": "*/*"}
    if authorization:
        headers["Proxy-Authorization"] = authorization
    asked = Connection(stream)
    await asked.send("CONNECT", request_head("CONNECT", target, headers), limit_seconds=limit_seconds)
    answer = await asked.head(limit_seconds=limit_seconds)
    if not 200 <= answer.status < 300:
        raise ProxyError(f"{answer.status} {answer.reason}")
