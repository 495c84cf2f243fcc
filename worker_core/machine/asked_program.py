"""Asks a program of the system's something: bounded in time and in what it may say, also where it cannot be killed.

A program that waits in its driver does not die when it is killed, and whoever waits for its end waits as long. So
nobody does: it is left to itself, and not started a second time while it is there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Final

from worker_core.basics.quick_dataclass import dataclass

MOST_BYTES: Final = 256 * 1024
"""Of what it says on each of its two outputs."""

_END_SECONDS: Final = 1.0
"""For a killed one to be gone."""

_NO_WINDOW: Final = int(getattr(subprocess, "CREATE_NO_WINDOW", 0))
"""Windows alone has it."""


class NoProgramAnswer(Exception):
    """Why there is none."""


class TooSlow(NoProgramAnswer):
    """It did not answer in time, and was killed."""


class StillThere(NoProgramAnswer):
    """It was killed before, and has not ended yet. Nothing was started."""


class TooMuchSaid(NoProgramAnswer):
    """It said more than `MOST_BYTES`, and was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramAnswer:
    """How a program ended, and what it said."""

    code: int
    output: str
    errors: str


class AskedProgram:
    """One program, asked by any thread, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: subprocess.Popen[bytes] | None = None
        """It was killed, and is not gone."""

    def ask(self, command: Sequence[str], *, environment: Mapping[str, str], seconds: float) -> ProgramAnswer:
        """Start it and wait for its answer.

        Args:
            command: the program with its arguments.
            environment: the variables that it gets, and no others.
            seconds: for all of it, another's question before this one too.

        Raises:
            OSError: it cannot be started.
            NoProgramAnswer: there is no answer.

        """
        until = time.monotonic() + seconds
        if not self._lock.acquire(timeout=max(0.0, seconds)):
            raise TooSlow
        try:
            if self._left is not None and self._left.poll() is None:
                raise StillThere
            self._left = None
            return self._ask(command, environment, until)
        finally:
            self._lock.release()

    def _ask(self, command: Sequence[str], environment: Mapping[str, str], until: float) -> ProgramAnswer:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=sys.platform != "win32",
            creationflags=_NO_WINDOW,
        )
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            readings = _Reading(process.stdout), _Reading(process.stderr)
            for one in readings:
                one.wait(until)
            code = process.wait(max(0.0, until - time.monotonic()))
        except (subprocess.TimeoutExpired, NoProgramAnswer) as error:
            self._end(process)
            raise (TooSlow() if isinstance(error, subprocess.TimeoutExpired) else error) from None
        except BaseException:
            self._end(process)
            raise
        return ProgramAnswer(code=code, output=readings[0].text, errors=readings[1].text)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        _kill(process)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._left = process


class _Reading:
    """Reads one output in a thread of its own, which ends with it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._said = bytearray()
        self._ended = threading.Event()
        try:
            threading.Thread(target=self._read, args=(pipe,), name="program's answer", daemon=True).start()
        except RuntimeError:  # no more threads
            pipe.close()
            raise TooSlow from None

    @property
    def text(self) -> str:
        return self._said.decode("utf-8", "replace")

    def wait(self, until: float) -> None:
        """Until it was read to its end."""
        if not self._ended.wait(max(0.0, until - time.monotonic())):
            raise TooSlow
        if len(self._said) > MOST_BYTES:
            raise TooMuchSaid

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe, contextlib.suppress(OSError):
            while len(self._said) <= MOST_BYTES and (piece := pipe.read(65536)):
                self._said += piece
        self._ended.set()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With what it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
