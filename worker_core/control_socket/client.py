"""The running workers of this user on this machine, as other commands see and steer them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from worker_core import events as happenings
from worker_core.basics import typed_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Worded, told, worded
from worker_core.control_socket import endpoint as endpoints
from worker_core.control_socket.endpoint import Endpoint
from worker_core.errors import ExitCode, KubiyaError
from worker_core.events import Event
from worker_core.settings import Reloaded, ShownSetting
from worker_core.snapshot import NOTHING, EngineSnapshot, Scope, WholeQuestion

if TYPE_CHECKING:
    from worker_core.control_plane.connections import HttpAnswer
    from worker_core.control_plane.relay import RelayedCall
    from worker_core.machine.gpu_use import GpuUse

ANSWER_LIMIT_SECONDS: Final = 12.0
"""A little more than the worker itself allows its engine."""

Said = TypeVar("Said")
StopName = Literal["drain", "cancel", "now"]


class WorkerSilent(KubiyaError):
    """A worker runs, but does not answer."""

    exit_code = ExitCode.UNREACHABLE


class NoWorker(KubiyaError):
    """No worker of this user runs on this machine, or not the one that was named."""

    exit_code = ExitCode.NOT_CONFIGURED


class RunningWorker:
    """One worker. Every method raises WorkerSilent where it does not answer, and KubiyaError where it refuses."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.pid = endpoint.pid
        self.name = endpoint.name

    def status(self) -> EngineSnapshot:
        return _snapshot(self._ask({"verb": "status"}))

    def pause(self, *, reason: str = "") -> EngineSnapshot:
        """`reason` is a sentence; one that is `worded` is said by each window in its language."""
        said = reason.said if isinstance(reason, Worded) else ()
        return _snapshot(self._ask({"verb": "pause", "reason": str(reason), "said": said}))

    def resume(self) -> EngineSnapshot:
        return _snapshot(self._ask({"verb": "resume"}))

    def approve(
        self,
        approval_id: str,
        *,
        allow: bool,
        scope: Scope,
        seal: str = "",
        values: Mapping[str, Any] = NOTHING,
        rule: str = "",
    ) -> EngineSnapshot:
        """`seal` is that of `whole_question`, where the snapshot leaves something out; `values` fill in its fields;
        `rule` is what `always` writes instead of the snapshot's, where that has a `workspace`.
        """
        request: dict[str, Any] = {"verb": "approve", "id": approval_id, "allow": allow, "scope": scope, "seal": seal}
        if values:
            request["values"] = dict(values)
        if rule:
            request["rule"] = rule
        return _snapshot(self._ask(request))

    def whole_question(self, approval_id: str) -> WholeQuestion:
        """Everything that a call which waits would do."""
        return _read(self._ask({"verb": "question", "id": approval_id}).get("question"), WholeQuestion)

    def reload(self) -> Reloaded:
        """Read the settings again."""
        return _read(self._ask({"verb": "reload"}).get("reloaded"), Reloaded)

    def settings(self) -> list[ShownSetting]:
        """Those in force."""
        return _read(self._ask({"verb": "settings"}).get("settings"), list[ShownSetting])

    def gpus(self) -> GpuUse | None:
        """How busy this machine's GPUs are, asked now. None: nothing is asked there, or an earlier version does not
        know how.
        """
        from worker_core.machine.gpu_use import LIMIT_SECONDS, GpuUse

        try:
            found = self._ask({"verb": "gpus"}, limit_seconds=LIMIT_SECONDS + ANSWER_LIMIT_SECONDS).get("gpus")
        except WorkerSilent:
            raise
        except KubiyaError:
            return None
        return None if found is None else _read(found, GpuUse)

    def ask_control_plane(self, call: RelayedCall) -> HttpAnswer:
        """What the control plane answers, asked with the worker's key."""
        from worker_core.control_plane.connections import HttpAnswer

        request = {"verb": "ask_control_plane", "call": call}
        limit = call.limit_seconds + ANSWER_LIMIT_SECONDS
        return _read(self._ask(request, limit_seconds=limit).get("answer"), HttpAnswer)

    def stop(self, *, mode: StopName, wait: bool) -> Iterator[EngineSnapshot]:
        """Ask it to leave. With `wait`, what it says while it leaves, and at last how it ended."""
        for answer in self._lines({"verb": "stop", "mode": mode, "wait": wait}, endless=wait):
            yield _snapshot(answer)
        if wait:
            import psutil

            with contextlib.suppress(psutil.Error):
                psutil.Process(self.pid).wait(ANSWER_LIMIT_SECONDS)

    def logs(self, *, last: int, follow: bool) -> Iterator[dict[str, Any]]:
        """Answers with `lines`, `dropped`."""
        request = {"verb": "logs", "last": last, "follow": follow}
        for answer in self._lines(request, endless=follow):
            yield answer
            if not follow and not answer.get("more"):
                return

    def watch(self) -> Watch:
        """What happens in it, from now on.

        Raises:
            WorkerSilent: it cannot be reached.
        """
        return Watch(self._endpoint)

    def _ask(self, request: dict[str, Any], *, limit_seconds: float = ANSWER_LIMIT_SECONDS) -> dict[str, Any]:
        return next(self._lines(request, endless=False, limit_seconds=limit_seconds))

    def _lines(
        self, request: dict[str, Any], *, endless: bool, limit_seconds: float = ANSWER_LIMIT_SECONDS
    ) -> Iterator[dict[str, Any]]:
        """The answers, at least one. With `endless`, there is no limit behind the first."""
        try:
            with self._endpoint.connect(limit_seconds=ANSWER_LIMIT_SECONDS) as connection:
                connection.settimeout(limit_seconds)
                # A worker that refuses may have closed its end before it read: what it said is there all the same.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(msgspec.json.encode({**request, "token": self._endpoint.token}) + b"\n")
                with connection.makefile("rb") as answers:
                    first = True
                    for line in answers:
                        answer = msgspec.json.decode(line)
                        if not isinstance(answer, dict) or answer.get("ok") is not True:
                            raise _refusal(answer)
                        if endless:
                            connection.settimeout(None)
                        first = False
                        yield answer
                    if first:
                        raise WorkerSilent(
                            worded(
                                "The worker with pid {pid} closed the connection without an answer.", pid=str(self.pid)
                            )
                        )
        except (OSError, msgspec.DecodeError) as error:
            raise WorkerSilent(
                worded(
                    "The worker with pid {pid} does not answer on its control socket ({why}).",
                    pid=str(self.pid),
                    why=str(error),
                )
            ).with_repair("Its log says more: `kubiya-worker logs`.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a watched worker said: how it is now, and what happened since the last time, in order."""

    snapshot: EngineSnapshot
    events: tuple[Event, ...]
    dropped: int


class Watch:
    """A worker, watched: iterate in a thread, and `close()` from any thread. It ends when the worker ends."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._pid = endpoint.pid
        self._closed = False
        try:
            self._connection = endpoint.connect(limit_seconds=ANSWER_LIMIT_SECONDS)
            self._connection.sendall(msgspec.json.encode({"verb": "watch", "token": endpoint.token}) + b"\n")
        except OSError as error:
            raise WorkerSilent(
                worded("The worker with pid {pid} does not answer ({why}).", pid=str(endpoint.pid), why=str(error))
            ) from error

    def __iter__(self) -> Iterator[News]:
        """Raises KubiyaError where the worker refuses or is of another version."""
        with self._connection, self._connection.makefile("rb") as answers:
            try:
                for line in answers:
                    answer = msgspec.json.decode(line)
                    if not isinstance(answer, dict) or answer.get("ok") is not True:
                        raise _refusal(answer)
                    self._connection.settimeout(None)
                    events = tuple(filter(None, map(_event, answer.get("events") or ())))
                    yield News(snapshot=_snapshot(answer), events=events, dropped=answer.get("dropped") or 0)
            except (OSError, ValueError) as error:
                if not self._closed:
                    raise WorkerSilent(
                        worded(
                            "The worker with pid {pid} does not answer any more ({why}).",
                            pid=str(self._pid),
                            why=str(error),
                        )
                    ) from error

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _event(said: object) -> Event | None:
    """None: an event that this version does not know."""
    kind = getattr(happenings, str(said.get("kind")), None) if isinstance(said, dict) else None
    if not (isinstance(kind, type) and issubclass(kind, Event)) or not isinstance(said, dict):
        return None
    try:
        return typed_json.convert(said.get("event"), kind)
    except (msgspec.ValidationError, TypeError, NameError):
        return None


def running_workers(folder: Path) -> list[RunningWorker]:
    """All of them, by pid; what dead ones left is removed.

    Args:
        folder: `paths.runtime`.
    """
    return [RunningWorker(endpoint) for endpoint in endpoints.found(folder)]


def _snapshot(answer: dict[str, Any]) -> EngineSnapshot:
    return _read(answer.get("snapshot"), EngineSnapshot)


def _read(said: object, kind: type[Said]) -> Said:
    try:
        return typed_json.convert(said, kind)
    except msgspec.ValidationError as error:
        raise KubiyaError(
            worded(
                "The worker's answer cannot be read: it is of another version than this command. Restart the worker."
            )
        ) from error


def _refusal(answer: object) -> KubiyaError:
    said = answer.get("error") if isinstance(answer, dict) else None
    if not (isinstance(answer, dict) and isinstance(said, str) and said):
        return KubiyaError(worded("The worker refused and gave no reason."))
    error = KubiyaError(told(said, answer.get("said")))
    error.repair = repair if isinstance(repair := answer.get("repair"), str) else ""
    return error
