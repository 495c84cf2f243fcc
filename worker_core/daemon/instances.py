"""What of this user's runs on this machine: workers, and the daemons that keep some of them; and which one is meant."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import psutil

from worker_core.basics import typed_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.control_socket import endpoint as endpoints
from worker_core.control_socket.client import (
    ANSWER_LIMIT_SECONDS,
    NoWorker,
    RunningWorker,
    StopName,
    WorkerSilent,
    running_workers,
)
from worker_core.control_socket.endpoint import Endpoint
from worker_core.snapshot import EngineSnapshot

_Kind = TypeVar("_Kind")

DAEMONS: Final = "daemon-*.json"
ENDED: Final = "ended-*.json"
NOBODY: Final = (
    "No worker of yours runs on this machine. Start one with `kubiya-worker start --queue-id ID`; with --daemon it is "
    "in the background."
)


class DaemonFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor says of itself. Times in seconds since the epoch; 0: never, or none."""

    name: str
    pid: int
    since: float
    worker_pid: int
    worker_since: float
    restarts: int
    last_crash: str
    last_crash_at: float
    next_start_at: float
    stopping: bool
    log_file: str


class EndedDaemon(msgspec.Struct, frozen=True, kw_only=True):
    """One that ended though nobody told it to: another worker would not have helped."""

    name: str
    at: float
    code: int
    why: str


class RunningDaemon:
    """One supervisor. Every method raises WorkerSilent where it does not answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.name = endpoint.name
        self.pid = endpoint.pid

    def facts(self) -> DaemonFacts:
        with contextlib.closing(_Talk(self._endpoint, {"verb": "facts"})) as talk:
            return talk.read("facts", DaemonFacts)

    def stop(self, mode: StopName) -> StoppingDaemon:
        """Tell it to stop its worker, and to start no other; it ends when the worker has."""
        talk = _Talk(self._endpoint, {"verb": "stop", "mode": mode, "wait": True})
        try:
            talk.read("facts", DaemonFacts)
        except BaseException:
            talk.close()
            raise
        return StoppingDaemon(talk, self.pid)


class Ended(msgspec.Struct, frozen=True):
    """How a daemon ended."""

    code: int
    why: str


class StoppingDaemon:
    """A daemon that was told to stop; close it, or wait for its end."""

    def __init__(self, talk: _Talk, pid: int) -> None:
        self._talk = talk
        self._pid = pid

    def wait(self) -> Ended:
        """How it ended; there is no limit but the worker's own.

        Raises:
            WorkerSilent: it did not say.
        """
        with contextlib.closing(self._talk):
            ended = self._talk.read("ended", Ended, limited=False)
        with contextlib.suppress(psutil.Error):
            psutil.Process(self._pid).wait(ANSWER_LIMIT_SECONDS)
        return ended

    def close(self) -> None:
        self._talk.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A worker, or a daemon, or both: a daemon has no worker while it waits to start one again."""

    worker: RunningWorker | None = None
    daemon: RunningDaemon | None = None
    facts: DaemonFacts | None = None
    """The daemon's; None where it does not answer."""

    @property
    def name(self) -> str:
        return self.daemon.name if self.daemon is not None else self.worker.name if self.worker is not None else ""

    @property
    def pid(self) -> int:
        """The worker's; the daemon's where there is none."""
        one = self.worker or self.daemon
        assert one is not None
        return one.pid

    @property
    def label(self) -> str:
        """For a list to choose from."""
        return f"{self.name} (pid {self.pid})" if self.name else f"pid {self.pid}"

    def the_worker(self) -> RunningWorker:
        """To steer it.

        Raises:
            NoWorker: there is none at the moment.
        """
        if self.worker is not None:
            return self.worker
        said = ""
        if self.facts is not None and self.facts.last_crash:
            seconds = max(0.0, self.facts.next_start_at - datetime.now(UTC).timestamp())
            said = f" {self.facts.last_crash} It is started again in {seconds:.0f} s."
        raise NoWorker(f"The daemon {self.name} has no worker at the moment.{said}")


