"""One server, one key: how a call is sent, what its answer means, and how far its clock is off."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from worker_core.control_plane import errors, wire
from worker_core.control_plane.connections import Answer, Connections
from worker_core.network.http import TOTAL_LIMIT_SECONDS
from worker_core.network.urls import check_private, segment
from worker_core.secrets import Secret

_SKEW_EVERY_SECONDS = 60.0

_Model = TypeVar("_Model", bound=msgspec.Struct)


class Caller:
    """One control plane with one API key. Belongs to one event loop; close it with `aclose()`.

    All methods raise a `ControlPlaneError`: `Unreachable`, `ServerTrouble` and `RateLimited` are worth another try.
    Registration, heartbeats and the disconnect have connections of their own, so that no other traffic starves them.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: Secret,
        ca_file: Path | None = None,
        allow_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is opened before the first call.

        Args:
            base_url: without `/api/v1`, with or without a final slash.
            api_key: sent as Bearer token (protocol, 1.1).
            ca_file: PEM file of additional certificate authorities.
            allow_http: the setting: the key may go to other machines unencrypted.
            clock: monotonic seconds.
            now: wall clock, seconds since the epoch; compared with the server's.

        Raises:
            ConfigurationError: the key would go out unencrypted.
        """
        check_private(base_url, whose="control plane", allow_http=allow_http)
        self.base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._clock = clock
        self._now = now
        self._skew: timedelta | None = None
        self._skew_at = float("-inf")
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
        """Server time minus local time at the last measurement, to about a second; None before the first answer."""
        return self._skew

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
            what = "holds characters that no key has" if key else "is missing"
            raise errors.CredentialsRefused(f"The API key {what}. Store it again with `kubiya-worker login`.")
        return {"Authorization": f"Bearer {key}"}

    async def _send(
        self,
        method: str,
        path: str,
        *,
        action: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        vital: bool = False,
        limit_seconds: float = TOTAL_LIMIT_SECONDS,
    ) -> Answer:
        content = body if isinstance(body, bytes) or body is None else wire.encode(body)
        connections = self._vital if vital else self._common
        answer = await connections.request(
            method, f"/api/v1{path}", action=action, content=content, query=query, limit_seconds=limit_seconds
        )
        self._measure_skew(answer)
        return answer

    async def _call(
        self,
        method: str,
        path: str,
        action: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        vital: bool = False,
        limit_seconds: float = TOTAL_LIMIT_SECONDS,
    ) -> Answer:
        answer = await self._send(
            method, path, action=action, body=body, query=query, vital=vital, limit_seconds=limit_seconds
        )
        self._expect(answer, action=action)
        return answer

    async def _get(self, model: type[_Model], path: str, action: str) -> _Model:
        answer = await self._call("GET", path, action)
        return self._read(model, self._decode(answer, action=action), action=action)

    async def _list(
        self, model: type[_Model], path: str, action: str, *, key: str, query: Mapping[str, str] | None = None
    ) -> list[_Model]:
        answer = await self._call("GET", path, action, query=query)
        return wire.read_list(model, self._decode(answer, action=action), action=action, server=self.server, key=key)

    async def _optional(self, path: str, *, action: str) -> Any:
        """JSON, or None for 404 and 500, which this server uses for "there is none" (protocol, 12 and 13)."""
        answer = await self._send("GET", path, action=action)
        if answer.status in {404, 500}:
            return None
        self._expect(answer, action=action)
        return self._decode(answer, action=action)

    async def _command(self, execution_id: str, verb: str, *, body: object = None) -> None:
        action = f"the request to {verb} execution {execution_id}" if verb != "message" else "the message"
        answer = await self._call("POST", f"/executions/{segment(execution_id)}/{verb}", action, body=body)
        raw = self._decode(answer, action=action) if answer.content else {}
        if isinstance(raw, Mapping) and raw.get("success") is False:
            said = errors.words(answer.content, hide=self._api_key.reveal())
            raise errors.Rejected(
                f"The control plane did not accept {action}: {said or 'it gave no reason'}.", status=answer.status
            )

    def _expect(self, answer: Answer, *, action: str) -> None:
        if 200 <= answer.status < 300:
            return
        raise errors.from_status(
            answer.status,
            action=action,
            server=self.server,
            said=errors.words(answer.content, hide=self._api_key.reveal()),
            retry_after_seconds=errors.retry_after(answer.headers),
            location=answer.headers.get("location", ""),
        )

    def _check_success(self, answer: Answer, *, action: str) -> None:
        raw = self._decode(answer, action=action)
        if not isinstance(raw, Mapping) or raw.get("success") is False:
            said = errors.words(answer.content, hide=self._api_key.reveal())
            raise errors.ServerTrouble(
                f"The control plane {self.server} did not store {action}{f': {said}' if said else ''}.",
                status=answer.status,
            )

    def _decode(self, answer: Answer, *, action: str) -> Any:
        return wire.decode(answer.content, action=action, server=self.server)

    def _read(self, model: type[_Model], raw: object, *, action: str) -> _Model:
        return wire.read(model, raw, action=action, server=self.server)

    def _measure_skew(self, answer: Answer) -> None:
        if self._clock() - self._skew_at < _SKEW_EVERY_SECONDS:
            return
        try:
            said = parsedate_to_datetime(answer.headers.get("date", ""))
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        if said.tzinfo is None:
            said = said.replace(tzinfo=UTC)
        self._skew_at = self._clock()
        # The header has whole seconds, cut: on average it is half a second behind.
        self._skew = said + timedelta(seconds=0.5) - datetime.fromtimestamp(self._now(), UTC)
