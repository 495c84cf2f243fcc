"""Programs of tests that listen on a port of this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.temporal import free_port

PORT = "PORT"
"""Among the arguments: the port stands there."""


@contextlib.contextmanager
def listening(program: Path, *arguments: str, **environment: str) -> Iterator[int]:
    """A Python program, from the time that it listens; its port."""
    port = free_port()
    command = [sys.executable, str(program), *(str(port) if one is PORT else one for one in arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    try:
        _wait_for_port(port, process)
        yield port
    finally:
        process.kill()
        process.wait(60)


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None
        assert time.monotonic() < deadline
