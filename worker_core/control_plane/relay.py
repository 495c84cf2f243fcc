"""Calls of a program without a key, made by a worker of the same user that has one.

A window that shows a worker service asks by way of it: the key of a service stays with the service. What a window has
no need of is not passed on, and no answer holds the key.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Unpack

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.control_plane import errors
from worker_core.control_plane.caller import Caller, How, content_of
from worker_core.control_plane.connections import HttpAnswer
from worker_core.errors import KubiyaError
from worker_core.network.http import TOTAL_LIMIT_SECONDS
from worker_core.secrets import Secret

LIMIT_SECONDS: Final = 60.0
"""No relayed call may ask for more."""

_ONE: Final = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
"""An id: nothing that a server could take for more of the path."""

_PASSED_ON: Final = tuple(
    (method, re.compile(path))
    for method, path in (
        ("GET", "/agents"),
        ("GET", "/worker-queues"),
        ("GET", f"/worker-queues/{_ONE}/(workers|executions)"),
        ("GET", f"/executions/{_ONE}(/session)?"),
        ("POST", f"/executions/{_ONE}/(cancel|pause|resume|message)"),
        ("POST", f"/agents/{_ONE}/execute"),
    )
)
_HEADERS: Final = ("date", "location", "retry-after")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayedCall:
    method: str
    path: str
    """Below `/api/v1`, beginning with a slash."""

    query: Mapping[str, str] | None = None
    body: str | None = None
    """JSON."""

    limit_seconds: float = TOTAL_LIMIT_SECONDS


Carry = Callable[[RelayedCall], Awaitable[HttpAnswer]]
"""Takes a call to a worker, and brings the answer; raises KubiyaError."""


async def pass_on(call: RelayedCall, *, caller: Caller) -> HttpAnswer:
    """Make it, with the key.

    Raises:
        Rejected: it is none of those that a window makes.
        ControlPlaneError: no answer came.
    """
    if not any(call.method == method and path.fullmatch(call.path) for method, path in _PASSED_ON):
        raise errors.Rejected(worded("This worker does not make this call for others."))
    answer = await caller.send(
        call.method,
        call.path,
        worded("what a window asked"),
        body=None if call.body is None else call.body.encode(),
        query=call.query,
        limit_seconds=min(call.limit_seconds, LIMIT_SECONDS),
    )
    return HttpAnswer(
        status=answer.status,
        headers={name: answer.headers[name] for name in _HEADERS if name in answer.headers},
        content=caller.hide(answer.content),
    )


class RelayCaller(Caller):
    """Its calls go by way of a worker."""

    def __init__(self, *, base_url: str, carry: Carry) -> None:
        """`base_url`: the worker's control plane, for sentences."""
        super().__init__(base_url=base_url, api_key=Secret(""), allow_http=True)
        self._carry = carry

    async def send(self, method: str, path: str, action: str, **how: Unpack[How]) -> HttpAnswer:
        content = content_of(how.get("body"))
        call = RelayedCall(
            method=method,
            path=path,
            query=how.get("query"),
            body=None if content is None else content.decode(),
            limit_seconds=how.get("limit_seconds", TOTAL_LIMIT_SECONDS),
        )
        try:
            answer = await self._carry(call)
        except KubiyaError as error:
            said = worded("Your worker did not get an answer for {action}. {why}", action=action, why=error.fact)
            unreachable = errors.Unreachable(said)
            raise (unreachable.with_repair(error.repair) if error.repair else unreachable) from error
        self.note_time(answer)
        return answer
