"""The control socket of a worker, asked with the standard library alone."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from worker_core.daemon.lines import heard, say

_LONGEST_ANSWER_BYTES: Final = 64 * 1024 * 1024
_AT_ONCE_BYTES: Final = 64 * 1024


class NoAnswer(Exception):
    """The worker cannot be asked, did not answer in time, or refused."""


def ask(folder: str, pid: int, request: Mapping[str, Any], *, limit_seconds: float) -> dict[str, Any]:
    """What the worker with this pid answers to one request that has one answer.

    Args:
        folder: `paths.runtime`.
        pid: of a child of ours that we have not waited for: the number is its own.
        request: with its verb.
        limit_seconds: for each wait.

    Raises:
        NoAnswer: there is none.
    """
    try:
        place = _place_of(folder, pid)
        with _connected(place, limit_seconds) as connection:
            say(connection, {**request, "token": place.get("token", "")})
            answer = heard(connection, limit_bytes=_LONGEST_ANSWER_BYTES, at_once_bytes=_AT_ONCE_BYTES)
    except (OSError, ValueError, RecursionError) as error:
        raise NoAnswer(str(error)) from error
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        raise NoAnswer(str(answer)[:200])
    return answer


def _place_of(folder: str, pid: int) -> dict[str, Any]:
    """As `control_socket/endpoint.py` wrote it."""
    for file in Path(folder).glob(f"worker-{pid}-*.json"):
        place = json.loads(file.read_bytes())
        if isinstance(place, dict) and place.get("pid") == pid and place.get("host") == socket.gethostname():
            return place
    raise FileNotFoundError("It has no control socket yet.")


def _connected(place: Mapping[str, Any], limit_seconds: float) -> socket.socket:
    path = place.get("path")
    family = getattr(socket, "AF_UNIX") if path else socket.AF_INET  # noqa: B009 - Windows' Python has none
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(limit_seconds)
        connection.connect(path or ("127.0.0.1", int(place["port"])))
    except BaseException:
        connection.close()
        raise
    return connection
