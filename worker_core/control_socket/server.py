"""The control socket of a running worker: its user's other commands see and steer it.

One JSON line asks, one JSON line answers: `{"ok": true, ...}`, or `{"ok": false, "error": "sentence"}`. Three requests
are answered by more lines, until either side closes: `logs` with `follow`, `stop` with `wait`, and `watch`.

    {"verb": "status"}                                  -> {"snapshot": {...}}
    {"verb": "pulse"}                                   -> {"silent_seconds": 0.0}: its loop did not turn
    {"verb": "watch"}                                   -> {"snapshot": {...}, "events": [], "dropped": 0}, ...
    {"verb": "pause", "reason": "..."}                  -> {"snapshot": {...}}
    {"verb": "resume"}                                  -> {"snapshot": {...}}
    {"verb": "question", "id": "..."}                   -> {"question": {...}}, whole
    {"verb": "approve", "id": "...", "allow": true, "scope": "once", "seal": "...", "values": {}} -> {"snapshot": {...}}
    {"verb": "reload"}                                  -> {"reloaded": {...}}: the settings were read again, or why not
    {"verb": "settings"}                                -> {"settings": [...]}, those in force, with their origins
    {"verb": "stop", "mode": "drain", "wait": true}     -> {"snapshot": {...}}, again at each change, the last one final
    {"verb": "logs", "after": 0, "last": 100, "follow": true} -> {"lines": [...], "cursor": 7, "dropped": 0}, ...

It is served by threads with blocking sockets, which works beside any event loop (stock asyncio, qasync).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from worker_core.basics.pulse import Pulse
from worker_core.control_socket import endpoint as endpoints
from worker_core.control_socket.endpoint import Transport
from worker_core.errors import KubiyaError
from worker_core.events import Event, EventBus, SnapshotReplaced
from worker_core.logs.ring import LogRing
from worker_core.settings import Reloaded, ShownSetting
from worker_core.snapshot import EngineSnapshot, Scope, StopMode, WholeQuestion

log = logging.getLogger(__name__)

REQUEST_LIMIT_BYTES: Final = 64 * 1024
CONNECTION_LIMIT: Final = 16
"""At the same time; one more is refused with a sentence."""

ASK_LIMIT_SECONDS: Final = 10.0
"""For a request to arrive, for the engine to answer, and for the other side to take a line."""

_LINES_AT_ONCE: Final = 200

_WATCH_REST_SECONDS: Final = 0.1
"""Between two answers to a watcher: what happens meanwhile is gathered."""

_WATCH_EVENTS: Final = 1000
"""Events that wait for one watcher; beyond it the oldest are dropped and counted."""


Answer = TypeVar("Answer")


class Steered(Protocol):
    """What the socket needs of an engine."""

    snapshot: EngineSnapshot
    events: EventBus

    async def pause(self, reason: str = ...) -> None: ...
    async def resume(self) -> None: ...
    async def stop(self, *, mode: StopMode = ...) -> None: ...
    def whole_question(self, approval_id: str) -> WholeQuestion: ...
    async def answer_approval(
        self, approval_id: str, *, allow: bool, scope: Scope = ..., seal: str = ..., values: Mapping[str, Any] = ...
    ) -> None: ...


class Reloading(Protocol):
    """What the socket needs of the settings of a worker."""

    async def reload(self) -> Reloaded: ...
    def rows(self) -> list[ShownSetting]: ...


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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: socket.socket | None = None
        self._conversations: set[_Conversation] = set()
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
        self._loop = asyncio.get_running_loop()
        self._pulse = Pulse(self._loop)
        self._unlisten = self._engine.events.listen(self._heard, only=(SnapshotReplaced,))
        threading.Thread(target=self._accept, args=(self._listener,), name="control-socket", daemon=True).start()

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
            waiting = tuple(self._conversations)
        for conversation in waiting:
            conversation.wake()
        for conversation in waiting:
            conversation.thread.join(1.0)

    # --- for conversations, in their threads ------------------------------------------------------------------

    @property
    def snapshot(self) -> EngineSnapshot:
        return self._engine.snapshot

    @property
    def ring(self) -> LogRing:
        return self._ring

    def silent_seconds(self) -> float:
        return self._pulse.silent_seconds()

    def admits(self, request: Mapping[str, Any]) -> bool:
        return not self._token or hmac.compare_digest(str(request.get("token", "")).encode(), self._token.encode())

    def pause(self, reason: str) -> None:
        self._on_loop(self._engine.pause(reason) if reason else self._engine.pause())

    def resume(self) -> None:
        self._on_loop(self._engine.resume())

    def approve(self, approval_id: str, *, allow: bool, scope: Scope, seal: str, values: Mapping[str, Any]) -> None:
        self._on_loop(self._engine.answer_approval(approval_id, allow=allow, scope=scope, seal=seal, values=values))

    def whole_question(self, approval_id: str) -> WholeQuestion:
        async def read() -> WholeQuestion:
            return self._engine.whole_question(approval_id)

        return self._on_loop(read())

    def reload(self) -> Reloaded:
        return self._on_loop(self._of_settings().reload())

    def rows(self) -> list[ShownSetting]:
        async def read() -> list[ShownSetting]:
            return self._of_settings().rows()

        return self._on_loop(read())

    def _of_settings(self) -> Reloading:
        if self._settings is None:
            raise KubiyaError(
                "This worker was not started with settings that could be read again: it is a playground's, or a "
                "window's. Restart it, or change them in the window."
            )
        return self._settings

    def stop(self, mode: StopMode) -> None:
        self._on_loop(self._engine.stop(mode=mode))

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """All events, on the engine's loop; returns what ends it. Costly ones are made only while somebody listens."""
        return self._engine.events.listen(listener)

    def leave(self, conversation: _Conversation) -> None:
        with self._lock:
            self._conversations.discard(conversation)

    def _on_loop(self, call: Coroutine[Any, Any, Answer]) -> Answer:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(ASK_LIMIT_SECONDS)

    def _heard(self, event: Event) -> None:
        if not isinstance(event, SnapshotReplaced):
            return
        said = (event.snapshot.state, event.snapshot.reason)
        if said != self._said:
            self._said = said
            with self._lock:
                waiting = tuple(self._conversations)
            for conversation in waiting:
                conversation.wake()

    def _accept(self, listener: socket.socket) -> None:
        while not self.closed:
            try:
                connection, _ = listener.accept()
            except OSError:
                if not self.closed:
                    log.warning("The control socket failed; `kubiya-worker status` cannot reach this worker any more.")
                return
            conversation = _Conversation(self, connection)
            with self._lock:
                full = len(self._conversations) >= CONNECTION_LIMIT
                if not full:
                    self._conversations.add(conversation)
            if full:
                conversation.refuse("This worker already talks to as many others as it can; try again.")
            else:
                conversation.thread.start()


