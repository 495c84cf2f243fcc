"""Starts a worker, looks whether it makes progress, and starts it again where it crashed or hangs.

A process of its own, from the standard library alone. It is told what to do over its stdin (`brief.py`), says on its
stdout what becomes of the first start, and is asked at its socket (`door.py`) from then on. It gives up for no number
of crashes: it waits longer from one to the next, up to a limit, and forgets them once a worker ran well for a while.

Where it dies itself, the worker reads the end of its stdin, lets running turns end and leaves (`life_line.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from worker_core.basics.files import locked, write_private
from worker_core.daemon import endings
from worker_core.daemon.asking import NoAnswer, ask
from worker_core.daemon.brief import Brief
from worker_core.daemon.child import ABORT_SECONDS, Child
from worker_core.daemon.door import MODES, Door
from worker_core.daemon.liveness import Liveness
from worker_core.daemon.restarts import Restarts
from worker_core.sandbox.processes.shield import shield_worker

START_LOOK_SECONDS: Final = 0.1
"""Between two looks until a new worker answers for the first time."""

NOW_SECONDS: Final = 15.0
"""For a worker that was told to leave at once."""

RECORD_SECONDS: Final = 30.0

LOCK_SECONDS: Final = 1.0
"""For the lock that another daemon of this name would hold."""

_ENDED: Final = "ended"
_HANG_UP: Final = "hang-up"


class Supervisor:
    """Of one worker at a time."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        self._events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._restart = Restarts(first_seconds=brief.restart_after, limit_seconds=brief.restart_after_limit)
        self._child: Child | None = None
        self._was_up = False
        self._stop = ""
        """The mode that was asked for."""

        self._signals = 0
        self._since = time.time()
        self._restarts = 0
        self._last_crash = ""
        self._last_crash_at = 0.0
        self._next_start_at = 0.0
        self._file = Path(brief.runtime, f"daemon-{brief.name}.json")
        self._ended_file = Path(brief.runtime, f"ended-{brief.name}.json")

    def run(self) -> int:
        """Until it was told to stop, or another worker would not help.

        Returns:
            The last worker's exit code.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        if sys.platform != "win32":
            signal.signal(signal.SIGHUP, lambda *_: self._events.put(_HANG_UP))
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        door = Door(self._brief.socket_path, facts=self.facts, stop=self._events.put)
        brief = self._brief
        place = {"path": door.path, "port": door.port, "token": door.token}
        host = socket.gethostname()
        who = {"pid": brief.pid, "born": brief.born, "mark": brief.mark, "host": host, "name": brief.name}
        with contextlib.suppress(OSError):
            self._ended_file.unlink()
        self._write(self._file, {**who, **place})
        try:
            code, why = self._serve()
        except Exception:
            import traceback

            self._record("CRITICAL", f"The daemon failed; its worker leaves.\n{traceback.format_exc()}")
            raise
        code = endings.as_exit_code(code)
        if code and not self._stop:
            self._write(self._ended_file, {"name": self._brief.name, "at": time.time(), "code": code, "why": why})
        with contextlib.suppress(OSError):
            self._file.unlink()
        self._say({"event": _ENDED, "code": code, "why": why, "was_up": self._was_up})
        door.close(code=code, why=why)
        return code

    def facts(self) -> dict[str, Any]:
        """How it is, for whoever asks. Callable from any thread."""
        child = self._child
        return {
            "name": self._brief.name,
            "pid": self._brief.pid,
            "since": self._since,
            "worker_pid": child.pid if child is not None else 0,
            "worker_since": child.started_at if child is not None else 0.0,
            "restarts": self._restarts,
            "last_crash": self._last_crash,
            "last_crash_at": self._last_crash_at,
            "next_start_at": self._next_start_at,
            "stopping": bool(self._stop),
            "log_file": self._brief.log_file,
        }

    # --- life -------------------------------------------------------------------------------------------------

    def _serve(self) -> tuple[int, str]:
        while True:
            try:
                child = Child(self._brief, ended=lambda: self._events.put(_ENDED))
            except OSError as error:
                code, why, ran = 1, f"The worker cannot be started ({error.strerror or error}).", 0.0
            else:
                self._child = child
                hung = self._attend(child)
                code = child.reap()
                self._child = None
                ran = time.monotonic() - child.started
                why = self._what_it_said(child, hung=hung, code=code, ran=ran)
            if self._stop and code == -signal.SIGTERM:
                return 0, ""  # it was asked to leave before it could answer
            if self._stop or not self._was_up or endings.is_final(code):
                return code, why
            self._last_crash, self._last_crash_at = why, time.time()
            delay = self._restart.delay_seconds(ran_seconds=ran)
            self._next_start_at = time.time() + delay
            level = "INFO" if code == endings.REPLACED else "ERROR"
            self._record(level, f"{why} It is started again in {delay:.1f} s.")
            if self._rest(delay):
                return 0, ""
            self._next_start_at = 0.0
            self._restarts += 1

    def _attend(self, child: Child) -> str:
        """Until it has ended. What was wrong with it, where it hung; else empty."""
        progress = Liveness(limit_seconds=self._brief.hung_after)
        next_look = 0.0
        kill_at: float | None = None
        hung = ""
        while True:
            now = time.monotonic()
            if kill_at is not None and now >= kill_at:
                child.kill()
                kill_at = now + ABORT_SECONDS
            if not hung and now >= next_look:
                self._look(child, progress)
                next_look = time.monotonic() + (progress.look_every_seconds if progress.is_up else START_LOOK_SECONDS)
                if progress.is_hung:
                    hung = f"It hung: its event loop made no progress for {progress.still_seconds:.0f} s."
                    child.abort()
                    kill_at = time.monotonic() + ABORT_SECONDS
            wake = min(next_look if not hung else float("inf"), float("inf") if kill_at is None else kill_at)
            event = self._next(max(0.0, wake - time.monotonic()))
            if event == _ENDED:
                return hung
            if event == _HANG_UP:
                child.hang_up()
            elif event in MODES:
                self._forward(child, event)
                if event == "now" and kill_at is None:
                    kill_at = time.monotonic() + NOW_SECONDS

    def _look(self, child: Child, progress: Liveness) -> None:
        try:
            answer = ask(self._brief.runtime, child.pid, {"verb": "pulse"}, limit_seconds=progress.answer_limit_seconds)
            progress.answered(float(answer["silent_seconds"]))
        except (NoAnswer, KeyError, TypeError, ValueError):
            progress.was_silent()
        if progress.is_up and not self._was_up:
            self._was_up = True
            self._say({"event": "up", "worker_pid": child.pid})
        if progress.is_up:
            output, left_out = child.take_output()
            self._record_output(output, left_out)

    def _forward(self, child: Child, mode: str) -> None:
        """Tell the worker to leave."""
        self._stop = max(self._stop, mode, key=_strength)
        try:
            ask(self._brief.runtime, child.pid, {"verb": "stop", "mode": mode}, limit_seconds=5.0)
        except NoAnswer:
            child.ask_to_leave()

    def _rest(self, seconds: float) -> bool:
        """Wait for the next start. True: there is none, it was told to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            event = self._next(left)
            if event in MODES:
                self._stop = event
                return True
        return False

    def _next(self, seconds: float) -> str:
        """Nothing, where nothing happened in time."""
        try:
            return self._events.get(timeout=seconds)
        except queue.Empty:
            return ""

    def _signalled(self, number: int, frame: object) -> None:  # noqa: ARG002
        self._events.put(MODES[min(self._signals, len(MODES) - 1)])
        self._signals += 1

    # --- what is said -----------------------------------------------------------------------------------------

    def _what_it_said(self, child: Child, *, hung: str, code: int, ran: float) -> str:
        output, left_out = child.take_output()
        if self._was_up or not child.sentence:
            self._record_output(output, left_out)
        if endings.is_final(code) and not hung:
            return child.sentence
        if code == endings.REPLACED and not hung:
            return f"Another version is installed: the worker (pid {child.pid}) made room for it after {_span(ran)}."
        ended = f"The worker (pid {child.pid}) ended with {endings.told(code)} after {_span(ran)}."
        return " ".join(filter(None, (hung, ended, child.sentence)))

    def _record_output(self, output: bytes, left_out: int) -> None:
        if output.strip():
            before = f"({left_out} bytes before this are left out)\n" if left_out else ""
            self._record("ERROR", f"The worker printed:\n{before}{output.decode('utf-8', 'replace').rstrip()}")

    def _record(self, level: str, message: str) -> None:
        """Into the log file, masked: by a program that knows how. What cannot be masked is not written."""
        told = {"level": level, "message": message, "keys": list(self._brief.keys.values())}
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                self._brief.recorder,
                input=json.dumps(told).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._brief.environment,
                timeout=RECORD_SECONDS,
                check=False,
            )

    def _say(self, event: Mapping[str, Any]) -> None:
        """To whoever started it, as long as he listens."""
        with contextlib.suppress(OSError, ValueError):
            os.write(1, json.dumps(event).encode() + b"\n")

    def _write(self, file: Path, content: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            write_private(file, json.dumps(content).encode(), durable=False)


def _strength(mode: str) -> int:
    return MODES.index(mode) if mode else -1


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def main() -> None:
    """What the process does: its brief is one JSON object on stdin."""
    shield_worker()  # before the keys are here
    brief = Brief.of(json.loads(sys.stdin.buffer.readline()))
    os.chdir(brief.runtime)
    try:
        with locked(Path(f"daemon-{brief.name}.lock"), limit_seconds=LOCK_SECONDS):
            code = Supervisor(brief).run()
    except TimeoutError:
        os.write(1, b'{"event": "taken"}\n')
        code = 3
    sys.exit(code)
