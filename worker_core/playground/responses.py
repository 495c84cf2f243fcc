"""Answers that flow: server-sent events of executions and of the scripted model."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.responses import StreamingResponse
from starlette.types import Send


class EventStream(StreamingResponse):
    """`text/event-stream` from an async generator, which is closed at once when the client leaves.

    With `cut` the answer ends without its end: the server then drops the connection, as a failing one would.
    """

    def __init__(self, lines: AsyncGenerator[bytes, None], *, cut: bool = False) -> None:
        super().__init__(
            lines,
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )
        self._lines = lines
        self._cut = cut

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for line in self._lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
        finally:
            await self._lines.aclose()
        if not self._cut:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
