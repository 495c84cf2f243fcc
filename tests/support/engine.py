"""An engine on a playground, and what a test asks of both."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.playground import Stage
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.engine.engine import Engine
from worker_core.engine.serving import Timing
from worker_core.events import Event
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.paths import Paths
from worker_core.secrets import Secret
from worker_core.settings import Settings
from worker_core.snapshot import EngineSnapshot, EngineState

LIMIT_SECONDS = 60.0
WITHOUT_SANDBOX = {"sandbox": "none", "require_sandbox": "never"}
_numbers = itertools.count()


def home(folder: Path) -> Paths:
    return Paths(config=folder / "config", state=folder / "state", runtime=folder / "run")


def make_engine(
    *,
    url: str,
    key: str,
    queue_ids: Sequence[str],
    folder: Path,
    timing: Timing | None = None,
    redactor: Redactor | None = None,
    **settings: Any,
) -> Engine:
    settings.setdefault("approvals", "allow")  # only tests about approvals wait for somebody
    return Engine(
        # Without a sandbox unless a test asks for it: many look from outside at what a tool does.
        settings=Settings(control_plane_url=url, queue_ids=tuple(queue_ids), **{**WITHOUT_SANDBOX, **settings}),
        api_key=Secret(key),
        paths=home(folder),
        redactor=redactor or Redactor(),
        log_ring=LogRing(),
        timing=timing,
    )


@dataclass(slots=True)
class Rig:
    """One engine with its playground. `events` is everything the engine published."""

    stage: Stage
    engine: Engine
    client: ControlPlaneClient
    events: list[Event] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    def published(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def snapshot(self) -> EngineSnapshot:
        return self.engine.snapshot

    async def until(self, condition: Callable[[], object], *, limit: float = LIMIT_SECONDS) -> None:
        """Until `condition` holds; looked at after each event of the engine."""
        async with asyncio.timeout(limit):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def execute(self, prompt: str, *, agent_id: str = "", queue_id: str = "") -> str:
        wish = Execute(prompt=prompt, worker_queue_id=queue_id or self.snapshot.queues[0].queue_id)
        return (await self.client.execute_agent(agent_id or self.stage.info.agent_id, wish)).execution_id

    async def reach(self, execution_id: str, *statuses: str, limit: float = LIMIT_SECONDS) -> Any:
        """Until the execution has one of the statuses; its record."""
        async with asyncio.timeout(limit):
            while (record := await self.client.get_execution(execution_id)).status not in statuses:
                await asyncio.sleep(0.02)
            return record

    async def cancel(self, execution_id: str) -> None:
        """Once the control plane knows that it runs."""
        await self.known_to_run(execution_id)
        await self.client.cancel(execution_id)

    async def known_to_run(self, execution_id: str) -> None:
        """Until the control plane takes it for more than pending, which is told beside its first model call."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while (await self.client.get_execution(execution_id)).status == "pending":
                await asyncio.sleep(0.02)

    async def turn(self, execution_id: str, message: str) -> Any:
        """Continue a conversation and wait until its turn is over."""
        before = await self.answers(execution_id)
        await self.client.send_message(execution_id, message)
        async with asyncio.timeout(LIMIT_SECONDS):
            while await self.answers(execution_id) <= before:
                await asyncio.sleep(0.02)
        return await self.reach(execution_id, "waiting_for_input", "completed", "failed")

    async def answers(self, execution_id: str) -> int:
        session = await self.client.load_session(execution_id)
        return sum(1 for message in (session or {}).get("messages", []) if message["role"] == "user")

    async def sent(self, execution_id: str, kind: str | None = None) -> list[dict[str, Any]]:
        """Events that the worker published of an execution, in order of arrival."""
        async with self.stage.client() as api:
            rows = (await api.get(f"/executions/{execution_id}/events?origin=worker")).json()
        return [row for row in rows if kind is None or row["event_type"] == kind]

    async def said(self, execution_id: str) -> str:
        """All streamed text."""
        return "".join(event["data"]["content"] for event in await self.sent(execution_id, "message_chunk"))

    async def workers(self, queue_id: str) -> list[dict[str, Any]]:
        async with self.stage.client() as api:
            listed: list[dict[str, Any]] = (await api.get(f"/worker-queues/{queue_id}/workers")).json()
            return listed

    async def stopped(self, *, limit: float = LIMIT_SECONDS) -> EngineSnapshot:
        async with asyncio.timeout(limit):
            return await self.engine.wait_stopped()


@contextlib.asynccontextmanager
async def running_engine(
    stage: Stage,
    folder: Path,
    *,
    queue_ids: Sequence[str] = (),
    url: str = "",
    key: str = "",
    ready: bool = True,
    **options: Any,
) -> AsyncIterator[Rig]:
    """Start an engine, on a queue of its own by default; stop it at once afterwards, unless the test did."""
    from worker_core.snapshot import StopMode

    ids = list(queue_ids) or [await new_queue(stage)]
    engine = make_engine(
        url=url or stage.info.control_plane_url, key=key or stage.info.api_key, queue_ids=ids, folder=folder, **options
    )
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    rig = Rig(stage, engine, client)
    engine.events.listen(rig.heard)
    await engine.start()
    try:
        if ready:
            polling_or_over = {EngineState.FAILED, EngineState.STOPPED}
            await rig.until(
                lambda: all(queue.polling for queue in rig.snapshot.queues) or rig.snapshot.state in polling_or_over
            )
            assert rig.snapshot.state is EngineState.RUNNING, rig.snapshot.reason
        yield rig
    finally:
        await engine.stop(mode=StopMode.CANCEL)
        await rig.stopped()
        await client.aclose()


async def new_queue(stage: Stage, **fields: Any) -> str:
    async with stage.client() as api:
        answer = await api.post(
            f"/environments/{stage.info.environment_id}/worker-queues",
            json={"name": f"queue-{next(_numbers)}-{id(fields) % 10_000}", **fields},
        )
        assert answer.status_code == 201, answer.text
        queue_id: str = answer.json()["id"]
        return queue_id


async def new_agent(stage: Stage, *, skills: Sequence[str] = ("shell", "file_system", "python"), **fields: Any) -> str:
    """An agent with built-in skills."""
    async with stage.client() as api:
        ids = []
        for kind in skills:
            answer = await api.post("/skills", json={"name": kind, "type": kind, "configuration": {}})
            assert answer.status_code == 201, answer.text
            ids.append(answer.json()["id"])
        answer = await api.post("/agents", json={"name": f"agent-{next(_numbers)}", "skill_ids": ids, **fields})
        assert answer.status_code == 201, answer.text
        agent_id: str = answer.json()["id"]
        return agent_id
