"""Starts a supervisor, and waits for what becomes of its worker."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from worker_core import bundle
from worker_core.basics.console import background_flags
from worker_core.basics.quick_dataclass import dataclass
from worker_core.control_socket import endpoint as endpoints
from worker_core.control_socket.client import WorkerSilent, running_workers
from worker_core.daemon.brief import Brief
from worker_core.data_format import OURS
from worker_core.errors import ConfigurationError, ExitCode, KubiyaError
from worker_core.machine.identity import birth_mark
from worker_core.paths import private_directory
from worker_core.secrets import KEY_VARIABLES
from worker_core.snapshot import EngineSnapshot, EngineState

if TYPE_CHECKING:
    from worker_core.paths import Paths
    from worker_core.settings import Settings

READY_SECONDS: Final = 8.0
"""How long the start of a daemon waits for its first queue where that meets with trouble: without the network, it goes
on behind our back.
"""

SLOW_SECONDS: Final = 60.0
"""How long it waits where nothing is wrong but that the machine, or the server, takes its time: what is wrong is not
known yet.
"""

_UP_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 0.1
_OF_A_MANAGER: Final = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")
_BOOT: Final = "import sys; sys.path.insert(0, {root!r}); from worker_core.daemon.supervisor import main; main()"


class DaemonFailed(KubiyaError):
    """The daemon did not start, or its worker did not; the text says why."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.exit_code = code  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A daemon that is up."""

    name: str
    pid: int
    """Of the supervisor."""

    log_file: Path
    worker: EngineSnapshot


def launch(*, name: str, arguments: Sequence[str], settings: Settings, paths: Paths) -> Launched:
    """Start a daemon; returns once its worker serves its queues, or tries to and nothing else is wrong.

    Args:
        name: of the daemon, checked.
        arguments: of `kubiya-worker start`.
        settings: as they are read from the arguments, to begin with: each worker reads them anew.
        paths: where it runs.

    Raises:
        DaemonFailed: with the exit code of the worker.
        KubiyaError: the supervisor cannot be started.
    """
    paths.check()
    OURS.check(paths)
    private_directory(paths.runtime)
    private_directory(paths.logs)
    if os.name == "posix":
        paths.runtime.chmod(0o700)
    keys = {one: os.environ[one] for one in KEY_VARIABLES if os.environ.get(one)}
    environment = {**_without_keys(os.environ), "NO_COLOR": "1", "PYTHONFAULTHANDLER": "1"}
    if "KUBIYA_WORKER_HOME" in environment:
        environment["KUBIYA_WORKER_HOME"] = str(Path(environment["KUBIYA_WORKER_HOME"]).expanduser().absolute())
    program = _program(environment)
    log_file = paths.log_of(name)
    log_options = [f"--file={log_file}", f"--format={settings.log_format}"]
    log_options += [f"--limit-mb={settings.log_file_mb}", f"--files={settings.log_files}"]
    unix = endpoints.default_transport() == "unix"
    with _supervisor() as process:
        brief = Brief(
            name=name,
            pid=process.pid,
            born=psutil.Process(process.pid).create_time(),
            mark=birth_mark(process.pid),
            worker=(*program, "start", "--supervised", f"--name={name}", *arguments),
            recorder=(*program, "record-output", *log_options),
            environment=environment,
            keys=keys,
            folder=str(Path.cwd()),
            runtime=str(paths.runtime),
            socket_path=endpoints.short_enough(paths.daemon_socket(name)) if unix else "",
            log_file=str(log_file),
            restart_after=settings.restart_after.total_seconds(),
            restart_after_limit=settings.restart_after_limit.total_seconds(),
            hung_after=settings.hung_after.total_seconds(),
        )
        said = _told(process, brief)
        up = _next(said, limit_seconds=_UP_SECONDS)
        if up.get("event") != "up":
            raise _failure(up, brief)
        snapshot = _settled(brief, paths.runtime, up["worker_pid"], said)
    return Launched(name=name, pid=process.pid, log_file=log_file, worker=snapshot)


