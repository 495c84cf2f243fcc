"""Where a supervisor is asked how it is, and told to stop: by its own user, on this machine.

One JSON line asks, one JSON line answers, as at the control socket of a worker. `stop` with `wait` is answered once
more, when everything has ended.

    {"verb": "facts"}                                   -> {"facts": {...}}
    {"verb": "stop", "mode": "drain", "wait": true}     -> {"facts": {...}}, then {"ended": {"code": 0, "why": ""}}
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from worker_core.daemon.lines import heard, say

REQUEST_LIMIT_BYTES: Final = 4096
ASK_LIMIT_SECONDS: Final = 5.0
_CONNECTIONS: Final = 16
MODES: Final = ("drain", "cancel", "now")


class Door:
    """Serves in threads of its own; `facts` and `stop` are called there."""

    def __init__(
        self, socket_path: str, *, facts: Callable[[], Mapping[str, Any]], stop: Callable[[str], None]
    ) -> None:
        """Begin to listen.

        Raises:
            OSError: it cannot listen there.
        """
        self._facts = facts
        self._stop = stop
        self.path = socket_path
        self.port = 0
        self.token = ""
        if socket_path:
            self._listener = socket.socket(getattr(socket, "AF_UNIX"), socket.SOCK_STREAM)  # noqa: B009
            Path(socket_path).unlink(missing_ok=True)
            self._listener.bind(socket_path)  # the folder's own 0700 keeps others out
            Path(socket_path).chmod(0o600)
        else:
            self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._listener.bind(("127.0.0.1", 0))
            self.port = self._listener.getsockname()[1]
            self.token = os.urandom(24).hex()
        self._listener.listen(_CONNECTIONS)
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        self._waiting: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="door", daemon=True).start()

    def close(self, *, code: int, why: str) -> None:
        """Tell those who wait how it ended."""
        with contextlib.suppress(OSError):  # wakes the thread that accepts; macOS and Windows need the close
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self.path:
            with contextlib.suppress(OSError):
                Path(self.path).unlink()
                Path(self.path).parent.rmdir()  # where it is a short folder, made for this alone
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for connection in waiting:
            with connection, contextlib.suppress(OSError):
                say(connection, {"ok": True, "ended": {"code": code, "why": why}})

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._room.acquire(blocking=False):
                threading.Thread(target=self._attend, args=(connection,), name="caller", daemon=True).start()
            else:
                connection.close()

    def _attend(self, connection: socket.socket) -> None:
        keeps = False
        try:
            connection.settimeout(ASK_LIMIT_SECONDS)
            keeps = self._answer(connection)
        except (OSError, ValueError, RecursionError):
            pass  # the other side left, or is none of ours
        finally:
            self._room.release()
            if not keeps:
                connection.close()

    def _answer(self, connection: socket.socket) -> bool:
        """Whether the other side waits for more."""
        request = heard(connection, limit_bytes=REQUEST_LIMIT_BYTES, at_once_bytes=REQUEST_LIMIT_BYTES)
        if not isinstance(request, dict) or not self._admits(str(request.get("token", ""))):
            say(connection, {"ok": False, "error": "The token is wrong."})
            return False
        match request.get("verb"):
            case "facts":
                say(connection, {"ok": True, "facts": self._facts()})
            case "stop" if request.get("mode") in MODES:
                waits = request.get("wait") is True
                if waits:
                    with self._lock:
                        self._waiting.append(connection)
                try:
                    say(connection, {"ok": True, "facts": self._facts()})  # before the end can be told
                finally:
                    self._stop(request["mode"])
                return waits
            case _:
                say(connection, {"ok": False, "error": "A daemon knows facts and stop."})
        return False

    def _admits(self, token: str) -> bool:
        if not self.token:
            return True
        import hmac  # three megabytes, where there is no socket with rights of its own

        return hmac.compare_digest(token.encode(), self.token.encode())
