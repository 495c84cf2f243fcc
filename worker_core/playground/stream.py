"""Server-sent events of one execution (facts: protocol, 8.4), pushed.

Every stored event has a number, sent as the SSE `id`; `Last-Event-ID` (or `?after=`) continues behind it. A viewer
that comes without one gets the history first: the stored events, or the session where no events are stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground.context import Context
from worker_core.playground.executions import FINAL, execution_or_404, workflow_id_of
from worker_core.playground.hub import ExecutionRoom, state_of
from worker_core.playground.responses import EventStream
from worker_core.playground.sessions import visible_messages
from worker_core.playground.store import Row, now_text
from worker_core.playground.web import integer

LIFE: Final = timedelta(seconds=270)
KEEP_ALIVE: Final = timedelta(seconds=15)
CLOSING_GRACE: Final = timedelta(seconds=10)
"""How long a stream waits for the workflow to close once the status is final."""
QUERY_LIMIT: Final = timedelta(seconds=2)
_PAGE: Final = 500


async def stream(context: Context, request: Request) -> Response:
    execution = execution_or_404(context, request.path_params["execution_id"])
    after = integer(request, "after", -1, lowest=-1, highest=2**62)
    last = request.headers.get("last-event-id", "")
    if last.isascii() and last.isdigit() and len(last) < 19:
        after = int(last)
    return EventStream(_lines(context, execution, after))


def line(event: str, data: Any, *, number: int | None = None) -> bytes:
    """One event on the wire."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


def stored_line(row: Row) -> bytes:
    """A stored event: flat ones as they are, others wrapped."""
    data = row["data"] if row["flat"] else {"data": row["data"], "timestamp": row["timestamp"]}
    return line(row["event_type"], data, number=row["seq"])


async def _lines(context: Context, execution: Row, after: int) -> AsyncGenerator[bytes, None]:
    execution_id, cursor = execution["id"], max(after, 0)
    with context.hub.view(execution_id, temporal=context.temporal, workflow_id=workflow_id_of(execution)) as (
        room,
        waker,
    ):
        started = time.monotonic()
        connected = {"execution_id": execution_id, "status": execution["status"], "timestamp": now_text()}
        yield line("connected", connected)
        if after < 0 and not context.store.find("events", execution_id=execution_id, limit=1):
            for message in visible_messages(context.store, execution_id):
                yield line("message", message)
        async for number, chunk in _backlog(context, execution_id, cursor):
            cursor = number
            yield chunk
        yield line("history_complete", {"execution_id": execution_id, "status": execution["status"]})
        query = asyncio.create_task(_compare_state(context, execution))
        try:
            quiet_since = time.monotonic()
            while not context.hub.stopping:
                waker.clear()
                sent = False
                async for number, chunk in _backlog(context, execution_id, cursor):
                    cursor, sent = number, True
                    yield chunk
                if sent:
                    quiet_since = time.monotonic()
                    continue
                final, wait = _is_over(context, execution_id, room, quiet_since)
                if final:
                    yield await _last_line(context, execution_id, room, cursor)
                    return
                left = LIFE.total_seconds() - (time.monotonic() - started)
                if left <= 0:
                    break
                try:
                    async with asyncio.timeout(min(wait, left, KEEP_ALIVE.total_seconds())):
                        await waker.wait()
                except TimeoutError:
                    yield b": still here\n\n"
            yield line("reconnect", {"execution_id": execution_id, "last_event_id": cursor}, number=cursor)
        finally:
            query.cancel()


async def _backlog(context: Context, execution_id: str, cursor: int) -> AsyncGenerator[tuple[int, bytes], None]:
    while rows := context.store.find("events", order="seq", after=cursor, limit=_PAGE, execution_id=execution_id):
        for row in rows:
            cursor = row["seq"]
            yield cursor, stored_line(row)
        if len(rows) < _PAGE:
            return


def _is_over(context: Context, execution_id: str, room: ExecutionRoom, quiet_since: float) -> tuple[bool, float]:
    """Whether the stream ends now, and else how long to wait before asking again, in seconds."""
    if room.closed is not None:
        return True, 0
    row = context.store.get("executions", id=execution_id)
    if row is None:
        return True, 0
    if row["status"] not in FINAL:
        return False, KEEP_ALIVE.total_seconds()
    left = CLOSING_GRACE.total_seconds() - (time.monotonic() - quiet_since)
    return left <= 0, max(left, 0.01)


async def _last_line(context: Context, execution_id: str, room: ExecutionRoom, cursor: int) -> bytes:
    row = context.store.get("executions", id=execution_id) or {"status": "failed"}
    status, response, usage = row["status"], row.get("response"), row.get("usage") or {}
    metadata, error = row.get("execution_metadata") or {}, row.get("error_message")
    if status not in FINAL and room.closed is not None:
        # The worker never wrote a final status; the closed workflow may still know (facts: protocol, 7.8).
        state = await state_of(context.temporal, workflow_id_of(row), limit=QUERY_LIMIT) or {}
        status = state.get("status") if state.get("status") in FINAL else _STATUS_OF_CLOSING[room.closed]
        response = response or state.get("current_response")
        usage, metadata = usage or state.get("usage", {}), metadata or state.get("metadata", {})
        error = error or state.get("error_message")
    data = {
        "execution_id": execution_id, "status": status, "response": response, "usage": usage, "metadata": metadata,
    }  # fmt: skip
    if status == "failed":
        reason = error or "The execution failed and gave no reason."
        return line("error", {**data, "error": reason, "error_message": reason}, number=cursor)
    return line("done", data, number=cursor)


_STATUS_OF_CLOSING: Final = {
    "completed": "completed", "failed": "failed", "cancelled": "cancelled", "terminated": "cancelled",
}  # fmt: skip


async def _compare_state(context: Context, execution: Row) -> None:
    """Ask a running workflow once how it stands: its word counts, beside the database (facts: protocol, 14.5)."""
    if execution["status"] not in ("running", "waiting_for_input", "paused"):
        return
    before = context.store.get("executions", id=execution["id"])
    state = await state_of(context.temporal, workflow_id_of(execution), limit=QUERY_LIMIT)
    after = context.store.get("executions", id=execution["id"])
    if state is None or before is None or after is None or before["updated_at"] != after["updated_at"]:
        return
    if state["status"] != after["status"]:
        context.hub.publish_status(execution["id"], state["status"])
