"""One server, one key: how a call is sent, what its answer means, and how far its clock is off."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypedDict, TypeVar, Unpack

import msgspec

from worker_core.basics.clocks import steady
from worker_core.basics.sentences import worded
from worker_core.control_plane import errors, wire
from worker_core.control_plane.connections import Connections, HttpAnswer
from worker_core.network.http import TOTAL_LIMIT_SECONDS
from worker_core.network.urls import check_private, segment
from worker_core.secrets import Secret

_SKEW_EVERY_SECONDS = 60.0
_DATE: Final = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
"""As servers say it today (RFC 9110, 5.6.7)."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_Model = TypeVar("_Model", bound=msgspec.Struct)


class How(TypedDict, total=False):
    """What a call may say besides its path."""

    body: object
    """Bytes as they are, anything else as JSON."""

    query: Mapping[str, str] | None
    vital: bool
    """On the connections that no other traffic starves."""

    limit_seconds: float
    """Of the whole call; 10 s by default."""


def content_of(body: object) -> bytes | None:
    """What is sent of a body (`How.body`)."""
    return body if isinstance(body, bytes) or body is None else wire.encode(body)


class Caller:
    """Sends calls and reads answers. Every failure is a `ControlPlaneError`."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: Secret,
        ca_file: Path | None = None,
        allow_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady,
    ) -> None:
        """See `ControlPlaneClient`."""
        check_private(base_url, whose=worded("control plane"), allow_http=allow_http)
        self.base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._clock = clock
        self._now = now
        self._steady = steady
        self._said: tuple[datetime, float] | None = None
        """What the server's clock showed, and when that was by a clock that nobody sets."""

        self._said_at = float("-inf")
        self._vital = Connections(
            base_url=self.base_url, headers=self._headers, ca_file=ca_file, max_connections=8, clock=clock
        )
        self._common = Connections(
            base_url=self.base_url, headers=self._headers, ca_file=ca_file, max_connections=50, clock=clock
        )

    @property
    def server(self) -> str:
        """Host and port, for sentences."""
        return self._common.server

    @property
    def clock_skew(self) -> timedelta | None:
        """Server time minus local time, to about a second; None before the first answer."""
        said = self.server_time
        return None if said is None else said - datetime.fromtimestamp(self._now(), UTC)

    @property
    def server_time(self) -> datetime | None:
        """What the server's clock shows now, whoever has set this machine's meanwhile; None before the first answer."""
        if self._said is None:
            return None
        said, then = self._said
        return said + timedelta(seconds=self._steady() - then)

    def reset_connections(self) -> None:
        """Begin anew on fresh connections: after waking up, or when the network changed."""
        self._vital.reset()
        self._common.reset()

    async def aclose(self) -> None:
        await self._vital.aclose()
        await self._common.aclose()

    def _headers(self) -> dict[str, str]:
        key = self._api_key.reveal()
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            said = worded("The API key holds characters that no key has.") if key else worded("The API key is missing.")
            raise errors.CredentialsRefused(said).with_repair("Store it again with `kubiya-worker login`.")
        return {"Authorization": f"Bearer {key}"}

    async def send(
        self,
        method: str,
        path: str,
        action: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        vital: bool = False,
        limit_seconds: float = TOTAL_LIMIT_SECONDS,
    ) -> HttpAnswer:
        """One call below `/api/v1`, whatever its status. `action` is what was wanted, for sentences."""
        answer = await (self._vital if vital else self._common).request(
            method,
            f"/api/v1{path}",
            action=action,
            content=content_of(body),
            query=query,
            limit_seconds=limit_seconds,
        )
        self.note_time(answer)
        return answer

    async def call(self, method: str, path: str, action: str, **how: Unpack[How]) -> HttpAnswer:
        """One call that succeeds; `how` as in `send`."""
        answer = await self.send(method, path, action, **how)
        self.expect(answer, action=action)
        return answer

    @asynccontextmanager
    async def stream(
        self, path: str, action: str, *, headers: Mapping[str, str], silence_seconds: float
    ) -> AsyncIterator[tuple[HttpAnswer, AsyncIterator[bytes]]]:
        """A GET whose body is read as it comes; it has succeeded."""
        async with self._common.stream(
            f"/api/v1{path}", action=action, headers=headers, query={}, silence_seconds=silence_seconds
        ) as (answer, chunks):
            self.expect(answer, action=action)
            yield answer, chunks

    async def get(self, model: type[_Model], path: str, action: str) -> _Model:
        answer = await self.call("GET", path, action)
        return self.read(model, self.decode(answer, action=action), action=action)

    async def get_list(
        self, model: type[_Model], path: str, action: str, *, key: str, query: Mapping[str, str] | None = None
    ) -> list[_Model]:
        answer = await self.call("GET", path, action, query=query)
        return wire.read_list(model, self.decode(answer, action=action), action=action, server=self.server, key=key)

    async def get_optional(self, path: str, *, action: str) -> Any:
        """JSON, or None for 404 and 500, which this server uses for "there is none" (protocol, 12 and 13)."""
        answer = await self.send("GET", path, action)
        if answer.status in {404, 500}:
            return None
        self.expect(answer, action=action)
        return self.decode(answer, action=action)

    async def command(self, execution_id: str, verb: str, *, body: object = None) -> None:
        action = worded("the message")
        if verb != "message":
            action = worded("the request to {verb} execution {id}", verb=verb, id=execution_id)
        answer = await self.call("POST", f"/executions/{segment(execution_id)}/{verb}", action, body=body)
        raw = self.decode(answer, action=action) if answer.content else {}
        if isinstance(raw, Mapping) and raw.get("success") is False:
            said = self.words(answer).rstrip(".")
            raise errors.Rejected(
                worded(
                    "The control plane did not accept {action}: {why}.",
                    action=action,
                    why=said or worded("it gave no reason"),
                ),
                status=answer.status,
            )

    def hide(self, content: bytes) -> bytes:
        """`content` without the key."""
        return content.replace(self._api_key.reveal().encode(), b"****")

    def words(self, answer: HttpAnswer) -> str:
        """What the server said, without the key."""
        return errors.words(answer.content, hide=self._api_key.reveal())

    def expect(self, answer: HttpAnswer, *, action: str) -> None:
        """Raise what a status means that is none of success."""
        if 200 <= answer.status < 300:
            return
        raise errors.from_status(
            answer.status,
            action=action,
            server=self.server,
            said=self.words(answer),
            retry_after_seconds=errors.retry_after(answer.headers),
            location=answer.headers.get("location", ""),
        )

    def check_success(self, answer: HttpAnswer, *, action: str) -> None:
        """Raise ServerTrouble for a body that says that nothing was stored, whatever the status (protocol, 12)."""
        raw = self.decode(answer, action=action)
        if not isinstance(raw, Mapping) or raw.get("success") is False:
            said = self.words(answer).rstrip(".")
            raise errors.ServerTrouble(
                worded(
                    "The control plane {server} did not store {action}{quoted}.",
                    server=self.server,
                    action=action,
                    quoted=f": {said}" if said else "",
                ),
                status=answer.status,
            )

    def decode(self, answer: HttpAnswer, *, action: str) -> Any:
        return wire.decode(answer.content, action=action, server=self.server)

    def read(self, model: type[_Model], raw: object, *, action: str) -> _Model:
        return wire.read(model, raw, action=action, server=self.server)

    def note_time(self, answer: HttpAnswer) -> None:
        """Once a minute, by the time that an answer says."""
        if self._clock() - self._said_at < _SKEW_EVERY_SECONDS:
            return
        try:
            said = _moment(answer.headers.get("date", ""))
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        if said.tzinfo is None:
            said = said.replace(tzinfo=UTC)
        self._said_at = self._clock()
        # The header has whole seconds, cut: on average it is half a second behind.
        self._said = (said + timedelta(seconds=0.5), self._steady())


def _moment(text: str) -> datetime:
    """Of a header.

    Raises:
        ValueError: and TypeError, IndexError and OverflowError: it is none.
    """
    if (found := _DATE.fullmatch(text)) is not None:
        day, month, year, hour, minute, second = found.groups()
        return datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    from email.utils import parsedate_to_datetime  # reads every form of old, and is a quarter of a megabyte

    return parsedate_to_datetime(text)
