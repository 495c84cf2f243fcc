"""A control plane on a real socket that does what a test tells it: answers, garbage, delays, resets, lies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

API_KEY = "test-key-0123456789"

Behaviour = Literal["answer", "reset", "half_close", "hang", "garbage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    """Below /api/v1, unquoted."""
    segments: tuple[str, ...]
    """The path's parts, split before they were unquoted."""
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`half_close` sends half of the answer and closes; `garbage` sends bytes that are no HTTP."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    behaviour: Behaviour = "answer"


Handler = Callable[[Request], "Reply | Awaitable[Reply]"]


@dataclass(slots=True, kw_only=True)
class _Rule:
    method: str
    pattern: re.Pattern[str]
    replies: deque[Reply]
    handler: Handler | None


class FakeControlPlane:
    """Speaks the worker protocol by default. `on` and `script` override a path; `requests` holds what came."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, api_key: str = API_KEY) -> None:
        self.host = host
        self.port = port
        self.api_key = api_key
        self.requests: list[Request] = []
        self.executions: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.start_response: dict[str, Any] = {}
        self.date: str | None = None
        self.connections_made = 0
        self._rules: list[_Rule] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Condition()

    # -- for the test ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def on(self, method: str, pattern: str, reply: Reply | Handler) -> None:
        """Always answer so. `pattern` is a regular expression for the path below /api/v1."""
        handler = reply if not isinstance(reply, Reply) else (lambda _request: reply)
        self._rules.insert(0, _Rule(method=method, pattern=re.compile(pattern), replies=deque(), handler=handler))

    def script(self, method: str, pattern: str, *replies: Reply) -> None:
        """Answer so, once each, then as before."""
        rule = _Rule(method=method, pattern=re.compile(pattern), replies=deque(replies), handler=None)
        self._rules.insert(0, rule)

    def forget_rules(self) -> None:
        self._rules.clear()

    def received(self, method: str, pattern: str) -> list[Request]:
        return [one for one in self.requests if one.method == method and re.fullmatch(pattern, one.path)]

    def events(self, execution_id: str) -> list[dict[str, Any]]:
        return [one.json() for one in self.received("POST", f"/executions/{re.escape(execution_id)}/events")]

    async def wait_for(self, condition: Callable[[], object], *, limit_seconds: float = 60.0) -> None:
        """Until `condition` holds; looked at after each request."""
        async with asyncio.timeout(limit_seconds), self._arrived:
            await self._arrived.wait_for(lambda: bool(condition()))

    async def refuse(self) -> None:
        """Stop listening and cut all connections; `listen` begins again on the same port."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self.refuse()

    # -- the server -----------------------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_made += 1
        try:
            while (request := await _read(reader)) is not None:
                reply = await self._answer(request)
                if not await self._send(writer, reply, keep=request.headers.get("connection") != "close"):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, request: Request) -> Reply:
        self.requests.append(request)
        reply: Reply | Awaitable[Reply] | None = None
        for rule in self._rules:
            if rule.method != request.method or not rule.pattern.fullmatch(request.path):
                continue
            if rule.replies:
                reply = rule.replies.popleft()
            elif rule.handler is not None:
                reply = rule.handler(request)
            if reply is not None:
                break
        if reply is None:
            reply = self._default(request)
        if not isinstance(reply, Reply):
            reply = await reply
        async with self._arrived:
            self._arrived.notify_all()
        if reply.delay_seconds:
            await asyncio.sleep(reply.delay_seconds)
        return reply

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply, *, keep: bool) -> bool:
        if reply.behaviour == "hang":
            await asyncio.Event().wait()
        if reply.behaviour == "reset":
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        if reply.behaviour == "garbage":
            writer.write(b"\x00\xff this is not HTTP\r\n\r\n")
            await writer.drain()
            return False
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {
            "date": self.date or formatdate(usegmt=True),
            "content-type": "application/json" if not isinstance(reply.body, bytes) else "text/plain",
            "content-length": str(len(content)),
            **reply.headers,
        }
        if reply.status == 204:
            content = b""
            headers.pop("content-length", None)
        head = f"HTTP/1.1 {reply.status} Told\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        if reply.behaviour == "half_close":
            writer.write(head.encode() + content[: len(content) // 2])
            await writer.drain()
            return False
        writer.write(head.encode() + content)
        await writer.drain()
        return keep

    def _default(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            message = "Invalid or expired authentication token"
            return Reply(status=401, body={"detail": {"error": "Unauthorized", "message": message}})
        match [request.method, *request.segments]:
            case ["POST", "worker-queues", queue_id, "start"]:
                return Reply(body=self._start(queue_id))
            case ["POST", "workers", _, "heartbeat" | "disconnect"]:
                return Reply(status=204)
            case ["GET", "executions", execution_id]:
                return Reply(body=self._execution(execution_id))
            case ["PATCH", "executions", execution_id]:
                changes = {key: value for key, value in request.json().items() if value is not None}
                return Reply(body=self._execution(execution_id) | changes)
            case ["POST", "executions", execution_id, "events"]:
                return Reply(status=202, body={"success": True, "execution_id": execution_id})
            case ["POST", "executions", execution_id, "session"]:
                self.sessions[execution_id] = request.json()
                return Reply(status=201, body={"success": True, "execution_id": execution_id})
            case ["GET", "executions", execution_id, "session"]:
                if execution_id not in self.sessions:
                    return Reply(status=404, body={"detail": "Session not found"})
                return Reply(body=self.sessions[execution_id])
            case ["POST", "analytics", _]:
                return Reply(status=201, body={"success": True, "turn_id": str(uuid.uuid4())})
            case ["GET", "execution-environment", _, _, "resolved", "full"]:
                return Reply(body={"env_vars": {}})
            case ["GET", "skills", "associations", _, _, "skills", "resolved"]:
                return Reply(body=[])
            case _:
                return Reply(status=404, body={"detail": "Not Found"})

    def _execution(self, execution_id: str) -> dict[str, Any]:
        fresh = {"id": execution_id, "status": "pending", "execution_metadata": {"server_key": "kept"}}
        return self.executions.setdefault(execution_id, fresh)

    def _start(self, queue_id: str) -> dict[str, Any]:
        return {
            "worker_id": str(uuid.uuid4()),
            "task_queue_name": queue_id,
            "temporal_namespace": "default",
            "temporal_host": "127.0.0.1:7233",
            "temporal_api_key": "",
            "organization_id": "acme",
            "control_plane_url": self.url,
            "heartbeat_interval": 60,
            "litellm_api_url": "http://127.0.0.1:1",
            "litellm_api_key": "llm-key",
            "queue_name": "default",
            "environment_name": "default",
            "queue_id": queue_id,
            "redis_password": None,
            "nats_config": None,
            "control_plane_sdk_version": "1.0.2",
            **self.start_response,
        }


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    segments = [unquote(piece) for piece in parts.path.removeprefix("/api/v1").strip("/").split("/")]
    return Request(
        method=method,
        path="/" + "/".join(segments),
        segments=tuple(segments),
        query=dict(parse_qsl(parts.query)),
        headers=headers,
        body=body,
    )
