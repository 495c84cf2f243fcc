"""Questions that wait, and a rig that asks for them where the user is called."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from tests.hooks.test_hooks import Rig
from tests.support.processes import eventually
from tests.support.topics import Topics
from worker_core.events import ApprovalRequested
from worker_core.policy.questions import Asked, id_of
from worker_core.snapshot import QuestionPart

QUEUE = "q-1"


def question(number: int = 1, **changes: Any) -> Asked:
    now = datetime.now(UTC)
    asked = Asked(
        id=id_of("e-1", f"c-{number}"), execution_id="e-1", call_id=f"c-{number}", workflow_id="w-1", queue_id=QUEUE,
        tool="shell", digest=f"d-{number}", parts=(QuestionPart(name="command", text="rm -r build"),), asked_at=now,
        expires_at=now + timedelta(minutes=10),
    )  # fmt: skip
    return msgspec.structs.replace(asked, **changes)


def asks(rig: Rig, asked: Asked) -> Asked:
    rig.book.ask(asked)
    event = ApprovalRequested(approval_id=asked.id, execution_id=asked.execution_id, tool_name=asked.tool)
    rig.bus.publish(event)
    return asked


@contextlib.asynccontextmanager
async def rigged(folder: Path, **settings: Any) -> AsyncIterator[Rig]:
    rig = Rig(folder, queue_ids=(QUEUE,), **settings)
    try:
        yield rig
    finally:
        await rig.hooks.ended()


def from_topic(server: Topics, **settings: Any) -> dict[str, Any]:
    return {
        "notify_webhook": server.url("calls"), "notify_format": "ntfy", "notify_answers": server.url("answers/json"),
        **settings,
    }  # fmt: skip


async def button(server: Topics) -> dict[str, Any]:
    """That of the last notice."""
    await eventually(lambda: server.posted and "actions" in server.posted[-1])
    [action] = server.posted[-1]["actions"]
    return dict(action)