def _without_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """Nor what a service manager told whoever starts the daemon: that is not for its worker."""
    return {name: value for name, value in environ.items() if name not in {*KEY_VARIABLES, *_OF_A_MANAGER}}


def _program(environment: dict[str, str]) -> tuple[str, ...]:
    """This program, as another process begins it."""
    if bundle.is_frozen():
        return (sys.executable,)
    if sys.platform == "win32":  # a virtual environment's own python.exe there only starts another process
        environment["__PYVENV_LAUNCHER__"] = sys.executable
        return (str(getattr(sys, "_base_executable", sys.executable)), "-m", "worker_core")
    return (sys.executable, "-m", "worker_core")


@contextlib.contextmanager
def _supervisor() -> Iterator[subprocess.Popen[bytes]]:
    """It goes on behind the block; where that fails, it is told to stop."""
    root = bundle.libraries() if bundle.is_frozen() else Path(__file__).resolve().parents[2]
    python = bundle.child_python()
    if sys.platform == "win32" and not bundle.is_frozen():
        python = str(getattr(sys, "_base_executable", python))
    try:
        process = subprocess.Popen(
            [python, "-I", "-S", "-c", _BOOT.format(root=str(root))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**_without_keys(os.environ), "MALLOC_ARENA_MAX": "1"},  # glibc: its few threads share what they free
            start_new_session=True,
            creationflags=background_flags(),
        )
    except OSError as error:
        raise KubiyaError(f"The daemon cannot be started ({error.strerror or error}).") from error
    try:
        yield process
    except BaseException:
        if process.poll() is None:
            process.terminate()
        raise
    finally:
        process.returncode = process.poll() or 0  # it is not ours to wait for


def _told(process: subprocess.Popen[bytes], brief: Brief) -> queue.SimpleQueue[dict[str, Any]]:
    """Hand over the brief; what the supervisor says comes into the queue, and at its end an empty one."""
    said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in process.stdout:
                said.put(json.loads(line))
        said.put({})

    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(json.dumps(brief._asdict()).encode() + b"\n")
    threading.Thread(target=read, name="daemon", daemon=True).start()
    return said


def _next(said: queue.SimpleQueue[dict[str, Any]], *, limit_seconds: float) -> dict[str, Any]:
    try:
        return said.get(timeout=limit_seconds)
    except queue.Empty:
        return {"event": "ended", "code": int(ExitCode.UNEXPECTED), "why": "The worker did not come up in time."}


def _settled(brief: Brief, runtime: Path, pid: int, said: queue.SimpleQueue[dict[str, Any]]) -> EngineSnapshot:
    """What the worker is once it has left STARTING, or could not for a while."""
    begun = time.monotonic()
    snapshot = EngineSnapshot()
    while True:
        with contextlib.suppress(queue.Empty):
            event = said.get(timeout=_LOOK_SECONDS)
            if event.get("event") == "ended" and event.get("code") == ExitCode.OK:
                return replace(snapshot, state=EngineState.STOPPED, reason="Its worker has left, as it was told to.")
            raise _failure(event, brief)
        with contextlib.suppress(WorkerSilent):
            for worker in running_workers(runtime):
                if worker.pid == pid:
                    snapshot = worker.status()
        waits = snapshot.state in {EngineState.STARTING, EngineState.STOPPED, EngineState.FAILED}
        troubled = any(queue.trouble is not None for queue in snapshot.queues)
        if not waits or time.monotonic() - begun >= (READY_SECONDS if troubled else SLOW_SECONDS):
            return snapshot


def _failure(event: Mapping[str, Any], brief: Brief) -> KubiyaError:
    match event.get("event"):
        case "taken":
            return ConfigurationError(
                f"A daemon called {brief.name} runs already. `kubiya-worker stop --worker {brief.name}` ends it; or "
                "give this one another --name."
            )
        case "ended":
            why = event.get("why") or "Its worker has left."
            return DaemonFailed(str(why), int(event.get("code") or 0))
        case _:
            return KubiyaError(f"The daemon ended at once. The log may say more: {brief.log_file}")
