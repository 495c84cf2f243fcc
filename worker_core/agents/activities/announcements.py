"""That an execution has begun: its first events, and the record that says `running`. The first model call goes on
beside it, since it needs no answer of it.

What the record gets comes last, so its `workflow_started` says that everything was told. A worker that goes on with an
execution that it did not begin looks there: it waits for one beside it, and tells what one that died left untold.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Any

from worker_core.agents.execution_input import ExecutionInput
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.tasks import retrieved
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import FINAL_STATUSES, ExecutionPatch, ExecutionRecord
from worker_core.control_plane.outbox.lane import LAST_EVENTS_LIMIT
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.errors import KubiyaError
from worker_core.network.http import TOTAL_LIMIT_SECONDS

log = logging.getLogger(__name__)

TOLD = "workflow_started"
"""Key of the record that is written when everything was told."""


OTHERS_LIMIT = LAST_EVENTS_LIMIT + timedelta(seconds=TOTAL_LIMIT_SECONDS)
"""How long another worker of this machine, which began an execution, may take to tell it: then it has died."""

FIRST_LOOK_SECONDS = 0.05
LAST_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is told of an execution when it begins."""

    execution_id: str
    team: bool
    prompt: str
    timestamp: str
    author: Mapping[str, str | None]
    about: Mapping[str, Any]
    """For the record."""

    @classmethod
    def of(cls, execution: ExecutionInput, *, model: str) -> Opening:
        """As its input says."""
        given = execution.user_metadata
        return cls(
            execution_id=execution.execution_id,
            team=execution.kind == "teams",
            prompt=execution.prompt,
            timestamp=execution.initial_message_timestamp or _now(),
            author={key: given.get(key) for key in ("user_id", "user_name", "user_email", "user_avatar")},
            about={
                "has_mcp_servers": bool(execution.mcp_servers),
                "mcp_server_count": len(execution.mcp_servers),
                "hitl_enabled": False,
                "model": model,
                "mcp_tools_used": 0,
                **of_turn(execution.execution_id, 1),
            },
        )

    @classmethod
    def kept(cls, record: ExecutionRecord) -> Opening:
        """As the control plane knows it: whoever began it has died since."""
        return cls(
            execution_id=record.id,
            team=record.execution_type == "TEAM",
            prompt=record.prompt,
            timestamp=record.created_at or _now(),
            author={
                "user_id": record.user_id,
                "user_name": record.user_name,
                "user_email": record.user_email,
                "user_avatar": record.user_avatar,
            },
            about=of_turn(record.id, 1),
        )


def of_turn(execution_id: str, turn: int) -> dict[str, Any]:
    """What an execution's record says of the turn that is under way."""
    return {"conversation_turns": turn, "latest_run_id": f"{execution_id}_{turn}"}


@dataclass(slots=True)
class _Telling:
    patch: ExecutionPatch | None = None
    """What the record is to get; None: there is nothing left to tell."""

    task: asyncio.Task[None] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    later: set[asyncio.Task[None]] = field(default_factory=set)
    """What the record is told of later turns, right now."""


