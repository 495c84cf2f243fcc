"""Pooled connections to one server: bounded, renewed, and with an error for every way that a call can end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.basics.tasks import TaskKeeper
from worker_core.control_plane.errors import AnswerTooLong, ControlPlaneError, ServerTrouble, Unreachable
from worker_core.network.http import CONNECT_LIMIT_SECONDS, TOTAL_LIMIT_SECONDS, NoHttpAnswer, explain, proxy_of
from worker_core.network.named_proxy import usable_proxy

if TYPE_CHECKING:
    from worker_core.network.pool import Pool

ANSWER_LIMIT_BYTES = 32 << 20
"""Of one answer. The largest are stored conversations: ours never pass 2 MB, other workers' may."""

REFUSAL_LIMIT_BYTES = 256 << 10
"""What is read of an answer that is a refusal: its words stand at the beginning."""

AGE_LIMIT_SECONDS = 15 * 60.0
"""Connections are renewed after this, busy or not, so that DNS and balancer changes are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One HTTP response, read to its end. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


async def read_body(chunks: AsyncIterator[bytes], *, limit_bytes: int) -> bytes:
    """The body of an answer, or as much of its beginning as shows that it is longer than `limit_bytes`."""
    content = bytearray()
    async for piece in chunks:
        content += piece
        if len(content) > limit_bytes:
            break
    return bytes(content)


class Connections:
    """A pool of connections to one server that can be dropped as a whole at any moment.

    The pool is made at the first call. A dropped pool ends when its last call has ended.
    """

    def __init__(
        self,
        *,
        base_url: str,
        headers: Callable[[], Mapping[str, str]],
        ca_file: Path | None = None,
        max_connections: int = 50,
        called: str = worded("control plane"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`called` is what the server is for people.

        Raises:
            ConfigurationError: the proxy that is named for it cannot be used.
        """
        usable_proxy(base_url)
        self._called = called
        self._base_url = base_url
        self._headers = headers
        self._ca_file = ca_file
        self._max_connections = max_connections
        self._clock = clock
        self._current: _InUse | None = None
        self._ending = TaskKeeper()
        self.server = urlsplit(base_url).netloc

    async def request(
        self,
        method: str,
        path: str,
        *,
        action: str,
        content: bytes | None = None,
        query: Mapping[str, str] | None = None,
        limit_seconds: float = TOTAL_LIMIT_SECONDS,
    ) -> HttpAnswer:
        """One call.

        Raises:
            Unreachable: no answer came.
            AnswerTooLong: it is longer than any may be.
            ServerTrouble: what came is no HTTP.
        """
        headers = dict(self._headers())
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self._lease() as pool:
                async with (
                    asyncio.timeout(limit_seconds),
                    pool.call(
                        method,
                        path,
                        content=content,
                        query=query,
                        headers=headers,
                        timeout={"connect": min(CONNECT_LIMIT_SECONDS, limit_seconds)},
                    ) as answer,
                ):
                    limit = REFUSAL_LIMIT_BYTES if answer.status >= 400 else ANSWER_LIMIT_BYTES
                    body = await read_body(answer.chunks, limit_bytes=limit)
        except (NoHttpAnswer, OSError) as error:
            raise self._explain(error, action=action, limit_seconds=limit_seconds) from error
        if len(body) > limit and answer.status < 400:
            raise AnswerTooLong(
                worded(
                    "The answer of {server} to {action} is longer than {n} MB; it was not read to its end.",
                    server=self.server,
                    action=action,
                    n=limit >> 20,
                )
            )
        return HttpAnswer(status=answer.status, headers=answer.headers, content=body)

    @asynccontextmanager
    async def stream(
        self, path: str, *, action: str, headers: Mapping[str, str], query: Mapping[str, str], silence_seconds: float
    ) -> AsyncIterator[tuple[HttpAnswer, AsyncIterator[bytes]]]:
        """A GET whose body is read as it comes; the answer's content is filled only for statuses from 400 up.

        Raises:
            Unreachable: no answer came, or it broke off, or nothing came for `silence_seconds`.
            ServerTrouble: what came is no HTTP.
        """
        timeout = dict.fromkeys(("read", "write", "pool"), silence_seconds) | {"connect": CONNECT_LIMIT_SECONDS}
        all_headers = {**self._headers(), **headers}
        try:
            with self._lease() as pool:
                async with pool.call("GET", path, query=query, headers=all_headers, timeout=timeout) as came:
                    refused = came.status >= 400
                    content = await read_body(came.chunks, limit_bytes=REFUSAL_LIMIT_BYTES) if refused else b""
                    yield HttpAnswer(status=came.status, headers=came.headers, content=content), came.chunks
        except (NoHttpAnswer, OSError) as error:
            raise self._explain(error, action=action, limit_seconds=silence_seconds) from error

    def reset(self) -> None:
        """Let the next call begin on a new connection; calls under way end on their old ones."""
        current, self._current = self._current, None
        if current is not None:
            current.retired = True
            if current.users == 0:
                self._end(current)

    async def aclose(self) -> None:
        self.reset()
        if self._ending:
            await self._ending.ended()

    @contextmanager
    def _lease(self) -> Iterator[Pool]:
        current = self._current
        if current is not None and self._clock() - current.born_at > AGE_LIMIT_SECONDS:
            self.reset()
            current = None
        if current is None:
            from worker_core.network.pool import Pool  # not before there is something to call

            pool = Pool(base_url=self._base_url, ca_file=self._ca_file, max_connections=self._max_connections)
            current = self._current = _InUse(pool=pool, born_at=self._clock())
        current.users += 1
        try:
            yield current.pool
        finally:
            current.users -= 1
            if current.retired and current.users == 0:
                self._end(current)

    def _end(self, ended: _InUse) -> None:
        self._ending.start(ended.pool.aclose())

    def _explain(self, error: Exception, *, action: str, limit_seconds: float) -> ControlPlaneError:
        failure = explain(
            error,
            action=action,
            server=self.server,
            proxy=proxy_of(self._base_url),
            limit_seconds=limit_seconds,
            called=self._called,
        )
        return ServerTrouble(failure.sentence) if failure.unreadable else Unreachable(failure.sentence)


@dataclass(slots=True, kw_only=True)
class _InUse:
    pool: Pool
    born_at: float
    users: int = 0
    retired: bool = False
