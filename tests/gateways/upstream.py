"""The provider behind a real gateway: a socket that speaks OpenAI's and Anthropic's dialects by a test's rule."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.support.model_server import Reply

Rule = Callable[[str, dict[str, Any]], Reply]
"""(path, body) -> what is answered"""


class Upstream:
    """Serves from a thread of its own while it is entered. `asked` holds (path, body) of each request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._rule: Rule = lambda path, body: Reply(status=500)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answers(self, rule: Rule | Iterable[Reply]) -> None:
        """From now on: by a rule, or one reply after the other, the last again and again."""
        self.asked.clear()
        if callable(rule):
            self._rule = rule
            return
        replies = list(rule)
        self._rule = lambda path, body: replies.pop(0) if len(replies) > 1 else replies[0]

    def reply(self, path: str, body: dict[str, Any]) -> Reply:
        self.asked.append((path, body))
        return self._rule(path, body)


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
            reply = upstream.reply(self.path, body)
            self.send_response(reply.status)
            for name, value in ({"content-type": "application/json"} | reply.headers).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body) + (1000 if reply.cut else 0)))
            self.end_headers()
            self.wfile.write(reply.body)
            if reply.cut:
                self.wfile.flush()
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class Claude:
    """Anthropic's stream of one message."""

    def __init__(self) -> None:
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._blocks = 0
        self._usage = {"input_tokens": 10, "output_tokens": 1}

    def thinks(self, thought: str, signature: str) -> Self:
        return self._block(
            {"type": "thinking", "thinking": "", "signature": ""},
            *({"type": "thinking_delta", "thinking": piece} for piece in (thought[:3], thought[3:])),
            {"type": "signature_delta", "signature": signature},
        )

    def says(self, text: str) -> Self:
        return self._block({"type": "text", "text": ""}, {"type": "text_delta", "text": text})

    def calls(self, call_id: str, name: str, arguments: str) -> Self:
        half = len(arguments) // 2
        return self._block(
            {"type": "tool_use", "id": call_id, "name": name, "input": {}},
            *({"type": "input_json_delta", "partial_json": one} for one in (arguments[:half], arguments[half:])),
        )

    def uses(self, **tokens: int) -> Self:
        self._usage |= tokens
        return self

    def ends(self, reason: str) -> Reply:
        start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [],
                 "stop_reason": None, "stop_sequence": None, "usage": self._usage}  # fmt: skip
        events = [
            ("message_start", {"message": start}),
            *self._events,
            ("message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": self._usage}),
            ("message_stop", {}),
        ]
        body = "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n" for kind, data in events)
        return Reply(body=body.encode(), headers={"content-type": "text/event-stream"})

    def _block(self, begin: dict[str, Any], *deltas: dict[str, Any]) -> Self:
        index, self._blocks = self._blocks, self._blocks + 1
        self._events += [
            ("content_block_start", {"index": index, "content_block": begin}),
            *(("content_block_delta", {"index": index, "delta": delta}) for delta in deltas),
            ("content_block_stop", {"index": index}),
        ]
        return self


def claude_refuses(status: int, message: str, kind: str = "invalid_request_error", **headers: str) -> Reply:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    return Reply(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
