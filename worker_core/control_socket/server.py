"""The control socket of a running worker: its user's other commands see and steer it.

It is served by threads with blocking sockets, which works beside any event loop (stock asyncio, qasync). What is said
is in `visitor.py`.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from worker_core.control_socket import endpoint as endpoints
from worker_core.control_socket.endpoint import Transport
from worker_core.control_socket.steering import Reloading, Steered, Steering
from worker_core.control_socket.visitor import Visitor
from worker_core.events import Event, SnapshotReplaced
from worker_core.logs.ring import LogRing

log = logging.getLogger(__name__)

CONNECTION_LIMIT: Final = 16
"""At the same time; one more is refused with a sentence."""

_REFUSED_LIMIT: Final = 16
"""Of those, at the same time; one more is cut off."""


class ControlSocket:
    """Serves one engine. Open and close it on the engine's event loop."""

    def __init__(
        self,
        *,
        engine: Steered,
        log_ring: LogRing,
        folder: Path,
        name: str = "",
        settings: Reloading | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Nothing is opened.

        Args:
            engine: what is steered.
            log_ring: what `logs` reads.
            folder: `paths.runtime`; made private.
            name: what the worker's user calls it.
            settings: shown, and read again; None: whoever made the worker changes them.
            transport: by default what this system has.
        """
        self._engine = engine
        self._ring = log_ring
        self._folder = folder
        self._name = name
        self._settings = settings
        self._transport: Transport = transport or endpoints.default_transport()
        self._listener: socket.socket | None = None
        self._visitors: set[Visitor] = set()
        self._refused: set[Visitor] = set()
        self._lock = threading.Lock()
        self._token = ""
        self._forget: Callable[[], None] = _nothing
        self._unlisten: Callable[[], None] = _nothing
        self._said = (engine.snapshot.state, engine.snapshot.reason)
        self.closed = False

    def open(self) -> None:
        """Begin to listen; removes what dead workers left.

        Raises:
            OSError: the folder cannot be used.
        """
        endpoints.found(self._folder)
        self._listener, endpoint, file = endpoints.listen(self._folder, transport=self._transport, name=self._name)
        self._token = endpoint.token
        self._forget = lambda: endpoints.forget(endpoint, file)
        worker = Steering(engine=self._engine, ring=self._ring, settings=self._settings)
        self._unlisten = self._engine.events.listen(self._heard, only=(SnapshotReplaced,))
        threading.Thread(target=self._accept, args=(self._listener, worker), name="control-socket", daemon=True).start()

    def open_if_possible(self) -> bool:
        """As `open`. False, which the log says: it works without, and nobody can see it."""
        try:
            self.open()
        except OSError as error:
            log.warning("The control socket cannot be opened (%s); other commands cannot see this worker.", error)
            return False
        return True

    def close(self) -> None:
        """Send the last lines to those who wait, and end. May be called twice."""
        if self.closed:
            return
        self.closed = True
        self._unlisten()
        self._forget()
        if self._listener is not None:
            with contextlib.suppress(OSError):  # wakes the thread that accepts; macOS and Windows need the close
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        with self._lock:
            waiting = (*self._visitors, *self._refused)
        for visitor in waiting:
            visitor.wake()
        for visitor in waiting:
            visitor.thread.join(1.0)

    # --- for conversations, in their threads ------------------------------------------------------------------

    def admits(self, request: Mapping[str, Any]) -> bool:
        return not self._token or hmac.compare_digest(str(request.get("token", "")).encode(), self._token.encode())

    def leave(self, visitor: Visitor) -> None:
        with self._lock:
            self._visitors.discard(visitor)
            self._refused.discard(visitor)

    def _heard(self, event: Event) -> None:
        if not isinstance(event, SnapshotReplaced):
            return
        said = (event.snapshot.state, event.snapshot.reason)
        if said != self._said:
            self._said = said
            with self._lock:
                waiting = tuple(self._visitors)
            for visitor in waiting:
                visitor.wake()

    def _accept(self, listener: socket.socket, worker: Steering) -> None:
        while not self.closed:
            try:
                connection, _ = listener.accept()
            except OSError:
                if not self.closed:
                    log.warning("The control socket failed; `kubiya-worker status` cannot reach this worker any more.")
                return
            with self._lock:
                full = len(self._visitors) >= CONNECTION_LIMIT
                refusal = "This worker already talks to as many others as it can; try again." if full else ""
                if full and len(self._refused) >= _REFUSED_LIMIT:
                    connection.close()
                    continue
                visitor = Visitor(self, worker, connection, refusal=refusal)
                (self._refused if full else self._visitors).add(visitor)
                visitor.thread.start()  # before the lock is free: `close` waits for whoever is there


def _nothing() -> None:
    pass
