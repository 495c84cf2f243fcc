"""Starts programs and measures them from outside: time to a line of output, memory, and an orderly end."""

from __future__ import annotations

import compileall
import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

from bench.result import ROOT

LIMIT_SECONDS = 60.0


def with_bytecode(*packages: str) -> None:
    """As installed: some environments forbid to write bytecode, and a few stale files are a tenth of a start."""
    for package in packages:
        compileall.compile_dir(ROOT / package, quiet=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    process: subprocess.Popen[str]
    line: str
    """The line that was waited for."""
    seconds: float
    """From the start of the process to that line."""

    def rss_megabytes(self) -> float:
        """Memory of the process alone; it has no children while it idles."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def processor_seconds(self) -> float:
        """What the process has used so far, in its own code and in the system's, over all threads."""
        used = psutil.Process(self.process.pid).cpu_times()
        return float(used.user + used.system)


@contextlib.contextmanager
def running(command: Sequence[str], *, until: str, environment: Mapping[str, str]) -> Iterator[Started]:
    """Start `command`, wait for a line of its output that begins with `until`, and end it with SIGTERM afterwards."""
    began = time.perf_counter()
    process = subprocess.Popen(
        list(command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(environment)
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(until):
                yield Started(process=process, line=line, seconds=time.perf_counter() - began)
                break
        else:
            raise RuntimeError(f"{command[0]} ended without saying {until!r}: exit code {process.wait()}")
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """With SIGTERM, and where that does not help, without asking."""
    process.terminate()
    try:
        process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
