"""A network of its own for the playground's Temporal server, with a door for this user's programs (Linux).

bubblewrap makes the network namespace; `temporal_door.py` is the door.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from worker_core import bundle
from worker_core.errors import ConfigurationError

PORT: Final = 7233
"""Inside, where nobody else has one."""

DOOR: Final = Path(__file__).with_name("temporal_door.py")

# A process namespace, since all that is in one ends with its first process: the server does not outlive its door.
_WALLS: Final = ("--dev-bind", "/", "/", "--unshare-net", "--unshare-pid", "--die-with-parent", "--")
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Whose connections are whose. The second is missing where the machine has no IPv6."""


def find() -> tuple[str, str]:
    """Path of bubblewrap, and nothing; or nothing, and a sentence that says why there is no network of its own."""
    if sys.platform != "linux":
        return "", "This system has no network namespaces."
    from worker_core.sandbox import linux

    program = linux.find_program()
    if program is None:
        return "", "bubblewrap is not installed."
    if not os.access(_TABLES[0], os.R_OK):
        return "", f"{_TABLES[0]} cannot be read."
    try:
        tried = subprocess.run(
            [program, *_WALLS, "/bin/sh", "-c", ":"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=linux.PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return "", f"bubblewrap ({program}) could not be started: {error}."
    if tried.returncode == 0:
        return program, ""
    return "", linux.explain(program, " ".join(tried.stderr.decode("utf-8", "replace").split())[:300])


def listening(ip: str, port: int) -> socket.socket:
    """A listener outside; port 0 takes a free one.

    Raises:
        ConfigurationError: the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ip, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"Temporal cannot listen on {ip}:{port}: {error.strerror}.") from error
    return listener


@contextlib.contextmanager
def tables() -> Iterator[list[int]]:
    """The tables of connections, as this process sees them: inside they would be those of the inside."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(path.open("rb")).fileno() for path in _TABLES if path.exists()]


def command(
    program: str, listener: socket.socket, tables: Sequence[int], server: Sequence[str]
) -> tuple[list[str], tuple[int, ...]]:
    """What to start, and the descriptors that it needs.

    Args:
        program: path of bubblewrap.
        listener: of `listening`; may be closed once the process is started, as may `tables`.
        tables: of `tables`.
        server: the server's command, without its port.

    """
    if sys.platform != "linux":
        raise OSError("There are no network namespaces.")
    inside = [*server, "--port", str(PORT)]
    door = [bundle.child_python(), "-I", "-S", str(DOOR), str(listener.fileno()), ",".join(map(str, tables))]
    descriptors = (listener.fileno(), *tables)
    return [program, *_WALLS, *door, str(os.geteuid()), str(PORT), *inside], descriptors