def instances(folder: Path) -> list[Instance]:
    """All of them, by pid; what dead ones left is removed.

    Args:
        folder: `paths.runtime`.

    Raises:
        OSError: it cannot be read, so nobody knows.
    """
    with contextlib.suppress(FileNotFoundError):  # in a folder that may not be read, a pattern finds nothing
        os.scandir(folder).close()
    workers = [Instance(worker=worker) for worker in running_workers(folder)]
    alone = []
    for endpoint in endpoints.found(folder, DAEMONS):
        daemon, facts = RunningDaemon(endpoint), None
        with contextlib.suppress(WorkerSilent):
            facts = daemon.facts()
        own = [one for one in workers if one.name == daemon.name and (facts is None or one.pid == facts.worker_pid)]
        if own:
            workers[workers.index(own[0])] = replace(own[0], daemon=daemon, facts=facts)
        else:
            alone.append(Instance(daemon=daemon, facts=facts))
    return sorted((*workers, *alone), key=lambda one: one.pid)


def chosen(folder: Path, wanted: str = "") -> Instance:
    """The one that is meant: by its name, its pid (or its daemon's), or a queue that it alone serves; or the only one.

    Raises:
        NoWorker: there is none, or several fit.
    """
    running = instances(folder)
    if not running:
        raise NoWorker(NOBODY)
    fitting = _fitting(running, wanted) if wanted else running
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise NoWorker(f"No worker of yours has the name, the pid or the queue {wanted!r}. {_list(running)}")
    if wanted:
        raise NoWorker(f"{len(fitting)} workers fit {wanted!r}. {_list(fitting)}")
    raise NoWorker(f"{len(fitting)} workers run. {_list(fitting)}")


def workers_of(folder: Path, wanted: str = "") -> list[RunningWorker]:
    """The one that is meant; all of them where none was named.

    Raises:
        NoWorker: there is none.
    """
    if wanted:
        return [chosen(folder, wanted).the_worker()]
    found = running_workers(folder)
    return found or [chosen(folder).the_worker()]


def ended_daemons(folder: Path) -> list[EndedDaemon]:
    """Those that ended by themselves, and were not started since."""
    found = []
    for file in sorted(folder.glob(ENDED)):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            found.append(typed_json.decode(file.read_bytes(), EndedDaemon))
    return found


def _fitting(running: Sequence[Instance], wanted: str) -> list[Instance]:
    if named := [one for one in running if one.name == wanted]:
        return named
    if wanted.isdecimal():
        pid = int(wanted)
        return [one for one in running if pid == one.pid or (one.daemon is not None and pid == one.daemon.pid)]
    found = []
    for one in running:
        if one.worker is not None:
            with contextlib.suppress(WorkerSilent):
                if _serves(one.worker.status(), wanted):
                    found.append(one)
    return found


def _serves(snapshot: EngineSnapshot, queue: str) -> bool:
    return any(queue in (one.queue_id, one.queue_name) for one in snapshot.queues)


def _list(running: Sequence[Instance]) -> str:
    return f"Choose with --worker NAME, QUEUE or PID: {', '.join(one.label for one in running)}."


class _Talk:
    """One connection to a supervisor. Raises WorkerSilent where it does not answer."""

    def __init__(self, endpoint: Endpoint, request: dict[str, Any]) -> None:
        self._name = endpoint.name
        try:
            self._connection = endpoint.connect(limit_seconds=ANSWER_LIMIT_SECONDS)
            self._answers = self._connection.makefile("rb")
            self._connection.sendall(msgspec.json.encode({**request, "token": endpoint.token}) + b"\n")
        except OSError as error:
            raise self._silent(error) from error

    def read(self, key: str, kind: type[_Kind], *, limited: bool = True) -> _Kind:
        """What stands under this key in the next answer."""
        try:
            if not limited:
                self._connection.settimeout(None)
            answer = msgspec.json.decode(self._answers.readline())
            return typed_json.convert(answer.get(key) if isinstance(answer, dict) else None, kind)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise self._silent(error) from error

    def close(self) -> None:
        self._answers.close()
        self._connection.close()

    def _silent(self, error: Exception) -> WorkerSilent:
        return WorkerSilent(f"The daemon {self._name} does not answer ({error}).")
