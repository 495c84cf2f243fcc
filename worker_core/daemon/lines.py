"""One JSON line asks, one JSON line answers: of the supervisor's two ends, with the standard library alone."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any


def say(connection: socket.socket, content: Mapping[str, Any]) -> None:
    """One line. Raises OSError: the other side does not take it."""
    connection.sendall(json.dumps(content).encode() + b"\n")


def heard(connection: socket.socket, *, limit_bytes: int, at_once_bytes: int) -> Any:
    """What the other side says in its first line.

    Args:
        connection: with a limit for each wait.
        limit_bytes: behind which nothing more is read.
        at_once_bytes: in one read.

    Raises:
        OSError: it does not come.
        ValueError, RecursionError: it is no JSON, or longer than the limit.
    """
    received = bytearray()
    while not received.endswith(b"\n") and len(received) < limit_bytes:
        piece = connection.recv(at_once_bytes)
        if not piece:
            break
        received += piece
    return json.loads(received)
