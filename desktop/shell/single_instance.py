"""One tray per user and home folder: a second start asks the first to show itself, and leaves.

The lock file decides who is first (a crash leaves it behind, its dead owner is noticed); the local socket only carries
the wish. Alone, the socket could be stolen by a second listener (QTBUG-48635). Where it is stands in a file of the
user's own: a name that can be foretold, in a folder that all users share, may be somebody else's.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import os
import socket
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QLockFile, QObject, QSocketNotifier, Signal

from desktop.shell import doorway
from desktop.shell.peers import is_ours
from worker_core.basics.quick_dataclass import dataclass
from worker_core.control_socket.endpoint import Transport
from worker_core.paths import private_directory

log = logging.getLogger(__name__)

VERSION: Final = 1
MESSAGE_LIMIT_BYTES: Final = 4096
ANSWER_LIMIT_SECONDS: Final = 3.0
MOST_CONNECTIONS: Final = 16
"""At the same time; one more is cut off."""


@dataclass(slots=True)
class _Visitor:
    connection: socket.socket
    notifier: QSocketNotifier
    close: Callable[[], object]
    came: bytes = b""
    """Of a line that is not whole yet."""


class SingleInstance(QObject):
    """`acquire()` once; then hear `raised`."""

    raised = Signal(str)
    """A second start asked for the window; with its activation token (Wayland), or nothing."""

    asked = Signal(str)
    """The same, for a new task."""

    left = Signal()
    """A second start asked this one to leave: an installer, say."""

    def __init__(self, folder: Path, parent: QObject | None = None, *, transport: Transport | None = None) -> None:
        """`folder`: `paths.runtime`; made private. `transport`: by default what this system has."""
        super().__init__(parent)
        self._folder = folder.absolute()
        self._place = self._folder / "desktop.socket"
        """The file that says where the socket is."""

        self._transport = transport
        self._lock: QLockFile | None = None
        self._opened: doorway.Opened | None = None
        self._notifier: QSocketNotifier | None = None
        self._visitors: dict[int, _Visitor] = {}

    def acquire(self) -> bool:
        """Whether this is the first.

        Raises:
            OSError: the folder cannot be used.
        """
        private_directory(self._folder)
        lock = QLockFile(str(self._folder / "desktop.lock"))
        lock.setStaleLockTime(0)  # only a dead owner makes it stale, never its age
        if not lock.tryLock(0):
            if lock.error() is not QLockFile.LockError.LockFailedError:
                raise OSError(f"The lock file in {self._folder} cannot be written.")
            return False
        self._lock = lock
        doorway.clear(self._place)  # what a killed first left behind; the lock says that it is dead
        try:
            self._opened = doorway.open_in(self._folder, self._place, transport=self._transport)
        except OSError as error:
            log.warning("A second start cannot raise this window: %s", error)
        else:
            self._notifier = QSocketNotifier(self._opened.listener.fileno(), QSocketNotifier.Type.Read, self)
            self._notifier.activated.connect(self._connected)
        return True

    def raise_first(self, environ: Mapping[str, str] = os.environ, *, for_task: bool = False) -> bool:
        """Ask the first to show its window, or to ask for a new task. False: it does not answer."""
        token = environ.get("XDG_ACTIVATION_TOKEN") or environ.get("DESKTOP_STARTUP_ID") or ""
        more = {"for": "task"} if for_task else {}  # an older first shows its window
        connection = self._ask("show", activation_token=token, **more)
        if connection is None:
            return False
        connection.close()
        return True

    def let_first_leave(self) -> bool:
        """Ask the first to leave as its menu does, and wait until it has. False: none answers."""
        connection = self._ask("leave")
        if connection is None:
            return False
        with connection, contextlib.suppress(OSError):
            connection.settimeout(None)
            while connection.recv(MESSAGE_LIMIT_BYTES):  # its end is that of the process
                pass
        return True

    def _ask(self, wish: str, **more: str) -> socket.socket | None:
        """Tell the first a wish; the connection, once it has answered."""
        entered = doorway.enter(self._place, limit_seconds=ANSWER_LIMIT_SECONDS)
        if entered is None:
            return None
        connection, token = entered
        shown = {"token": token} if token else {}
        try:
            connection.sendall(json.dumps({"version": VERSION, "wish": wish, **shown, **more}).encode() + b"\n")
            if connection.recv(MESSAGE_LIMIT_BYTES):
                return connection
        except OSError:
            pass
        connection.close()
        return None

    def release(self) -> None:
        """Let another one be first. Who waits until this one has left waits for the end of the process."""
        if self._opened is not None and self._notifier is not None:
            _forget(self._notifier)
            self._opened.listener.close()
            self._opened = self._notifier = None
            doorway.clear(self._place)
        if self._lock is not None:
            self._lock.unlock()
            self._lock = None

    def _connected(self) -> None:
        assert self._opened is not None
        try:
            connection, _ = self._opened.listener.accept()
        except OSError:  # who wanted to connect has gone, or there are no more descriptors
            return
        if len(self._visitors) >= MOST_CONNECTIONS or not (self._opened.token or is_ours(connection.fileno())):
            connection.close()
            return
        connection.setblocking(False)
        notifier = QSocketNotifier(connection.fileno(), QSocketNotifier.Type.Read, self)
        notifier.activated.connect(self._arrived)
        close = weakref.finalize(self, connection.close)
        self._visitors[connection.fileno()] = _Visitor(connection, notifier, close)

    def _arrived(self) -> None:
        """A slot that holds nothing: one that kept this would be kept by the notifier, its child."""
        notifier = self.sender()
        assert isinstance(notifier, QSocketNotifier)
        number = notifier.socket()
        visitor = self._visitors[number]
        try:
            came = visitor.connection.recv(MESSAGE_LIMIT_BYTES)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        *lines, visitor.came = (visitor.came + came).split(b"\n")
        is_whole = bool(came) and len(visitor.came) <= MESSAGE_LIMIT_BYTES
        if not is_whole or not all(self._heard(visitor.connection, line) for line in lines):
            del self._visitors[number]
            _forget(visitor.notifier)
            visitor.close()

    def _heard(self, connection: socket.socket, line: bytes) -> bool:
        """Whether it may go on: it has shown what it is to show."""
        wish = _decoded(line)
        token = self._opened.token if self._opened is not None else ""
        if not hmac.compare_digest(str(wish.get("token") or "").encode(errors="replace"), token.encode()):
            return False
        with contextlib.suppress(OSError):  # it has gone, or reads nothing
            connection.send(b'{"version": 1}\n')
        if wish.get("wish") == "show":
            wanted = self.asked if wish.get("for") == "task" else self.raised
            wanted.emit(str(wish.get("activation_token") or "")[:200])
        elif wish.get("wish") == "leave":
            self.left.emit()
        return True


def _forget(notifier: QSocketNotifier) -> None:
    """Before its socket is closed: the number may be another's then."""
    notifier.setEnabled(False)
    notifier.deleteLater()


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
