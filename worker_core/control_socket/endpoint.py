"""Where a running worker listens for commands of its own user: one small file per worker, and what it says.

A Unix socket where the system has them; elsewhere a TCP port of the loopback with a random token in the file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.files import write_private
from worker_core.machine.identity import birth_mark, process_runs
from worker_core.paths import private_directory

Transport = Literal["unix", "tcp"]

PATTERN: Final = "worker-*.json"
SOCKET_PATH_LIMIT_BYTES: Final = 100
"""macOS takes 104 bytes with the final NUL, Linux 108."""

_SHORT_PREFIX: Final = "kubiya-worker-"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds. `born` and `mark` say when the process began, so that a pid given again is noticed."""

    pid: int
    born: float
    host: str
    name: str = ""
    """What its user calls it; empty: nothing."""

    path: str = ""
    port: int = 0
    token: str = ""
    mark: str = ""
    """The process's birth mark; empty in what an earlier version wrote, and where the system has none."""

    def __repr__(self) -> str:
        return f"Endpoint(pid {self.pid}, {self.path or self.port})"

    @property
    def is_alive(self) -> bool:
        """Whether the process that wrote the file still runs, on this machine."""
        return process_runs(self.pid, born=self.born, mark=self.mark)

    def connect(self, *, limit_seconds: float) -> socket.socket:
        """A connected socket.

        Raises:
            OSError: nobody listens, or not within the limit.
        """
        connection = socket.socket(_unix_family() if self.path else socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.settimeout(limit_seconds)
            connection.connect(self.path or ("127.0.0.1", self.port))
        except BaseException:
            connection.close()
            raise
        return connection


def default_transport() -> Transport:
    return "unix" if hasattr(socket, "AF_UNIX") and sys.platform != "win32" else "tcp"


def listen(folder: Path, *, transport: Transport, name: str = "") -> tuple[socket.socket, Endpoint, Path]:
    """A listening socket that only this user reaches, and the file that tells where it is.

    Raises:
        OSError: the folder cannot be used.
    """
    import psutil

    private_directory(folder)
    if os.name == "posix":
        folder.chmod(0o700)
    process = psutil.Process()
    own = Endpoint(
        pid=process.pid,
        born=process.create_time(),
        mark=birth_mark(process.pid),
        host=socket.gethostname(),
        name=name,
    )
    stem = f"worker-{own.pid}-{secrets.token_hex(3)}"
    if transport == "unix":
        listener, path = _listen_unix(folder / f"{stem}.sock")
        endpoint = msgspec.structs.replace(own, path=path)
    else:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        endpoint = msgspec.structs.replace(own, port=listener.getsockname()[1], token=secrets.token_urlsafe(32))
    try:
        listener.listen(16)
        file = folder / f"{stem}.json"
        write_private(file, msgspec.json.encode(endpoint), durable=False)
    except BaseException:
        listener.close()
        _remove_socket(endpoint)
        raise
    return listener, endpoint, file


def found(folder: Path, pattern: str = PATTERN) -> list[Endpoint]:
    """The endpoints of workers that run on this machine, by pid; what dead workers left is removed."""
    living: list[Endpoint] = []
    for file in sorted(folder.glob(pattern)):
        endpoint = _read(file)
        if endpoint is None or endpoint.host != socket.gethostname():
            continue  # another machine or container shares this folder
        if endpoint.is_alive:
            living.append(endpoint)
        else:
            forget(endpoint, file)
    return sorted(living, key=lambda endpoint: endpoint.pid)


def forget(endpoint: Endpoint, file: Path) -> None:
    """Remove what a worker left behind."""
    _remove_socket(endpoint)
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def _listen_unix(wanted: Path) -> tuple[socket.socket, str]:
    path = short_enough(wanted)
    listener = socket.socket(_unix_family(), socket.SOCK_STREAM)
    try:
        # Between bind and chmod the folder's own 0700 keeps others out.
        listener.bind(path)
        Path(path).chmod(0o600)
    except BaseException:
        listener.close()
        raise
    return listener, path


def short_enough(wanted: Path) -> str:
    """Where a socket can be: there, or in a short folder that is made for it.

    Raises:
        OSError: there is no place for one.
    """
    path = str(wanted)
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT_BYTES:
        return str(Path(short_folder()) / "s")
    return path


def short_folder() -> str:
    """A private folder whose name is short enough for a socket's: in the temporary folder, else in /tmp.

    Raises:
        OSError: there is none.
    """
    refused: OSError | None = None
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108 - mkdtemp makes a folder of our own in it
        if len(os.fsencode(parent)) + len(_SHORT_PREFIX) + 12 <= SOCKET_PATH_LIMIT_BYTES:
            try:
                return tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=parent)
            except OSError as error:
                refused = error
    raise refused or OSError("There is no temporary folder with a short name.")


def _remove_socket(endpoint: Endpoint) -> None:
    if endpoint.path:
        remove_socket(Path(endpoint.path))


def remove_socket(path: Path) -> None:
    """Remove a socket, and the short folder that was made for it."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    if path.parent.name.startswith(_SHORT_PREFIX) and path.name == "s":
        shutil.rmtree(path.parent, ignore_errors=True)


def _read(file: Path) -> Endpoint | None:
    try:
        if sys.platform != "win32" and file.stat().st_uid != os.getuid():
            return None  # whoever wrote it is not the user: nothing in it is to be trusted
        return typed_json.decode(file.read_bytes(), Endpoint)
    except (OSError, msgspec.DecodeError):
        return None


def _unix_family() -> socket.AddressFamily:
    return socket.AddressFamily(getattr(socket, "AF_UNIX"))  # noqa: B009 - Windows' Python has none
