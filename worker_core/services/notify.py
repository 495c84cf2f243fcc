"""What the worker tells systemd: that it serves, what it does, that it leaves, that it makes progress (sd_notify(3)).

The watchdog is fed from the event loop, so a loop that does not turn feeds it not; and only while heartbeats come to an
end, well or badly. An outage of the control plane is therefore nothing that a restart is thought to help against.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, Protocol, Self

from worker_core.basics.plain import one_line
from worker_core.basics.quick_dataclass import dataclass
from worker_core.events import Event, EventBus, HeartbeatFailed, HeartbeatSent, SnapshotReplaced
from worker_core.snapshot import EngineSnapshot, EngineState

log = logging.getLogger(__name__)

HEARTBEATS_END_WITHIN: Final = timedelta(minutes=5)
"""They are 60 s apart at most, and none takes longer than 10 s."""

LEAVING_MARGIN: Final = timedelta(seconds=60)
"""Behind the drain: calls are cancelled, the last events go out, queues are signed off."""

_FEEDS: Final = 3
"""In the time that the watchdog waits."""

_STATUS_LIMIT: Final = 300
_LEAVING: Final = frozenset({EngineState.DRAINING, EngineState.STOPPED, EngineState.FAILED})


class Watched(Protocol):
    """What is needed of an engine."""

    snapshot: EngineSnapshot
    events: EventBus


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceManager:
    """systemd, where it started this process and wants to hear of it; else nothing is sent."""

    address: str = ""
    """Of its socket: a path, or a name of the abstract namespace behind an `@`."""

    watchdog: timedelta | None = None
    """How long it waits for a sign of progress; None: it does not."""

    @classmethod
    def take_from(cls, environ: MutableMapping[str, str] = os.environ) -> Self:
        """Read the variables, and take them away, so that no child process speaks for the worker."""
        address = environ.pop("NOTIFY_SOCKET", "")
        microseconds, process = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        is_ours = process in {"", str(os.getpid())}
        watchdog = timedelta(microseconds=int(microseconds)) if microseconds.isdecimal() and is_ours else None
        return cls(address=address if address[:1] in {"/", "@"} else "", watchdog=watchdog or None)

    def tell(self, *lines: str) -> None:
        """Send assignments such as `READY=1`. What cannot be sent is left out: the worker works on."""
        if not self.address or sys.platform == "win32":
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(1)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.debug("The service manager could not be told (%s).", error.strerror or error)

    def ready(self) -> None:
        """The worker serves its control socket; also after a reload."""
        self.tell("READY=1")

    def reloading(self) -> None:
        """It reads its settings anew; `ready` says when that is done."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    @contextmanager
    def attending(self, engine: Watched, *, drain_timeout: Callable[[], timedelta]) -> Iterator[None]:
        """Tell what an engine does, and feed the watchdog, inside the block; on the engine's event loop.

        Args:
            engine: the one.
            drain_timeout: how long it may finish what runs; asked when it begins to leave.
        """
        if not self.address:
            yield
            return
        voice = _Voice(self, drain_timeout)
        progress = HeartbeatProgress()
        stop = (
            engine.events.listen(voice.heard, only=(SnapshotReplaced,)),
            engine.events.listen(progress.heard, only=(HeartbeatSent, HeartbeatFailed)),
        )
        feeding = asyncio.create_task(self._feed(progress), name="watchdog") if self.watchdog else None
        try:
            yield
        finally:
            for one in stop:
                one()
            if feeding is not None:
                feeding.cancel()

    async def _feed(self, progress: HeartbeatProgress) -> None:
        assert self.watchdog is not None
        while True:
            if progress.lately:
                self.tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog.total_seconds() / _FEEDS)


class HeartbeatProgress:
    """Whether heartbeats come to an end, once there was one."""

    def __init__(
        self, *, limit: timedelta = HEARTBEATS_END_WITHIN, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit.total_seconds()
        self._clock = clock
        self._ended: float | None = None

    def heard(self, _: Event) -> None:
        self._ended = self._clock()

    @property
    def lately(self) -> bool:
        return self._ended is None or self._clock() - self._ended <= self._limit


class _Voice:
    """Says each change once."""

    def __init__(self, manager: ServiceManager, drain_timeout: Callable[[], timedelta]) -> None:
        self._manager = manager
        self._drain_timeout = drain_timeout
        self._said = ""
        self._leaves = False

    def heard(self, event: Event) -> None:
        assert isinstance(event, SnapshotReplaced)
        snapshot = event.snapshot
        lines = []
        if snapshot.state in _LEAVING and not self._leaves:
            self._leaves = True
            limit = self._drain_timeout() + LEAVING_MARGIN
            lines += ["STOPPING=1", f"EXTEND_TIMEOUT_USEC={limit // timedelta(microseconds=1)}"]
        if (said := status_line(snapshot)) != self._said:
            self._said = said
            lines.append(f"STATUS={said}")
        if lines:
            self._manager.tell(*lines)


def status_line(snapshot: EngineSnapshot) -> str:
    """What `systemctl status` shows: state, reason, and how much is under way."""
    running, done = snapshot.tasks_in_flight, snapshot.tasks_processed
    work = f" {running} of {snapshot.executions_limit} at work, {done} finished."
    return one_line(f"{snapshot.state.value}: {snapshot.reason}{work}", _STATUS_LIMIT)
