"""The conversation as the worker stores it (facts: protocol, 8.5)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground.context import Context, Problem
from worker_core.playground.store import Row, Store
from worker_core.playground.web import body, reply

CACHE_SECONDS: Final = 3600
"""For this long after a POST the real server answers from a cache whose entry has no `metadata`."""

_SAME_TEXT_SECONDS: Final = 5
_SHOWN: Final = 200


async def post(context: Context, request: Request) -> Response:
    """Replace the whole session. Always 201; the body says whether it worked."""
    wish: dict[str, Any] = await body(request, dict[str, Any])
    execution_id = request.path_params["execution_id"].lower()
    sent = wish.get("messages")
    messages = [dict(item) for item in sent if isinstance(item, dict)] if isinstance(sent, list) else []
    for message in messages:
        message.setdefault("message_id", f"{execution_id}_{uuid4().hex[:12]}")
    session_id = wish.get("session_id") or execution_id
    metadata = wish.get("metadata")
    try:
        context.store.insert(
            "sessions",
            {
                "execution_id": execution_id,
                "session_id": str(session_id),
                "user_id": wish.get("user_id"),
                "messages": messages,
                "metadata": metadata if isinstance(metadata, dict) else {},
                "stored_at": time.time(),
            },
            on_conflict="REPLACE",
        )
    except Exception as error:  # noqa: BLE001 - the answer is 201 whatever happens
        return reply({"success": False, "error": str(error)}, 201)
    count = len(sent) if isinstance(sent, list) else 0
    answer = {"success": True, "execution_id": execution_id, "session_id": session_id, "persisted_messages": count}
    return reply(answer, 201)


async def read(context: Context, request: Request) -> Response:
    row = context.store.get("sessions", execution_id=request.path_params["execution_id"].lower())
    if row is None:
        raise Problem(404, "Session not found")
    messages = without_duplicates(row["messages"])
    answer: Row = {
        "session_id": row["session_id"],
        "execution_id": row["execution_id"],
        "messages": messages,
        "message_count": len(messages),
    }
    if time.time() - row["stored_at"] > CACHE_SECONDS:
        answer["metadata"] = row["metadata"]
    return reply(answer)


def without_duplicates(messages: list[Row]) -> list[Row]:
    """Sorted by time, each id once; an assistant text that begins like an earlier one within 5 s is dropped."""
    kept: list[Row] = []
    ids: set[str] = set()
    spoken: dict[str, datetime] = {}
    for message in sorted(messages, key=lambda item: _moment(item)):
        identity = str(message.get("message_id"))
        if identity in ids:
            continue
        content = message.get("content")
        if message.get("role") == "assistant" and isinstance(content, str) and content.strip():
            head, at = content[:200].lower(), _moment(message)
            before = spoken.get(head)
            if before is not None and abs((at - before).total_seconds()) <= _SAME_TEXT_SECONDS:
                continue
            spoken[head] = at
        ids.add(identity)
        kept.append(message)
    return kept


def visible_messages(store: Store, execution_id: str) -> list[Row]:
    """What a viewer gets as history: the last 200 messages that hold anything."""
    row = store.get("sessions", execution_id=execution_id)
    if row is None:
        return []
    shown = [message for message in without_duplicates(row["messages"]) if _holds_something(message)]
    return shown[-_SHOWN:]


def _holds_something(message: Row) -> bool:
    return bool(message.get("content")) or any(
        key.startswith(("tool_", "workflow_")) and value for key, value in message.items()
    )


def _moment(message: Row) -> datetime:
    try:
        at = datetime.fromisoformat(str(message.get("timestamp")))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
