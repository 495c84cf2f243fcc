"""A machine worth attacking: keys, services, a victim, and another execution. Everything in it is made up."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.processes import wait_until
from worker_core.sandbox.launcher import GrantedFolder

_GRANTED = ("readable", "writable")
CANARY = "CANARY-5f1c2a"
_IPC_CREATE, _IPC_REMOVE = 0o1000, 0


@dataclass(slots=True)
class Arena:
    folder: Path
    environment: dict[str, str]
    received: list[bytes] = field(default_factory=list)
    udp: socket.socket | None = None
    notify: socket.socket | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def granted(self) -> tuple[GrantedFolder, ...]:
        """Of the owner's, for every call."""
        return tuple(GrantedFolder(path=self.folder / "owner" / one, writable=one == "writable") for one in _GRANTED)

    def harmed(self, what: str, *, workspace: Path, victim: subprocess.Popen[bytes], expected: bool) -> bool:
        """Whether that happened. On a busy machine harm takes its time, and so does what was killed."""

        def is_harmed() -> bool:
            return self._is_harmed(what, workspace=workspace, victim=victim)

        if not expected:
            return is_harmed()
        try:
            wait_until(lambda: is_harmed() is expected)
        except AssertionError:
            return not expected
        return expected

    def _is_harmed(self, what: str, *, workspace: Path, victim: subprocess.Popen[bytes]) -> bool:
        match what:
            case "bashrc":
                return "ESCAPED" in (self.home / ".bashrc").read_text()
            case "autostart":
                return (self.home / ".config/autostart/x.desktop").exists()
            case "unit":
                return (self.home / ".config/systemd/user/x.service").exists()
            case "planted":
                return (self.folder / "workspaces/other/planted").exists()
            case "noted":
                return "ESCAPED" in (self.folder / "owner/readable/notes").read_text()
            case "added":
                return (self.folder / "owner/readable/added").exists()
            case "replaced":
                return (self.folder / "owner/writable").is_symlink()
            case "victim":
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return victim.wait(timeout=0.05) is not None
                return False
            case "survivor":
                return bool(survivors(workspace))
            case "cut":
                return (self.home / ".bashrc").stat().st_size == 0
            case "datagram" | "notified":
                told = self.udp if what == "datagram" else self.notify
                assert told is not None
                return bool(select.select([told], [], [], 0.05)[0]) and b"CANARY" in told.recv(100)
        raise ValueError(what)

    def clean(self, workspace: Path) -> None:
        """Undo what an attempt did."""
        owner = self.folder / "owner"
        if (owner / "writable").is_symlink():
            (owner / "writable").unlink()
        shutil.rmtree(owner, ignore_errors=True)
        _own(owner)
        (self.home / ".bashrc").write_text("# harmless\n")
        for path in ("home/.config/autostart/x.desktop", "home/.config/systemd/user/x.service",
                     "workspaces/other/planted"):  # fmt: skip
            (self.folder / path).unlink(missing_ok=True)
        for process_id in survivors(workspace):
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(process_id).kill()


def _own(folder: Path) -> None:
    """What is the owner's and granted, and what lies beside it."""
    for name in _GRANTED:
        (folder / name).mkdir(parents=True)
    (folder / "readable/notes").write_text("harmless\n")
    (folder / "secret").write_text(f"{CANARY}\n")


def survivors(workspace: Path) -> list[int]:
    """Processes whose output is the file `alive` of a workspace."""
    wanted = str(workspace / "alive")
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str((entry / "fd" / "1").readlink()) == wanted:
                found.append(int(entry.name))
    return found


@contextlib.contextmanager
def victim(arena: Arena) -> Iterator[subprocess.Popen[bytes]]:
    """Something like a worker: a key in its environment, its working directory the user's home."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()", "victim-of-escapes"],
        stdin=subprocess.PIPE,
        env={"SECRET": CANARY, "PATH": "/usr/bin:/bin"},
        cwd=arena.home,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _own_address() -> str:
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == socket.AF_INET and not one.address.startswith("127."):
                return str(one.address)
    return "127.0.0.1"


@contextlib.contextmanager
def arena(folder: Path, short: Path) -> Iterator[Arena]:
    """`short` is a folder with a path that Unix sockets can have."""
    home = folder / "home"
    secret = f"{CANARY}\n"
    for path in (".ssh/id_ed25519", ".aws/credentials", ".mozilla/firefox/x.default/cookies.sqlite"):
        (home / path).parent.mkdir(parents=True)
        (home / path).write_text(secret)
    (home / ".bashrc").write_text("# harmless\n")
    (folder / "workspaces/other").mkdir(parents=True)
    (folder / "workspaces/other/secret").write_text(secret)
    _own(folder / "owner")
    (folder / "state").mkdir()
    (folder / "state/journal").write_text(secret)
    (folder / "tmp-of-the-machine").write_text(secret)
    shared_file = Path("/dev/shm") / f"kubiya-escape-{os.getpid()}"
    shared_file.write_text(secret)
    listeners = []
    for family, address in (
        (socket.AF_INET, ("0.0.0.0", 0)),
        (socket.AF_UNIX, str(short / "bus")),
        (socket.AF_UNIX, str(short / "agent")),
        (socket.AF_UNIX, f"\0kubiya-escape-{os.getpid()}"),
    ):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen()
        listeners.append(listener)
        threading.Thread(target=_tell_everybody, args=(listener,), daemon=True).start()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", 0))
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(short / "notify"))
    key = 0x4B000000 + os.getpid()
    memory = ctypes.CDLL(None).shmget(key, 4096, _IPC_CREATE | 0o600)
    made = Arena(
        folder=folder,
        environment={
            "REAL_HOME": str(home),
            "READABLE": str(folder / "owner/readable"),
            "WRITABLE": str(folder / "owner/writable"),
            "STATE": str(folder / "state"),
            "OTHER": str(folder / "workspaces/other"),
            "HOST_TMP": str(folder / "tmp-of-the-machine"),
            "HOST_SHM": str(shared_file),
            "PORT": str(listeners[0].getsockname()[1]),
            "UDP_PORT": str(udp.getsockname()[1]),
            "OWN_ADDRESS": _own_address(),
            "BUS": str(short / "bus"),
            "AGENT": str(short / "agent"),
            "NOTIFY": str(short / "notify"),
            "ABSTRACT": f"kubiya-escape-{os.getpid()}",
            "SHARED_KEY": str(key),
        },
        udp=udp,
        notify=notify,
    )
    try:
        yield made
    finally:
        ctypes.CDLL(None).shmctl(memory, _IPC_REMOVE, None)
        shared_file.unlink()
        udp.close()
        notify.close()
        for listener in listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def _tell_everybody(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(f"HTTP/1.0 200 OK\r\n\r\n{CANARY}\n".encode())
                connection.settimeout(1)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
