"""Topics as ntfy has them, on a real socket: what is posted is kept, streamed to whoever listens, and sent again to
whoever asks `since`.

Its forms are those of docs.ntfy.sh/publish and docs.ntfy.sh/subscribe/api; it stands in for a server that no package
of this system brings.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEEPALIVE_SECONDS = 0.2


@dataclass(slots=True)
class Topics:
    """`messages` are by topic, in order; `listeners` counts the streams that are open."""

    port: int = 0
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    listeners: int = 0
    since: list[str] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of what came as JSON."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    over: bool = False

    def url(self, topic: str) -> str:
        return f"http://127.0.0.1:{self.port}/{topic}"

    def publish(self, topic: str, message: str) -> dict[str, Any]:
        with self.changed:
            kept = self.messages.setdefault(topic, [])
            one = {"id": f"m{len(kept)}", "time": time.time(), "event": "message", "topic": topic, "message": message}
            kept.append(one)
            self.changed.notify_all()
            return one

    def stop(self) -> None:
        with self.changed:
            self.over = True
            self.changed.notify_all()


@contextlib.contextmanager
def topics() -> Iterator[Topics]:
    made = Topics()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            topic = urlsplit(self.path).path.strip("/")
            if not topic:
                said = json.loads(body)
                made.posted.append(said)
                topic, body = said["topic"], said["message"].encode()
            answer = json.dumps(made.publish(topic, body.decode())).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            topic, _, form = parts.path.strip("/").partition("/")
            assert form == "json"
            since = parse_qs(parts.query).get("since", [""])[0]
            made.since.append(since)
            first = time.time() - float(since.removesuffix("s") or 0)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson; charset=utf-8")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with made.changed:
                made.listeners += 1
            with contextlib.suppress(OSError):
                self._stream(topic, first)
            with made.changed:
                made.listeners -= 1
                made.changed.notify_all()
            self.close_connection = True

        def _stream(self, topic: str, first: float) -> None:
            self._say({"id": "o", "time": time.time(), "event": "open", "topic": topic})
            sent = 0
            while not made.over:
                with made.changed:
                    if len(made.messages.get(topic, [])) <= sent:
                        made.changed.wait(KEEPALIVE_SECONDS)
                    new = made.messages.get(topic, [])[sent:]
                for one in new:
                    if one["time"] >= first:
                        self._say(one)
                sent += len(new)
                if not new:
                    self._say({"id": "k", "time": time.time(), "event": "keepalive", "topic": topic})

        def _say(self, said: dict[str, Any]) -> None:
            line = json.dumps(said).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A worker that leaves early is what some tests are about."""

    http = Quiet(("127.0.0.1", 0), Handler)
    made.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.stop()
        http.shutdown()
        thread.join(10)
        http.server_close()
