"""A model gateway on a real socket that answers by a test's own rule, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response. `cut`: the connection ends before its body does."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


Rule = Callable[[dict[str, Any]], Reply]


@dataclass(slots=True)
class ModelServer:
    """`asked` holds the bodies of all requests; the rule hears each before it answers."""

    url: str
    rule: Rule
    asked: list[dict[str, Any]] = field(default_factory=list)
    models: list[str] | None = None
    """What `GET /models` lists; None: it is not there."""

    def listing(self) -> Reply:
        if self.models is None:
            return Reply(status=404)
        return Reply(body=json.dumps({"data": [{"id": one} for one in self.models]}).encode())

    @property
    def turns(self) -> list[list[dict[str, Any]]]:
        """The messages of each request."""
        return [body["messages"] for body in self.asked]


@contextlib.asynccontextmanager
async def model_server(rule: Rule | Iterable[Reply]) -> AsyncIterator[ModelServer]:
    """`rule`: what answers a request; or replies, one after the other, the last again and again."""
    replies = [] if callable(rule) else list(rule)

    def in_turn(_: dict[str, Any]) -> Reply:
        return replies.pop(0) if len(replies) > 1 else replies[0]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            lengths = [int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length")]
            body = json.loads(await reader.readexactly(lengths[0])) if lengths else {}
            if lengths:
                server.asked.append(body)
            reply = server.rule(body) if lengths else server.listing()
            headers = {"content-type": "application/json", "connection": "close"} | reply.headers
            headers["content-length"] = str(len(reply.body) + (1000 if reply.cut else 0))
            lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
            writer.write("\r\n".join(lines).encode() + reply.body)
            await writer.drain()
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 24)
    port = listener.sockets[0].getsockname()[1]
    server = ModelServer(f"http://127.0.0.1:{port}/v1", rule if callable(rule) else in_turn)
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


def stream(*chunks: Any, done: bool = True, cut: bool = False) -> Reply:
    """An answer in events."""
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    return Reply(
        body=body + (b"data: [DONE]\n\n" if done and not cut else b""),
        headers={"content-type": "text/event-stream"},
        cut=cut,
    )


def delta(finish: str | None = None, *, usage: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}], "usage": usage}


def text(said: str, finish: str = "stop", **more: Any) -> Reply:
    return stream(delta(finish, content=said, **more))


def calling(name: str, arguments: str, *, call_id: str = "c1", finish: str = "tool_calls", **more: Any) -> Reply:
    call = {"index": 0, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return stream(delta(tool_calls=[call], **more), delta(finish))


def refusal(status: int, message: str = "no luck", *, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    body = json.dumps({"error": {"message": message, **more}}).encode()
    return Reply(status=status, body=body, headers=headers or {})