class _Conversation:
    """One connection, in a thread of its own."""

    def __init__(self, server: ControlSocket, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        connection.settimeout(ASK_LIMIT_SECONDS)
        self._bell, self._ringer = socket.socketpair()
        self._bell.settimeout(0)
        self._ringer.settimeout(0)
        self._events: deque[Event] = deque(maxlen=_WATCH_EVENTS)
        self._dropped = 0
        self.thread = threading.Thread(target=self._run, name="control-conversation", daemon=True)

    def wake(self) -> None:
        """Something may have changed. Callable from any thread; never blocks."""
        with contextlib.suppress(OSError):
            self._ringer.send(b"!")

    def _hear(self, event: Event) -> None:
        """On the engine's loop: what a watcher is told of next."""
        if not isinstance(event, SnapshotReplaced):
            if len(self._events) == _WATCH_EVENTS:
                self._dropped += 1
            self._events.append(event)
        self.wake()

    def refuse(self, sentence: str) -> None:
        with contextlib.suppress(OSError):
            self._say({"ok": False, "error": sentence})
        self._close()

    def _run(self) -> None:
        try:
            self._answer(self._request())
        except (_Refused, KubiyaError) as error:
            with contextlib.suppress(OSError):
                self._say({"ok": False, "error": str(error)})
        except OSError:
            pass  # the other side left
        except Exception:
            log.exception("A request on the control socket failed.")
            with contextlib.suppress(OSError):
                self._say({"ok": False, "error": "The worker could not do it; its log has the details."})
        finally:
            self._server.leave(self)
            self._close()

    def _close(self) -> None:
        for one in (self._connection, self._bell, self._ringer):
            one.close()

    def _request(self) -> Mapping[str, Any]:
        content = bytearray()
        while b"\n" not in content:
            piece = self._connection.recv(4096)
            if not piece:
                raise _Refused("The request is not complete.")
            content += piece
            if len(content) > REQUEST_LIMIT_BYTES:
                raise _Refused("The request is too long.")
        try:
            request = msgspec.json.decode(bytes(content.partition(b"\n")[0]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _Refused("The request is not JSON.") from None
        if not isinstance(request, dict):
            raise _Refused("The request is no JSON object.")
        if not self._server.admits(request):
            raise _Refused("The token is wrong.")
        return request

    def _answer(self, request: Mapping[str, Any]) -> None:
        match request.get("verb"):
            case "status":
                self._say_snapshot()
            case "pulse":
                self._say({"ok": True, "silent_seconds": self._server.silent_seconds()})
            case "watch":
                self._keep_telling()
            case "pause":
                self._server.pause(str(request.get("reason") or ""))
                self._say_snapshot()
            case "resume":
                self._server.resume()
                self._say_snapshot()
            case "approve":
                scope = request.get("scope", "once")
                if scope not in ("once", "execution", "always") or not isinstance(request.get("allow"), bool):
                    raise _Refused("An answer is allow (true or false) and a scope: once, execution or always.")
                seal = str(request.get("seal") or "")
                values = request.get("values") or {}
                if not isinstance(values, dict):
                    raise _Refused("`values` is not an object.")
                self._server.approve(
                    str(request.get("id") or ""), allow=request["allow"], scope=scope, seal=seal, values=values
                )
                self._say_snapshot()
            case "question":
                self._say({"ok": True, "question": self._server.whole_question(str(request.get("id") or ""))})
            case "reload":
                self._say({"ok": True, "reloaded": self._server.reload()})
            case "settings":
                self._say({"ok": True, "settings": self._server.rows()})
            case "stop":
                mode = _mode(request.get("mode", "drain"))
                self._server.stop(mode)
                self._say_snapshot()
                if request.get("wait") is True:
                    self._watch()
            case "logs":
                self._logs(request)
            case verb:
                raise _Refused(f"There is no verb {str(verb)[:40]!r}.")

    def _keep_telling(self) -> None:
        """The snapshot and what happened, now and at each change, until the engine has stopped."""
        stop_listening = self._server.listen(self._hear)
        try:
            self._tell()
            while not self._server.closed and self._rung():
                self._tell()
                time.sleep(_WATCH_REST_SECONDS)
            if self._server.closed:
                self._tell()
        finally:
            stop_listening()

    def _tell(self) -> None:
        events = []
        with contextlib.suppress(IndexError):
            while True:
                event = self._events.popleft()
                events.append({"kind": type(event).__name__, "event": event})
        dropped, self._dropped = self._dropped, 0
        self._say({"ok": True, "snapshot": self._server.snapshot, "events": events, "dropped": dropped})

    def _watch(self) -> None:
        """Each change of state or reason, the last one when the engine has stopped."""
        said = self._server.snapshot
        while not self._server.closed and self._rung():
            now = self._server.snapshot
            if (now.state, now.reason) != (said.state, said.reason):
                said = now
                self._say_snapshot()
        if self._server.closed:
            self._say_snapshot()

    def _logs(self, request: Mapping[str, Any]) -> None:
        ring = self._server.ring
        cursor = _whole(request.get("after"), default=0)
        last = _whole(request.get("last"), default=-1)
        if last >= 0:
            cursor = max(cursor, ring.cursor - last)
        stop_listening = ring.listen(self.wake) if request.get("follow") is True else _nothing
        try:
            cursor = self._say_lines(cursor, always=True)
            while request.get("follow") is True and not self._server.closed and self._rung():
                cursor = self._say_lines(cursor)
        finally:
            stop_listening()
        if request.get("follow") is True:
            self._say_lines(cursor)

    def _say_lines(self, cursor: int, *, always: bool = False) -> int:
        while True:
            lines, cursor, dropped = self._server.ring.lines_after(cursor, _LINES_AT_ONCE)
            more = len(lines) == _LINES_AT_ONCE
            if lines or dropped or always:
                texts = [line.to_json() for line in lines]
                self._say({"ok": True, "lines": texts, "cursor": cursor, "dropped": dropped, "more": more})
            always = False
            if not more:
                return cursor

    def _rung(self) -> bool:
        """Wait for the bell. False: the other side closed (or talks out of turn)."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select()}
        if self._connection in ready:
            return False
        with contextlib.suppress(BlockingIOError):
            while self._bell.recv(4096):
                pass
        return True

    def _say_snapshot(self) -> None:
        self._say({"ok": True, "snapshot": self._server.snapshot})

    def _say(self, answer: Mapping[str, Any]) -> None:
        self._connection.sendall(msgspec.json.encode(answer) + b"\n")


class _Refused(Exception):
    """The text is the sentence."""


def _nothing() -> None:
    pass


def _mode(name: object) -> StopMode:
    try:
        return StopMode[str(name).upper()]
    except KeyError:
        raise _Refused(f"There is no stop mode {str(name)[:40]!r}; it is drain, cancel or now.") from None


def _whole(value: object, *, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default
