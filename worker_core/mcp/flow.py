"""What a server may send unasked: bounds that no well-behaved one comes near."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import anyio

from worker_core.mcp.messages import read_message, unreadable
from worker_core.mcp.pages import LARGEST_PAGE_BYTES, PAGES, PARTS, first_parts, taken_apart

if TYPE_CHECKING:
    from types import TracebackType

    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCResponse, RequestId

MESSAGES_AT_ONCE, MESSAGES_PER_SECOND = 20_000, 200
BYTES_AT_ONCE, BYTES_PER_SECOND = 64 * 1024 * 1024, 1024 * 1024
LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
"""Of a message while a call is under way; where none is, `LARGEST_PAGE_BYTES`."""

_LONG_ANSWERS = frozenset(PARTS)
UNANSWERED_REQUESTS = 64
"""Requests of the server whose answers it has not taken yet."""

NOTICES_AT_ONCE, NOTICES_PER_SECOND = 100, 20
"""Notifications (progress, logs) that are read at all; of more, nobody sees anything."""


class Budget:
    """So much at once, and so much a second.

    Args:
        at_once: what there is at the beginning, and at most.
        per_second: what comes back.
        clock: monotonic seconds.
    """

    def __init__(self, at_once: float, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = self._left = at_once
        self._per_second = per_second
        self._clock = clock
        self._since = clock()

    def has(self, amount: float = 1) -> bool:
        """Whether there is so much now."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._since) * self._per_second)
        self._since = now
        return amount <= self._left

    def take(self, amount: float = 1) -> bool:
        """Whether there was so much; then it is taken."""
        if not self.has(amount):
            return False
        self._left -= amount
        return True


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
        self.notices = Budget(NOTICES_AT_ONCE, NOTICES_PER_SECOND, clock=clock)
        self.waiting: dict[RequestId, str] = {}
        """Our requests that are not answered yet, with their methods. Changed on the session's loop alone."""

        self.abandoned: set[RequestId] = set()
        """Requests that nobody waits for any more, though no answer has come."""

        self.not_found: set[RequestId] = set()
        """Requests that a remote server answered with 404, though they named its session."""

        self.forgotten = False
        """The server no longer knows the session: it takes no request of it, and wants a new one."""

        self.listed: list[Mapping[str, Any]] = []
        """The tools or resources of the last page, as their server described them."""

    def awaited(self, request_id: RequestId | None) -> RequestId | None:
        """Which of our requests an answer with that id is for; None: for none of them.

        Ids are compared as the SDK does, to which "7" is 7: no answer reaches who waits for it by another way.
        """
        from mcp.shared.dispatcher import coerce_request_id

        found = None if request_id is None else coerce_request_id(request_id)
        return found if found in self.waiting else None

    @property
    def is_usable(self) -> bool:
        """Something can be asked on this connection."""
        return not self.over.is_set() and not self.forgotten

    @property
    def largest_message(self) -> int:
        """Bytes. May be asked from another thread."""
        calls = _LONG_ANSWERS.intersection(tuple(self.waiting.values()))
        return LARGEST_ANSWER_BYTES if calls else LARGEST_PAGE_BYTES

    def received_bytes(self, count: int) -> bool:
        """False: it is too much. May be called from another thread."""
        self._bytes += count
        if self._bytes > BYTES_AT_ONCE + BYTES_PER_SECOND * (self._clock() - self._since):
            self.violation = self.violation or f"It printed more than {BYTES_AT_ONCE >> 20} MB without an answer in it."
        return not self.violation

    def sent_too_long(self) -> None:
        """One message is longer than any may be."""
        self.violation = self.violation or "It sent one message that is larger than any may be."

    def asked(self, request_id: RequestId, method: str) -> None:
        """We sent a request. One that is a stream of changes has no answer that anybody waits for."""
        if method == "subscriptions/listen":
            return
        self.waiting[request_id] = method

    def given_up(self, request_id: RequestId) -> None:
        """We no longer wait for its answer."""
        if self.waiting.pop(request_id, None) is not None:
            self.abandoned.add(request_id)

    def received_message(self, *, is_answer: bool = False, is_request: bool = False) -> bool:
        """False: it is too much. Only an answer that we wait for is one."""
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
    """A transport's read stream that ends when the server sends too much, and in which every answer is one."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], flow: Flow) -> None:
        self._inner = inner
        self._flow = flow

    async def receive(self) -> SessionMessage | Exception:
        from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

        while True:
            try:
                item = self._read(await self._inner.receive())
            except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                self._flow.over.set()
                raise
            message = None if isinstance(item, Exception) else item.message
            answers = self._flow.awaited(message.id) if isinstance(message, JSONRPCResponse | JSONRPCError) else None
            is_request = isinstance(message, JSONRPCRequest)
            if not self._flow.received_message(is_answer=answers is not None, is_request=is_request):
                self._flow.over.set()
                raise anyio.EndOfStream
            if answers is not None and isinstance(message, JSONRPCResponse | JSONRPCError):
                return self._answer(message, self._flow.waiting.pop(answers))
            if not isinstance(message, JSONRPCNotification) or self._flow.notices.take():
                return item

    def _read(self, item: SessionMessage | Exception) -> SessionMessage | Exception:
        """What its transport could not read, read once more."""
        from mcp.shared.message import SessionMessage

        message = _unread(item, self._flow.waiting) if isinstance(item, Exception) else None
        return item if message is None else SessionMessage(message)

    def _answer(self, message: JSONRPCResponse | JSONRPCError, method: str) -> SessionMessage:
        """Of a page of tools or resources, and of a result's parts, what the SDK may see."""
        from mcp.shared.message import SessionMessage
        from mcp_types import METHOD_NOT_FOUND, JSONRPCError, JSONRPCResponse

        if isinstance(message, JSONRPCError) and message.id in self._flow.not_found:
            # Some say so, too, where they know the session and not the method.
            self._flow.forgotten = self._flow.forgotten or message.error.code != METHOD_NOT_FOUND
        # Servers of before 2026-07-28 know no types of results, and some that speak it forget it where a tool failed.
        if isinstance(message, JSONRPCResponse) and "resultType" not in message.result and method != "initialize":
            message = message.model_copy(update={"result": {**message.result, "resultType": "complete"}})
        if method in PAGES and isinstance(message, JSONRPCResponse):
            page, self._flow.listed = taken_apart(message.result, method)
            message = message.model_copy(update={"result": page})
        if method in PARTS and isinstance(message, JSONRPCResponse):
            message = message.model_copy(update={"result": first_parts(message.result, method)})
        return SessionMessage(message)

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
        from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

        message = item.message
        if isinstance(message, JSONRPCRequest):
            self._flow.asked(message.id, message.method)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._flow.given_up((message.params or {}).get("requestId", ""))
        await self._inner.send(item)
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._flow.answered_request()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _unread(error: Exception, waiting: Mapping[RequestId, str]) -> JSONRPCMessage | None:
    """The message in an error that a transport hands on where it could not read one."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return None
    for one in error.errors(include_url=False, include_context=False):
        if isinstance(raw := one.get("input"), str | bytes) and (message := read_message(raw, waiting=waiting)):
            return message
    # Nothing says whose answer it is: where one is waited for, it is that one's.
    return unreadable(next(iter(waiting)), "its answer is no message of the protocol") if len(waiting) == 1 else None
