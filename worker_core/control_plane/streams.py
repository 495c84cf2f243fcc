"""The live stream of an execution."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from worker_core.basics.sentences import worded
from worker_core.control_plane import errors
from worker_core.control_plane.caller import Caller
from worker_core.network.sse import ServerSentEvent, SseParser, StreamTooLong
from worker_core.network.urls import segment

STREAM_SILENCE_SECONDS = 60.0


async def stream(caller: Caller, execution_id: str, *, after: str | None = None) -> AsyncIterator[ServerSentEvent]:
    """See `ControlPlaneClient.stream`."""
    action = worded("the stream of execution {id}", id=execution_id)
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    parser = SseParser()
    async with caller.stream(
        f"/executions/{segment(execution_id)}/stream", action, headers=headers, silence_seconds=STREAM_SILENCE_SECONDS
    ) as (answer, chunks):
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise errors.ServerTrouble(
                worded(
                    "{server} answered {action} with something that is no event stream.",
                    server=caller.server,
                    action=action,
                )
            )
        try:
            async for chunk in chunks:
                for event in parser.feed(chunk):
                    yield event
        except StreamTooLong as error:
            raise errors.ServerTrouble(
                worded(
                    "{server} sent {what}; {action} ends here.", server=caller.server, what=str(error), action=action
                )
            ) from error


async def follow(caller: Caller, execution_id: str) -> AsyncIterator[ServerSentEvent]:
    """See `ControlPlaneClient.follow`."""
    after: str | None = None
    while True:
        again = False
        async with aclosing(stream(caller, execution_id, after=after)) as events:  # type: ignore[type-var]
            async for event in events:
                after = event.id or after
                if event.event == "reconnect":
                    again = True
                    break
                yield event
        if not again:
            return
