"""One connection over which HTTP/1.1 is spoken: one call after the other, each answer read to its end.

h11 reads what comes. A request is written here: h11 would look at each of its headers anew, each time, and is only told
of which kind it is, since that says where its answer ends.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Final

import h11

from worker_core.network.faults import LocalProtocolError, ProxyError, RemoteProtocolError, WriteError
from worker_core.network.sockets import AsyncioStream

LONGEST_HEAD_BYTES: Final = 100 << 10
"""Of an answer's headers, and of what stands between the pieces of its body."""

_TARGET: Final = re.compile(r"[\x21-\x7e]+")
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_VALUE: Final = re.compile(r"([^\x00\s]+([ \t]+[^\x00\s]+)*)?")
"""Nothing in it ends a line."""

_END: Final = h11.EndOfMessage()


class Connection:
    """Whoever has it makes one call: it sends, reads the head and the body, and settles."""

    def __init__(self, stream: AsyncioStream) -> None:
        self._stream = stream
        self._answers = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD_BYTES)
        self._settled_at = 0.0

    async def send(self, method: str, request: bytes, *, limit_seconds: float | None) -> None:
        """Send a request, head and body in one piece.

        Raises:
            WriteTimeout: the other side did not take it.
        """
        self._answers.send(_kind(method))
        self._answers.send(_END)
        with suppress(WriteError):  # some servers answer, and go, before they have read it all
            await self._stream.write(request, limit_seconds=limit_seconds)

    async def head(self, *, limit_seconds: float | None) -> h11.Response:
        """The answer's status and headers; they are lower-case.

        Raises:
            TransportError: it did not come, or is none.
        """
        while True:
            event = await self._next(limit_seconds)
            if isinstance(event, h11.Response):
                return event

    async def piece(self, *, limit_seconds: float | None) -> bytes | None:
        """The next piece of the body; None: there is no more.

        Raises:
            TransportError: it broke off.
        """
        event = await self._next(limit_seconds)
        return bytes(event.data) if isinstance(event, h11.Data) else None

    def settle(self) -> bool:
        """The call is over. True: the next one may come; else it is closed."""
        states = {self._answers.our_state, self._answers.their_state}
        if states != {h11.DONE} or self._answers.trailing_data[0]:  # which would be read as the next call's answer
            self.close()
            return False
        self._answers.start_next_cycle()
        self._settled_at = time.monotonic()
        return True

    def is_usable(self, *, idle_seconds: float) -> bool:
        """Whether it can be used again. Not where something came unasked, or where it was idle for so long."""
        return time.monotonic() - self._settled_at <= idle_seconds and not self._stream.has_news

    def close(self) -> None:
        self._stream.close()

    async def _next(self, limit_seconds: float | None) -> object:
        while True:
            try:
                event = self._answers.next_event()
            except h11.RemoteProtocolError as error:
                raise RemoteProtocolError(str(error)) from error
            if event is not h11.NEED_DATA:
                return event
            data = await self._stream.read(limit_seconds=limit_seconds)
            if not data and self._answers.their_state is h11.SEND_RESPONSE:
                raise RemoteProtocolError("Server disconnected without sending a response.")
            self._answers.receive_data(data)


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
    if not 200 <= answer.status_code < 300:
        raise ProxyError(f"{answer.status_code} {answer.reason.decode('ascii', 'ignore')}")


@cache
def _kind(method: str) -> h11.Request:
    """As much of a request as says where its answer ends."""
    target = "host:1" if method == "CONNECT" else "/"
    return h11.Request(method=method, target=target, headers=[("Host", "host")])
