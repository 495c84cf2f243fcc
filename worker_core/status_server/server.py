"""Serves the status of one engine over HTTP, in a thread of its own: a busy event loop cannot silence it.

    GET /healthz   200 `ok`, or 503 `stalled`: the event loop has not answered for long; restart the process
    GET /readyz    200 `serving`, or 503 and why not, one word of `readiness.Readiness`
    GET /metrics   200, Prometheus' text format

Nothing can be changed by it, and it says no more than words of a fixed list, numbers, queue ids, the labels of
Temporal's SDK and the version. One connection brings one answer. There is one thread for all: callers that send slowly,
or nothing, wait for their end without holding up anybody, and where there are too many, the one that came first makes
room.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from datetime import timedelta
from typing import Final

import h11

from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ConfigurationError
from worker_core.network.hosts import is_loopback, read_url
from worker_core.status_server.families import prometheus_text
from worker_core.status_server.measures import Measures, Watched
from worker_core.status_server.readiness import Patience

log = logging.getLogger(__name__)

CALLERS: Final = 64
"""At the same time."""

REQUEST_LIMIT_BYTES: Final = 8_192
CALL_LIMIT: Final = timedelta(seconds=5)
"""From the connection to its end."""

_PLAIN: Final = "text/plain; charset=utf-8"
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    body: str
    kind: str = _PLAIN


class _Caller:
    """One connection: it is read until its request is whole, then written to, then left to close."""

    def __init__(self, connection: socket.socket, *, until: float) -> None:
        self.connection = connection
        self.until = until
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_LIMIT_BYTES)
        self.to_send = b""
        self.answered = False


class StatusServer:
    """Serves one engine. Open and close it on the engine's event loop."""

    def __init__(self, engine: Watched, *, host: str, port: int, patience: Patience | None = None) -> None:
        """Nothing is opened.

        Args:
            engine: what is reported about.
            host: an address or a name to listen at.
            port: 0: any that is free.
            patience: when the worker counts as stalled.
        """
        self._engine = engine
        self._host, self._port = host, port
        self._patience = patience
        self._callers: dict[socket.socket, _Caller] = {}
        self._closing = threading.Event()
        self._measures: Measures | None = None
        self.address = ""
        """Where it listens, as `host:port`; empty until it is open."""

    def open(self) -> None:
        """Begin to listen.

        Raises:
            ConfigurationError: it cannot listen there.
        """
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, at = found[0]
            self._listener = socket.create_server(at[:2], family=family, backlog=CALLERS)
        except OSError as error:
            why = str(error.strerror or error).partition(" (while")[0]  # create_server says the place again
            raise ConfigurationError(
                f"The status cannot be served at {_place(self._host, self._port)} ({why}). Change --status-port or "
                "--status-host, or take them out."
            ) from error
        host, port = self._listener.getsockname()[:2]
        self.address = _place(host, port)
        self._for_this_machine = is_loopback(host)
        self._listener.settimeout(0)
        self._bell, self._ringer = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._measures = Measures(self._engine, patience=self._patience)
        self._thread = threading.Thread(target=self._serve, name="status-server", daemon=True)
        self._thread.start()
        log.info("Status: http://%s/healthz, /readyz and /metrics.", self.address)

    def close(self) -> None:
        """End; connections are cut. May be called twice."""
        if self._measures is None:
            return
        self._measures.close()
        self._measures = None
        self._closing.set()
        self._ringer.send(b"!")
        self._thread.join()
        for one in (*self._callers, self._listener, self._bell, self._ringer):
            one.close()
        self._callers.clear()
        self._selector.close()

    # --- in the thread ----------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._closing.is_set():
            oldest = next(iter(self._callers.values()), None)
            ready = self._selector.select(None if oldest is None else max(0.0, oldest.until - time.monotonic()))
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._accept()
                elif (caller := key.data) is not None and caller.connection in self._callers:
                    self._attend(caller)
            now = time.monotonic()
            for caller in [one for one in self._callers.values() if one.until <= now]:
                self._drop(caller)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if not isinstance(error, BlockingIOError | ConnectionError):  # most likely, no descriptors are left
                self._closing.wait(0.2)
            return
        connection.settimeout(0)
        if len(self._callers) >= CALLERS:
            self._drop(next(iter(self._callers.values())))
        caller = _Caller(connection, until=time.monotonic() + CALL_LIMIT.total_seconds())
        self._callers[connection] = caller
        self._selector.register(connection, selectors.EVENT_READ, caller)

    def _drop(self, caller: _Caller) -> None:
        del self._callers[caller.connection]
        self._selector.unregister(caller.connection)
        caller.connection.close()

    def _attend(self, caller: _Caller) -> None:
        try:
            with contextlib.suppress(BlockingIOError):
                if caller.to_send:
                    self._send(caller)
                else:
                    self._receive(caller)
        except OSError:  # the other side left
            self._drop(caller)

    def _receive(self, caller: _Caller) -> None:
        data = caller.connection.recv(4096)
        if not data:
            self._drop(caller)
        elif not caller.answered:  # what comes behind the request is read, so that closing does not cut the answer
            caller.http.receive_data(data)
            self._answer(caller)

    def _answer(self, caller: _Caller) -> None:
        request: h11.Request | None = None
        try:
            event = caller.http.next_event()
            if event is h11.NEED_DATA:
                return
            assert isinstance(event, h11.Request)
            request = event
            answer = self._answer_to(request)
        except h11.RemoteProtocolError as error:
            answer = _Answer(status=error.error_status_hint, body="The request cannot be read.\n")
        except Exception:
            log.exception("A request for the status failed.")
            answer = _Answer(status=500, body="The worker's log has the details.\n")
        body = answer.body.encode()
        headers = [
            ("Content-Type", answer.kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"), ("Connection", "close"),
        ]  # fmt: skip
        if answer.status == 405:
            headers.append(("Allow", "GET"))
        sent = caller.http.send(h11.Response(status_code=answer.status, headers=headers))
        if request is None or request.method != b"HEAD":
            sent = (sent or b"") + (caller.http.send(h11.Data(data=body)) or b"")
        caller.to_send = sent or b""
        caller.answered = True
        self._send(caller)

    def _send(self, caller: _Caller) -> None:
        with contextlib.suppress(BlockingIOError):
            caller.to_send = caller.to_send[caller.connection.send(caller.to_send) :]
        if caller.to_send:
            self._selector.modify(caller.connection, selectors.EVENT_WRITE, caller)
        else:
            caller.connection.shutdown(socket.SHUT_WR)
            self._selector.modify(caller.connection, selectors.EVENT_READ, caller)

    # --- answers ----------------------------------------------------------------------------------------------

    def _answer_to(self, request: h11.Request) -> _Answer:
        if request.method != b"GET":
            return _Answer(status=405, body="GET alone.\n")
        if self._for_this_machine and not _names_this_machine(request):
            return _Answer(status=403, body="This is for this machine alone.\n")
        if (measures := self._measures) is None:
            return _Answer(status=503, body="draining\n")
        match request.target.partition(b"?")[0]:
            case b"/healthz":
                alive = measures.look().alive
                return _Answer(status=200 if alive else 503, body="ok\n" if alive else "stalled\n")
            case b"/readyz":
                why = measures.look().why
                return _Answer(status=200 if why == "serving" else 503, body=f"{why}\n")
            case b"/metrics":
                return _Answer(status=200, body=prometheus_text(measures.families()), kind=_PROMETHEUS)
            case _:
                return _Answer(status=404, body="/healthz, /readyz, /metrics\n")


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _names_this_machine(request: h11.Request) -> bool:
    """A page in a browser that had its own name resolved to this machine's loopback still sends its own name."""
    for name, value in request.headers:
        if name == b"host":
            place = read_url(value.decode("latin-1"))
            return place is not None and is_loopback(place.host)
    return True
