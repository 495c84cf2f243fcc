"""What a person asks of the control plane: queues, agents, prompts, and the live stream of an execution."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from worker_core.control_plane import errors, models
from worker_core.control_plane.caller import Caller
from worker_core.network.sse import ServerSentEvent, SseParser, StreamTooLong
from worker_core.network.urls import segment

STREAM_SILENCE_SECONDS = 60.0


class OperatorCalls(Caller):
    """The calls of the command line and of the windows."""

    async def list_queues(self) -> list[models.Queue]:
        return await self._list(models.Queue, "/worker-queues", "the list of worker queues", key="worker_queues")

    async def queue(self, queue_id: str) -> models.Queue:
        return await self._get(models.Queue, f"/worker-queues/{segment(queue_id)}", f"worker queue {queue_id}")

    async def queue_workers(self, queue_id: str) -> list[models.QueueWorker]:
        """The workers that are active on a queue, this one among them (6)."""
        path = f"/worker-queues/{segment(queue_id)}/workers"
        return await self._list(models.QueueWorker, path, f"the workers of queue {queue_id}", key="workers")

    async def list_agents(self) -> list[models.Agent]:
        return await self._list(models.Agent, "/agents", "the list of agents", key="agents")

    async def execute_agent(self, agent_id: str, wish: models.Execute) -> models.Submitted:
        """Submit a prompt to an agent."""
        action = f"the prompt for agent {agent_id}"
        answer = await self._call("POST", f"/agents/{segment(agent_id)}/execute", action, body=wish, limit_seconds=30.0)
        return self._read(models.Submitted, self._decode(answer, action=action), action=action)

    async def send_message(self, execution_id: str, message: str, *, role: str = "user") -> None:
        """Continue a conversation.

        Raises:
            Rejected: the execution takes no message any more.
        """
        await self._command(execution_id, "message", body={"message": message, "role": role})

    async def mark_done(self, execution_id: str) -> None:
        await self._command(execution_id, "mark-done")

    async def pause(self, execution_id: str) -> None:
        """Pause after the present step.

        Raises:
            Rejected: the execution is not in a state that can be paused (a 200 with `success: false`).
        """
        await self._command(execution_id, "pause")

    async def resume(self, execution_id: str) -> None:
        """Go on after a pause.

        Raises:
            Rejected: the execution is not paused.
        """
        await self._command(execution_id, "resume")

    async def cancel(self, execution_id: str) -> None:
        """Cancel an execution.

        Raises:
            Rejected: it is neither running nor waiting (the server cancels no pending ones).
        """
        await self._command(execution_id, "cancel")

    async def stream(self, execution_id: str, *, after: str | None = None) -> AsyncIterator[ServerSentEvent]:
        """The live stream of an execution (8.4), until the server ends it or it breaks off.

        The server ends a stream after 270 s with a `reconnect` event: call again with the last event's `id` as `after`.

        Raises:
            Unreachable: it broke off, or was silent for 60 s.
        """
        action = f"the stream of execution {execution_id}"
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        parser = SseParser()
        async with self._common.stream(
            f"/api/v1/executions/{segment(execution_id)}/stream",
            action=action,
            headers=headers,
            query={},
            silence_seconds=STREAM_SILENCE_SECONDS,
        ) as (answer, chunks):
            self._expect(answer, action=action)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise errors.ServerTrouble(f"{self.server} answered {action} with something that is no event stream.")
            try:
                async for chunk in chunks:
                    for event in parser.feed(chunk):
                        yield event
            except StreamTooLong as error:
                raise errors.ServerTrouble(f"{self.server} sent {error}; {action} ends here.") from error

    async def follow(self, execution_id: str) -> AsyncIterator[ServerSentEvent]:
        """`stream`, taken up again where the server asks for it; ends when the server ends it otherwise."""
        after: str | None = None
        while True:
            again = False
            async with aclosing(self.stream(execution_id, after=after)) as events:  # type: ignore[type-var]
                async for event in events:
                    after = event.id or after
                    if event.event == "reconnect":
                        again = True
                        break
                    yield event
            if not again:
                return

    async def validate_key(self) -> dict[str, Any]:
        """The organization and user of the API key (1.4)."""
        action = "the check of the API key"
        answer = await self._call("GET", "/auth/validate", action)
        raw = self._decode(answer, action=action)
        return raw if isinstance(raw, dict) else {}
