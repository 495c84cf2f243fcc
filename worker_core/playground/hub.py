"""Wakes the viewers of an execution the moment something about it was stored; nobody polls.

The events table is every viewer's queue: a viewer is a cursor in it, so nothing is dropped for a slow one and a
reconnecting one misses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from worker_core.basics import typed_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.playground.store import Row, Store, now_text

if TYPE_CHECKING:
    from temporalio.client import Client

log = logging.getLogger(__name__)

WATCH_RETRY = timedelta(seconds=2)


@dataclass(slots=True)
class ExecutionRoom:
    """The viewers of one execution, and how its workflow closed, if it did."""

    wakers: set[asyncio.Event] = field(default_factory=set)
    closed: str | None = None
    """`completed`, `failed`, `cancelled`, `terminated` ... once the workflow is closed."""
    watcher: asyncio.Task[None] | None = None


class Hub:
    """Stores events in order of arrival and wakes those who look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rooms: dict[str, ExecutionRoom] = {}
        self.stopping = False

    def publish(
        self,
        execution_id: str,
        event_type: str,
        data: Row,
        *,
        timestamp: str | None = None,
        origin: str = "server",
        flat: bool | None = None,
    ) -> None:
        """Store one event and wake the viewers.

        Args:
            execution_id: need not exist.
            event_type: such as `message_chunk`.
            data: its fields.
            timestamp: of the event; now by default.
            origin: `worker` or `server`. A worker's event whose `data` holds an integer `sequence` is stored once
                per execution and sequence.
            flat: deliver the fields of `data` unwrapped; by default so for `message` alone.
        """
        sequence = data.get("sequence") if origin == "worker" else None
        at = now_text()
        self._store.insert(
            "events",
            {
                "execution_id": execution_id,
                "event_type": event_type,
                "data": data,
                "timestamp": timestamp or at,
                "received_at": at,
                "origin": origin,
                "flat": event_type == "message" if flat is None else flat,
                "sequence": sequence if type(sequence) is int and abs(sequence) < 2**63 else None,
            },
            on_conflict="IGNORE",
        )
        self.wake(execution_id)

    def publish_status(self, execution_id: str, status: str) -> None:
        """A flat status event, as viewers expect it."""
        self.publish(execution_id, "status", {"status": status, "execution_id": execution_id}, flat=True)

    def wake(self, execution_id: str) -> None:
        if room := self._rooms.get(execution_id):
            for waker in room.wakers:
                waker.set()

    @contextmanager
    def view(
        self, execution_id: str, *, temporal: Client, workflow_id: str
    ) -> Iterator[tuple[ExecutionRoom, asyncio.Event]]:
        """Join the room of an execution. While anyone is in it, one task waits for the workflow to close."""
        room = self._rooms.setdefault(execution_id, ExecutionRoom())
        waker = asyncio.Event()
        room.wakers.add(waker)
        if room.watcher is None:
            room.watcher = asyncio.create_task(self._watch(room, execution_id, temporal, workflow_id))
        try:
            yield room, waker
        finally:
            room.wakers.discard(waker)
            if not room.wakers:
                room.watcher.cancel()
                self._rooms.pop(execution_id, None)

    def stop(self) -> None:
        """Let every viewer go."""
        self.stopping = True
        for execution_id in tuple(self._rooms):
            self.wake(execution_id)

    async def _watch(self, room: ExecutionRoom, execution_id: str, temporal: Client, workflow_id: str) -> None:
        while room.closed is None:
            room.closed = await closing_of(temporal, workflow_id)
            if room.closed is None:
                await asyncio.sleep(WATCH_RETRY.total_seconds())
        self.wake(execution_id)


async def closing_of(temporal: Client, workflow_id: str) -> str | None:
    """Wait for a workflow to close (a long poll) and say how; None where that cannot be learnt at the moment."""
    from temporalio.client import WorkflowFailureError
    from temporalio.exceptions import CancelledError, TerminatedError
    from temporalio.service import RPCError

    try:
        await temporal.get_workflow_handle(workflow_id).result()
    except WorkflowFailureError as failure:
        if isinstance(failure.cause, CancelledError):
            return "cancelled"
        return "terminated" if isinstance(failure.cause, TerminatedError) else "failed"
    except RPCError as error:
        log.debug("The workflow %s cannot be watched: %s", workflow_id, error)
        return None
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - a result that does not decode is a result all the same
        log.debug("The result of %s is odd: %s", workflow_id, error)
    return "completed"


async def state_of(temporal: Client, workflow_id: str, *, limit: timedelta) -> dict[str, Any] | None:
    """The answer to `get_state`, decoded as strictly as the real server does; None where there is none.

    It costs the worker a workflow task, so it is asked when a viewer joins and when the database does not know.
    """
    import msgspec
    from temporalio.service import RPCError

    from worker_core.playground.wire import ExecutionState

    try:
        answer = await temporal.get_workflow_handle(workflow_id).query("get_state", rpc_timeout=limit)
        typed_json.convert(answer, ExecutionState)
    except msgspec.ValidationError as error:
        log.warning("The worker's answer to get_state does not decode: %s", error)
        return None
    except RPCError as error:
        log.debug("No state of %s: %s", workflow_id, error)
        return None
    except Exception as error:  # noqa: BLE001 - a failed query is a missing answer
        log.debug("No state of %s: %s", workflow_id, error)
        return None
    return answer if isinstance(answer, dict) else None
