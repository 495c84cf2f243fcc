"""What a server may send unasked: bounds that no well-behaved one comes near."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import anyio

if TYPE_CHECKING:
    from types import TracebackType

    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage

MESSAGES_AT_ONCE, MESSAGES_PER_SECOND = 20_000, 200
BYTES_AT_ONCE, BYTES_PER_SECOND = 64 * 1024 * 1024, 1024 * 1024
UNANSWERED_REQUESTS = 64
"""Requests of the server whose answers it has not taken yet."""


class Flow:
    """Counts what came since the last answer. `over` is set when the connection has ended, for whatever reason."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.over = asyncio.Event()
        self.violation = ""
        """A sentence; empty: none."""

        self._clock = clock
        self._since = clock()
        self._messages = 0
        self._bytes = 0
        self._requests = 0

    def received_bytes(self, count: int) -> bool:
        """False: it is too much. May be called from another thread."""
        self._bytes += count
        if self._bytes > BYTES_AT_ONCE + BYTES_PER_SECOND * (self._clock() - self._since):
            self.violation = self.violation or f"It printed more than {BYTES_AT_ONCE >> 20} MB without an answer in it."
        return not self.violation

    def sent_too_long(self) -> None:
        """One message is longer than any may be."""
        self.violation = self.violation or "It sent one message that is larger than any may be."

    def received_message(self, *, is_answer: bool, is_request: bool) -> bool:
        """False: it is too much."""
        if is_answer:
            self._since, self._messages, self._bytes = self._clock(), 0, 0
            return not self.violation
        self._messages += 1
        self._requests += is_request
        if self._requests > UNANSWERED_REQUESTS:
            self.violation = self.violation or f"It sent more than {UNANSWERED_REQUESTS} requests and read no answer."
        elif self._messages > MESSAGES_AT_ONCE + MESSAGES_PER_SECOND * (self._clock() - self._since):
            self.violation = self.violation or f"It sent more than {MESSAGES_AT_ONCE} messages without an answer."
        return not self.violation

    def answered_request(self) -> None:
        """The server took our answer to a request of its own."""
        self._requests -= 1


class Incoming:
    """A transport's read stream that ends when the server sends too much."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], flow: Flow) -> None:
        self._inner = inner
        self._flow = flow

    async def receive(self) -> SessionMessage | Exception:
        from mcp_types import JSONRPCError, JSONRPCRequest, JSONRPCResponse

        try:
            item = await self._inner.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._flow.over.set()
            raise
        message = None if isinstance(item, Exception) else item.message
        if not self._flow.received_message(
            is_answer=isinstance(message, JSONRPCResponse | JSONRPCError),
            is_request=isinstance(message, JSONRPCRequest),
        ):
            self._flow.over.set()
            raise anyio.EndOfStream
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Outgoing:
    """A transport's write stream that says which answers were taken."""

    def __init__(self, inner: WriteStream[SessionMessage], flow: Flow) -> None:
        self._inner = inner
        self._flow = flow

    async def send(self, item: SessionMessage, /) -> None:
        from mcp_types import JSONRPCError, JSONRPCResponse

        await self._inner.send(item)
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._flow.answered_request()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
