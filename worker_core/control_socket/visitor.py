"""What is said over the control socket of a worker.

One JSON line asks, one JSON line answers: `{"ok": true, ...}`, or `{"ok": false, "error": "sentence"}`; `said` beside
it is what it is made of, and `repair` its end that is for a terminal. Three requests are answered by more lines, until
either side closes: `logs` with `follow`, `stop` with `wait`, and `watch`.

    {"verb": "status"}                                  -> {"snapshot": {...}}
    {"verb": "pulse"}                                   -> {"silent_seconds": 0.0}: its loop did not turn
    {"verb": "watch"}                                   -> {"snapshot": {...}, "events": [], "dropped": 0}, ...
    {"verb": "pause", "reason": "...", "said": []}      -> {"snapshot": {...}}; `said` as in a view of the snapshot
    {"verb": "resume"}                                  -> {"snapshot": {...}}
    {"verb": "question", "id": "..."}                   -> {"question": {...}}, whole
    {"verb": "approve", "id": "...", "allow": true, "scope": "once", "seal": "...", "values": {}, "rule": ""}
                                                        -> {"snapshot": {...}}
    {"verb": "reload"}                                  -> {"reloaded": {...}}: the settings were read again, or why not
    {"verb": "settings"}                                -> {"settings": [...]}, those in force, with their origins
    {"verb": "gpus"}                                    -> {"gpus": {...}}: asked now; null: there is nothing to ask
    {"verb": "ask_control_plane", "call": {...}}        -> {"answer": {...}}: made with the worker's key (relay.py)
    {"verb": "stop", "mode": "drain", "wait": true}     -> {"snapshot": {...}}, again at each change, the last one final
    {"verb": "logs", "after": 0, "last": 100, "follow": true} -> {"lines": [...], "cursor": 7, "dropped": 0}, ...
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.sentences import Worded, told
from worker_core.control_socket.steering import ASK_LIMIT_SECONDS, Steering
from worker_core.errors import KubiyaError
from worker_core.events import Event, SnapshotReplaced
from worker_core.snapshot import StopMode

if TYPE_CHECKING:
    from worker_core.control_plane.relay import RelayedCall

log = logging.getLogger(__name__)

REQUEST_LIMIT_BYTES: Final = 1024 * 1024
"""A message that a window sends to an execution may be a long one."""

_REFUSED_SECONDS: Final = 1.0
"""For the request of one that is refused to arrive."""

_LINES_AT_ONCE: Final = 200

_WATCH_REST_SECONDS: Final = 0.1
"""Between two answers to a watcher: what happens meanwhile is gathered."""

_WATCH_EVENTS: Final = 1000
"""Events that wait for one watcher; beyond it the oldest are dropped and counted."""


class Host(Protocol):
    """What a visitor needs of the socket that it came through."""

    closed: bool

    def admits(self, request: Mapping[str, Any]) -> bool: ...
    def leave(self, visitor: Visitor) -> None: ...


class Visitor:
    """One connection, in a thread of its own."""

    def __init__(self, host: Host, worker: Steering, connection: socket.socket, *, refusal: str) -> None:
        """`refusal`: the answer to whatever it asks; empty: it is heard."""
        self._host = host
        self._worker = worker
        self._connection = connection
        self._refusal = refusal
        connection.settimeout(_REFUSED_SECONDS if refusal else ASK_LIMIT_SECONDS)
        self._bell, self._ringer = socket.socketpair()
        self._bell.settimeout(0)
        self._ringer.settimeout(0)
        self._events: deque[Event] = deque(maxlen=_WATCH_EVENTS)
        self._dropped = 0
        self.thread = threading.Thread(target=self._run, name="control-visitor", daemon=True)

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

    def _run(self) -> None:
        try:
            request = self._request()  # a connection that is closed unread is reset, and its answer with it
            if self._refusal:
                raise _Refused(self._refusal)
            self._answer(request)
        except (_Refused, KubiyaError) as error:
            with contextlib.suppress(OSError):
                self._say({"ok": False, "error": str(error), **_made_of(error)})
        except OSError:
            pass  # the other side left
        except Exception:
            log.exception("A request on the control socket failed.")
            with contextlib.suppress(OSError):
                self._say({"ok": False, "error": "The worker could not do it; its log has the details."})
        finally:
            self._host.leave(self)
            self._close()

    def _close(self) -> None:
        for one in (self._connection, self._bell, self._ringer):
            one.close()

    def _request(self) -> Mapping[str, Any]:
        content = bytearray()
        piece = b""
        while b"\n" not in piece:
            piece = self._connection.recv(65536)
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
        if not self._host.admits(request):
            raise _Refused("The token is wrong.")
        return request

    def _answer(self, request: Mapping[str, Any]) -> None:
        match request.get("verb"):
            case "status":
                self._say_snapshot()
            case "pulse":
                self._say({"ok": True, "silent_seconds": self._worker.silent_seconds()})
            case "watch":
                self._keep_telling()
            case "pause":
                self._worker.pause(_sentence(request))
                self._say_snapshot()
            case "resume":
                self._worker.resume()
                self._say_snapshot()
            case "approve":
                scope = request.get("scope", "once")
                if scope not in ("once", "execution", "always") or not isinstance(request.get("allow"), bool):
                    raise _Refused("An answer is allow (true or false) and a scope: once, execution or always.")
                seal = str(request.get("seal") or "")
                values = request.get("values") or {}
                if not isinstance(values, dict):
                    raise _Refused("`values` is not an object.")
                self._worker.approve(
                    str(request.get("id") or ""),
                    allow=request["allow"],
                    scope=scope,
                    seal=seal,
                    values=values,
                    rule=str(request.get("rule") or ""),
                )
                self._say_snapshot()
            case "question":
                self._say({"ok": True, "question": self._worker.whole_question(str(request.get("id") or ""))})
            case "reload":
                self._say({"ok": True, "reloaded": self._worker.reload()})
            case "settings":
                self._say({"ok": True, "settings": self._worker.rows()})
            case "gpus":
                self._say({"ok": True, "gpus": self._worker.gpus()})
            case "ask_control_plane":
                self._say({"ok": True, "answer": self._worker.ask_control_plane(_call(request.get("call")))})
            case "stop":
                mode = _mode(request.get("mode", "drain"))
                self._worker.stop(mode)
                self._say_snapshot()
                if request.get("wait") is True:
                    self._watch()
            case "logs":
                self._logs(request)
            case verb:
                raise _Refused(f"There is no verb {str(verb)[:40]!r}.")

    def _keep_telling(self) -> None:
        """The snapshot and what happened, now and at each change, until the engine has stopped."""
        stop_listening = self._worker.listen(self._hear)
        try:
            self._tell()
            while not self._host.closed and self._rung():
                self._tell()
                time.sleep(_WATCH_REST_SECONDS)
            if self._host.closed:
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
        self._say({"ok": True, "snapshot": self._worker.snapshot, "events": events, "dropped": dropped})

    def _watch(self) -> None:
        """Each change of state or reason, the last one when the engine has stopped."""
        said = self._worker.snapshot
        while not self._host.closed and self._rung():
            now = self._worker.snapshot
            if (now.state, now.reason) != (said.state, said.reason):
                said = now
                self._say_snapshot()
        if self._host.closed:
            self._say_snapshot()

    def _logs(self, request: Mapping[str, Any]) -> None:
        ring = self._worker.ring
        cursor = _whole(request.get("after"), default=0)
        last = _whole(request.get("last"), default=-1)
        if last >= 0:
            cursor = max(cursor, ring.cursor - last)
        stop_listening = ring.listen(self.wake) if request.get("follow") is True else _nothing
        try:
            cursor = self._say_lines(cursor, always=True)
            while request.get("follow") is True and not self._host.closed and self._rung():
                cursor = self._say_lines(cursor)
        finally:
            stop_listening()
        if request.get("follow") is True:
            self._say_lines(cursor)

    def _say_lines(self, cursor: int, *, always: bool = False) -> int:
        while True:
            lines, cursor, dropped = self._worker.ring.lines_after(cursor, _LINES_AT_ONCE)
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
        self._say({"ok": True, "snapshot": self._worker.snapshot})

    def _say(self, answer: Mapping[str, Any]) -> None:
        self._connection.sendall(msgspec.json.encode(answer) + b"\n")


class _Refused(Exception):
    """The text is the sentence."""


def _made_of(error: Exception) -> Mapping[str, Any]:
    """What the sentence of an error is made of, for windows, and the end of it that is for a terminal."""
    if not isinstance(error, KubiyaError):
        return {}
    said = error.said
    found = {"said": said.said if isinstance(said, Worded) else (), "repair": error.repair}
    return {name: part for name, part in found.items() if part}


def _nothing() -> None:
    pass


def _sentence(request: Mapping[str, Any]) -> str:
    """The reason in it, with what it is made of where that makes the same text."""
    return told(str(request.get("reason") or ""), request.get("said"))


def _mode(name: object) -> StopMode:
    try:
        return StopMode[str(name).upper()]
    except KeyError:
        raise _Refused(f"There is no stop mode {str(name)[:40]!r}; it is drain, cancel or now.") from None


def _call(said: object) -> RelayedCall:
    from worker_core.control_plane.relay import RelayedCall

    try:
        return typed_json.convert(said, RelayedCall)
    except msgspec.ValidationError:
        raise _Refused("`call` is no call that this worker could make.") from None


def _whole(value: object, *, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default
