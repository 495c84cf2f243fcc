"""A worker as its user starts it: the command line program, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.playground import Stage

LIMIT_SECONDS = 60.0


@dataclass(slots=True)
class WorkerProcess:
    """`lines` is what it printed; `log` what it logged."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    _arrived: queue.SimpleQueue[None] = field(default_factory=queue.SimpleQueue)
    _readers: list[threading.Thread] = field(default_factory=list)

    def read(self) -> None:
        def take(stream: object, into: list[str]) -> None:
            for line in stream:  # type: ignore[attr-defined]
                into.append(line.rstrip("\n"))
                self._arrived.put(None)
            stream.close()  # type: ignore[attr-defined]
            self._arrived.put(None)

        for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.log)):
            self._readers.append(threading.Thread(target=take, args=(stream, into), daemon=True))
            self._readers[-1].start()

    def read_to_the_end(self) -> None:
        """Once the process has ended: `lines` and `log` are whole then."""
        for reader in self._readers:
            reader.join(LIMIT_SECONDS)

    def wait_ready(self) -> str:
        """The `ready` line."""
        return self.wait_line(self.lines, "ready")

    def wait_log(self, words: str) -> str:
        return self.wait_line(self.log, words)

    def wait_line(self, lines: list[str], words: str) -> str:
        while True:
            for line in tuple(lines):
                if words in line:
                    return line
            if self.process.poll() is not None:
                self.read_to_the_end()
                found = [line for line in lines if words in line]
                assert found, f"the worker ended: {self.process.returncode} {self.log[-5:]}"
                return found[0]
            with contextlib.suppress(queue.Empty):
                self._arrived.get(timeout=LIMIT_SECONDS)
                continue
            raise AssertionError(f"no line with {words!r} in {LIMIT_SECONDS} s: {self.lines} {self.log[-20:]}")

    def kill(self) -> None:
        """As the kernel does it: no handler runs."""
        self.process.kill()
        self.process.wait(LIMIT_SECONDS)

    def terminate(self) -> int:
        """SIGTERM (on Windows: Ctrl-Break), and the exit code."""
        if sys.platform == "win32":
            self.process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_SECONDS)


@contextlib.contextmanager
def worker_process(
    stage: Stage,
    folder: Path,
    *queue_ids: str,
    options: Sequence[str] = (),
    program: str = "worker_core",
    own_session: bool = False,
    **environment: str,
) -> Iterator[WorkerProcess]:
    """`kubiya-worker start` on a playground; killed afterwards if the test did not end it.

    `own_session`: without the terminal that the tests may have, as a service manager starts it.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", program, "start", *(f"--queue-id={one}" for one in queue_ids), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "KUBIYA_WORKER_SANDBOX": "none",  # many tests look from outside at what a tool does
            "KUBIYA_WORKER_HOME": str(folder),
            "KUBIYA_API_KEY": stage.info.api_key,
            "CONTROL_PLANE_URL": stage.info.control_plane_url,
            "NO_COLOR": "1",
            "KUBIYA_WORKER_APPROVALS": "allow",
            **environment,
        },
        start_new_session=own_session,
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
    )
    worker = WorkerProcess(process)
    worker.read()
    try:
        yield worker
    finally:
        if process.poll() is None:
            worker.kill()
        worker.read_to_the_end()
