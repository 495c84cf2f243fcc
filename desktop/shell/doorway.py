"""Where the first tray of a home hears the others: a socket for this user alone, and a file that says where it is.

A Unix socket where the system has them; elsewhere a port of the loopback, and in the file, which is the user's own, a
token that others show. Python's sockets: QtNetwork would be 3 of the tray's 85 MB.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Final

from desktop.shell.peers import is_ours
from worker_core.basics.files import write_private
from worker_core.basics.quick_dataclass import dataclass
from worker_core.control_socket.endpoint import Transport, default_transport, remove_socket, short_enough

LOOPBACK: Final = "127.0.0.1"
_WAITING: Final = 16
"""Of those who have connected and were not looked at yet."""


@dataclass(frozen=True, slots=True)
class Opened:
    """By the first."""

    listener: socket.socket
    token: str
    """Who shows it has read the file; empty: the system says who connects."""


def open_in(folder: Path, place: Path, *, transport: Transport | None = None) -> Opened:
    """Listen, and write down where.

    Args:
        folder: a private one; a socket whose name is too long for the system is in another.
        place: the file.
        transport: by default what this system has.

    Raises:
        OSError: it is not possible.
    """
    token = ""
    if (transport or default_transport()) == "unix":
        said = short_enough(folder / "desktop.sock")
        listener = socket.socket(_unix_family(), socket.SOCK_STREAM)
        where: str | tuple[str, int] = said
    else:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        where, token, said = (LOOPBACK, 0), secrets.token_urlsafe(32), ""
    try:
        listener.setblocking(False)
        listener.bind(where)
        if said:
            Path(said).chmod(0o600)  # until then the folder keeps others out
        listener.listen(_WAITING)
        write_private(place, (said or f"{listener.getsockname()[1]} {token}").encode(), durable=False)
    except BaseException:
        listener.close()
        if said:
            remove_socket(Path(said))
        raise
    return Opened(listener, token)


def clear(place: Path) -> None:
    """Remove what a first left, or leaves, behind."""
    if (said := _said(place)) and _address(said) is None:
        remove_socket(Path(said))
    with contextlib.suppress(OSError):
        place.unlink(missing_ok=True)


def enter(place: Path, *, limit_seconds: float) -> tuple[socket.socket, str] | None:
    """A connection to the first, and the token that it wants to be shown; None: nobody of ours listens."""
    said = _said(place)
    if not said:
        return None
    address = _address(said)
    if address is None and default_transport() != "unix":
        return None
    connection = socket.socket(_unix_family() if address is None else socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.settimeout(limit_seconds)
        connection.connect(said if address is None else (LOOPBACK, address[0]))
        if address is not None or is_ours(connection.fileno()):
            return connection, "" if address is None else address[1]
    except (OSError, ValueError):
        pass
    connection.close()
    return None


def _said(place: Path) -> str:
    """Empty where nobody listens, or where somebody else says so."""
    try:
        if sys.platform != "win32" and place.stat().st_uid != os.geteuid():
            return ""
        return place.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _address(said: str) -> tuple[int, str] | None:
    """Port and token; None: it is a path."""
    port, _, token = said.partition(" ")
    return (int(port), token) if port.isdecimal() and port.isascii() and int(port) < 1 << 16 else None


def _unix_family() -> socket.AddressFamily:
    return socket.AddressFamily(getattr(socket, "AF_UNIX"))  # noqa: B009 - Windows' Python has none
