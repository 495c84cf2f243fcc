"""When the user is called: at once, or, what came in quiet hours, in one message after them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.daily_hours import DailyHours
from worker_core.basics.files import write_private
from worker_core.hooks.occasion import Told, now
from worker_core.paths import is_private, private_directory
from worker_core.settings import SettingsInForce

log = logging.getLogger(__name__)

MOST_HELD: Final = 200
"""Of what came in quiet hours; the oldest goes."""

LONGEST_REST: Final = timedelta(minutes=10)
"""Timers do not count the time that a machine sleeps, and its clock may be set: so often is it looked at."""


def local_now() -> datetime:
    """Of this machine's time zone."""
    return datetime.now().astimezone()


def held_file(folder: Path, queue_ids: Collection[str]) -> Path:
    """Where a worker of these queues keeps what it holds: several may share a home."""
    return folder / f"{hashlib.sha256(' '.join(sorted(queue_ids)).encode()).hexdigest()[:16]}.json"


class Calls:
    """Of one engine, on its loop. What is held lies on disk, so that a worker which fails at night is heard of."""

    def __init__(
        self,
        *,
        in_force: SettingsInForce,
        file: Path,
        host_id: str,
        waiting: Callable[[], Collection[str]],
        send: Callable[[Told], None],
        clock: Callable[[], datetime] = local_now,
    ) -> None:
        """Reads what an earlier worker held.

        Args:
            in_force: say which hours are quiet.
            file: of what is held.
            host_id: of this machine.
            waiting: ids of the questions that wait.
            send: tells the user.
            clock: this machine's.
        """
        self._in_force = in_force
        self._file = file
        self._host_id = host_id
        self._waiting = waiting
        self._send = send
        self._clock = clock
        self._alarm: asyncio.TimerHandle | None = None
        self._held: list[Told] = []
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if is_private(file):
                self._held = typed_json.decode(file.read_bytes(), list[Told])[-MOST_HELD:]

    def tell(self, told: Told) -> None:
        """At once, or after the quiet hours."""
        if not self._left():
            self._send(told)
            return
        if told.approval_id and any(one.approval_id == told.approval_id for one in self._held):
            return
        self._held.append(replace(told, at=now()))
        if len(self._held) > MOST_HELD:
            log.warning("More than %d calls came in quiet hours: the oldest is not told.", MOST_HELD)
            del self._held[0]
        self._write()
        self.look()

    def look(self) -> None:
        """Tell what was held where its time has come; else look again then."""
        self.close()
        if not self._held:
            return
        if left := self._left():
            seconds = min(left, LONGEST_REST).total_seconds()
            self._alarm = asyncio.get_running_loop().call_later(seconds, self.look)
            return
        held, self._held = self._held, []
        self._write()
        waiting = self._waiting()
        still = tuple(one for one in held if one.occasion != "waiting" or one.approval_id in waiting)
        if len(still) == 1:
            self._send(still[0])
        elif still:
            self._send(Told(occasion="quiet_over", host_id=self._host_id, calls=still))

    def close(self) -> None:
        """Look no more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    @property
    def quiet(self) -> bool:
        """Whether nothing goes out now."""
        return bool(self._left())

    def _left(self) -> timedelta:
        hours = self._in_force.current.notify_quiet
        return DailyHours.read(hours).left(self._clock()) if hours else timedelta()

    def _write(self) -> None:
        try:
            if self._held:
                private_directory(self._file.parent)
                write_private(self._file, msgspec.json.encode(self._held), durable=False)
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("What came in quiet hours is kept in memory alone: %s.", error.strerror or error)
