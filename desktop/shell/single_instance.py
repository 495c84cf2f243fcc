"""One tray per user and home folder: a second start asks the first to show itself, and leaves.

The lock file decides who is first (a crash leaves it behind, its dead owner is noticed); the local socket only carries
the wish. Alone, the socket could be stolen by a second listener (QTBUG-48635). Where it is stands in a file of the
user's own: a name that can be foretold, in a folder that all users share, may be somebody else's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from desktop.shell.peers import is_ours
from worker_core.basics.files import write_private
from worker_core.control_socket.endpoint import SOCKET_PATH_LIMIT_BYTES, remove_socket, short_folder
from worker_core.paths import private_directory

log = logging.getLogger(__name__)

VERSION: Final = 1
MESSAGE_LIMIT_BYTES: Final = 4096
ANSWER_LIMIT_MS: Final = 3000


class SingleInstance(QObject):
    """`acquire()` once; then hear `raised`."""

    raised = Signal(str)
    """A second start asked for the window; with its activation token (Wayland), or nothing."""

    asked = Signal(str)
    """The same, for a new task."""

    left = Signal()
    """A second start asked this one to leave: an installer, say."""

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        """`folder`: `paths.runtime`; made private."""
        super().__init__(parent)
        self._folder = folder.absolute()
        self._place = self._folder / "desktop.socket"
        """The file that says where the socket is."""

        self._lock: QLockFile | None = None
        self._server: QLocalServer | None = None

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
        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        server.newConnection.connect(self._connected)
        self._remove()  # what a killed first left behind; the lock says that it is dead
        try:
            name = self._new_name()
            if not server.listen(name):
                raise OSError(server.errorString())
            self._server = server
            write_private(self._place, name.encode(), durable=False)
        except OSError as error:
            log.warning("A second start cannot raise this window: %s", error)
        return True

    def raise_first(self, environ: Mapping[str, str] = os.environ, *, for_task: bool = False) -> bool:
        """Ask the first to show its window, or to ask for a new task. False: it does not answer."""
        token = environ.get("XDG_ACTIVATION_TOKEN") or environ.get("DESKTOP_STARTUP_ID") or ""
        more = {"for": "task"} if for_task else {}  # an older first shows its window
        return self._ask("show", activation_token=token, **more) is not None

    def let_first_leave(self) -> bool:
        """Ask the first to leave as its menu does, and wait until it has. False: none answers."""
        socket = self._ask("leave")
        if socket is None:
            return False
        if socket.state() is not QLocalSocket.LocalSocketState.UnconnectedState:
            socket.waitForDisconnected(-1)  # its end is that of the process
        return True

    def _ask(self, wish: str, **more: str) -> QLocalSocket | None:
        """Tell the first a wish; the connection, once it has answered."""
        name = self._name()
        if not name:
            return None
        socket = QLocalSocket()
        socket.connectToServer(name)
        if not socket.waitForConnected(ANSWER_LIMIT_MS) or not is_ours(int(socket.socketDescriptor())):
            return None
        socket.write(json.dumps({"version": VERSION, "wish": wish, **more}).encode() + b"\n")
        socket.flush()
        return socket if socket.waitForReadyRead(ANSWER_LIMIT_MS) else None

    def release(self) -> None:
        """Let another one be first."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._remove()
        if self._lock is not None:
            self._lock.unlock()
            self._lock = None

    def _new_name(self) -> str:
        if sys.platform == "win32":
            return f"kubiya-worker-{secrets.token_hex(16)}"  # pipes have no folders
        path = str(self._folder / "desktop.sock")
        return path if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES else f"{short_folder()}/s"

    def _name(self) -> str:
        """Where the first listens; empty where nobody does, or where somebody else says so."""
        try:
            if sys.platform != "win32" and self._place.stat().st_uid != os.geteuid():
                return ""
            return self._place.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def _remove(self) -> None:
        if (name := self._name()) and sys.platform != "win32":
            remove_socket(Path(name))
        with contextlib.suppress(OSError):
            self._place.unlink(missing_ok=True)

    def _connected(self) -> None:
        assert self._server is not None
        while (socket := self._server.nextPendingConnection()) is not None:
            if not is_ours(int(socket.socketDescriptor())):
                socket.abort()
                socket.deleteLater()
                continue
            socket.readyRead.connect(self._arrived)
            socket.disconnected.connect(socket.deleteLater)
            if socket.canReadLine():
                self._read(socket)

    def _arrived(self) -> None:
        """A slot that holds nothing: one with a reference to this, let go while its socket is deleted, could be the
        last to have one, and would delete this, the server and the same socket once more.
        """
        socket = self.sender()
        assert isinstance(socket, QLocalSocket)
        self._read(socket)

    def _read(self, socket: QLocalSocket) -> None:
        if not socket.canReadLine():
            if socket.bytesAvailable() > MESSAGE_LIMIT_BYTES:
                socket.abort()
            return
        wish = _decoded(bytes(socket.readLine(MESSAGE_LIMIT_BYTES).data()))
        socket.write(b'{"version": 1}\n')
        socket.flush()
        if wish.get("wish") == "show":
            wanted = self.asked if wish.get("for") == "task" else self.raised
            wanted.emit(str(wish.get("activation_token") or "")[:200])
        elif wish.get("wish") == "leave":
            self.left.emit()


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