class Announcements:
    """Of all executions that this process works on."""

    def __init__(self, *, client: ControlPlaneClient, outbox: Outbox, others_limit: timedelta = OTHERS_LIMIT) -> None:
        self._client = client
        self._others_limit = others_limit.total_seconds()
        self._outbox = outbox
        self._known: dict[str, _Telling] = {}

    def begin(self, opening: Opening, record: ExecutionRecord, *, worker_id: str, repeated: bool = False) -> None:
        """Publish the first events, and change the record behind them. Nobody waits.

        Args:
            opening: what to tell.
            record: as it was read right before: what it holds besides stays.
            worker_id: whose execution it is.
            repeated: an earlier try began with it, here or elsewhere: what that one has told is not told again, and
                one that has ended does not run.
        """
        if repeated and (record.status in FINAL_STATUSES or record.execution_metadata.get(TOLD)):
            self.is_told(opening.execution_id)
            return
        if not (repeated and self._outbox.inherited(opening.execution_id)):
            self._publish(opening)
        self._record(opening, record, worker_id=worker_id)

    def _publish(self, opening: Opening) -> None:
        lane = self._outbox.lane(opening.execution_id)
        lane.publish("metadata", {"execution_type": "TEAM" if opening.team else "AGENT"})
        lane.publish(
            "message",
            {
                "role": "user",
                "content": opening.prompt,
                "timestamp": opening.timestamp,
                "message_id": f"{opening.execution_id}_user_1",
                **opening.author,
            },
        )

    def _record(self, opening: Opening, record: ExecutionRecord, *, worker_id: str) -> None:
        patch = ExecutionPatch(
            status="running",
            started_at=_now(),
            execution_metadata={
                **record.execution_metadata,
                "worker_info": {
                    "worker_id": worker_id,
                    "hostname": socket.gethostname(),
                    "platform": platform.platform(),
                    "python_version": platform.python_version(),
                },
                TOLD: True,
                **opening.about,
            },
        )
        telling = self._known[opening.execution_id] = _Telling(patch=patch)
        self._go_on(opening.execution_id, telling)

    def is_told(self, execution_id: str) -> None:
        """It was announced before, here or elsewhere."""
        self._known.setdefault(execution_id, _Telling())

    async def goes_on(self, execution_id: str, tell: Coroutine[None, None, None]) -> None:
        """Tell the record of a later turn, whole: whoever cancels it meanwhile may be about to say the last word, which
        waits until this has come (`settled`).

        Raises:
            Exception: what `tell` raises.
        """
        self.is_told(execution_id)
        later = self._known[execution_id].later
        task = asyncio.create_task(tell, name=f"announce a turn of {execution_id}")
        later.add(task)
        task.add_done_callback(later.discard)
        task.add_done_callback(retrieved)  # where nobody waits any more
        await asyncio.shield(task)

    async def make_sure(self, execution_id: str, *, worker_id: str) -> None:
        """Before anything else leaves: what the beginner left untold is told, and what failed is tried again.

        Raises:
            ControlPlaneError: an execution that this process does not know could not be asked for.
        """
        telling = self._known.get(execution_id)
        if telling is None:
            record = await self._told_elsewhere(execution_id)
            if record.execution_metadata.get(TOLD):
                self.is_told(execution_id)
                return
            opening = Opening.kept(record)
            if not self._outbox.inherited(execution_id):  # else they were delivered, or lie on the disk
                self._publish(opening)
            self._record(opening, record, worker_id=worker_id)
        elif telling.patch is not None and (telling.task is None or telling.task.done()):
            self._go_on(execution_id, telling)

    async def made(self, execution_id: str, *, worker_id: str) -> None:
        """Return when everything was told.

        Raises:
            ControlPlaneError: the record could not be read or changed.
        """
        await self.make_sure(execution_id, worker_id=worker_id)
        telling = self._known[execution_id]
        await _ended(telling)
        await self._tell(execution_id, telling)

    async def settled(self, execution_id: str) -> None:
        """Return when nothing is on its way any more, told or not: nothing may follow an execution's last word.

        Raises:
            ControlPlaneError: an execution that this process does not know could not be asked for.
        """
        if (telling := self._known.get(execution_id)) is not None:
            await _ended(telling)
        else:
            await self._told_elsewhere(execution_id)

    async def _told_elsewhere(self, execution_id: str) -> ExecutionRecord:
        """The record of an execution that another process began, which may be telling it just now."""
        waited, wait = 0.0, FIRST_LOOK_SECONDS
        while True:
            record = await self._client.get_execution(execution_id)
            if record.execution_metadata.get(TOLD) or waited >= self._others_limit:
                return record
            await asyncio.sleep(wait)
            waited, wait = waited + wait, min(2 * wait, LAST_LOOK_SECONDS)

    def forget(self, execution_id: str) -> None:
        """It is over, or goes on elsewhere."""
        if (telling := self._known.pop(execution_id, None)) is not None:
            for task in _under_way(telling):
                task.cancel()

    async def close(self) -> None:
        """Tell nothing more."""
        for execution_id, telling in tuple(self._known.items()):
            self.forget(execution_id)
            await _ended(telling)

    def _go_on(self, execution_id: str, telling: _Telling) -> None:
        telling.task = asyncio.create_task(self._tell_or_say(execution_id, telling), name=f"announce {execution_id}")

    async def _tell_or_say(self, execution_id: str, telling: _Telling) -> None:
        try:
            await self._tell(execution_id, telling)
        except KubiyaError as error:
            log.warning("Execution %s is not shown as running yet: %s", execution_id, error.sentence)

    async def _tell(self, execution_id: str, telling: _Telling) -> None:
        async with telling.lock:
            if telling.patch is None:
                return
            await self._outbox.lane(execution_id).flush(LAST_EVENTS_LIMIT)
            await self._client.patch_execution(execution_id, telling.patch)
            telling.patch = None


def _under_way(telling: _Telling) -> set[asyncio.Task[None]]:
    return telling.later | ({telling.task} if telling.task is not None else set())


async def _ended(telling: _Telling) -> None:
    if under_way := _under_way(telling):
        await asyncio.wait(under_way)


def _now() -> str:
    return datetime.now(UTC).isoformat()
