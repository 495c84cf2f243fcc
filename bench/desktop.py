"""The tray measured from outside, its window from inside; on an X server, a session bus and a panel of their own."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.playground import access, scripted_playground
from bench.processes import end, with_bytecode
from bench.result import Result, in_pairs
from tests.support.tray_host import Panel, TrayIcon, desktop_environment, private_bus, private_display, until

IDLE_SECONDS: Final = 10.0
LIMIT_SECONDS: Final = 60.0
ROOT: Final = Path(__file__).parents[1]
TRAY: Final = (sys.executable, "-m", "desktop", "--at-login")
BARE: Final = (sys.executable, "-m", "bench.bare_tray")


PAIRS_A_ROUND: Final = 3
"""A start takes a third of a second, and what else the machine does is seen in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """From the start of the process until a panel has its icon's pixels."""

    seconds: float
    cpu_ms: float
    """Processor time of all threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What a program does while nothing happens."""

    switches: int
    """Voluntary context switches of the GUI's thread."""

    cpu_ms: float
    """Processor time of all threads."""


def missing() -> str:
    """What keeps these measurements from being made here, as a sentence; empty: nothing."""
    if not sys.platform.startswith("linux"):
        return "The tray is measured on Linux: the panel of the measurement speaks D-Bus."
    absent = [name for name in ("Xvfb", "dbus-daemon") if shutil.which(name) is None]
    return f"The tray is not measured: {' and '.join(absent)} not installed." if absent else ""


def measure_desktop(folder: Path, *, rounds: int) -> Iterator[Result]:
    """Cold starts, rest, memory, and what the window does. Takes about a minute and three quarters."""
    with private_display() as display, private_bus() as bus:
        environment = desktop_environment(folder, display=display, bus=bus)
        bare, ours = pairs_of_starts(BARE, TRAY, environment, bus, pairs=rounds * PAIRS_A_ROUND)
        yield in_pairs(
            name="tray: cold start to the icon", unit="s", goal=1.5,
            bare=[one.seconds for one in bare], ours=[one.seconds for one in ours],
        )  # fmt: skip
        yield in_pairs(
            name="tray: processor time of a start", unit="ms", goal=1000,
            bare=[one.cpu_ms for one in bare], ours=[one.cpu_ms for one in ours],
        )  # fmt: skip
        with _shown(BARE, environment, bus) as (process, _):
            bare_memory, bare_rest = _memory(process), _rest(process)
        with _shown(TRAY, environment, bus) as (process, _):
            yield Result(name="tray: memory when idle", unit="MB", goal=150, ours=_memory(process), bare=bare_memory)
            rest = _rest(process)
            yield Result(
                name="tray: wake-ups of the GUI in 10 s", unit="", goal=5, ours=rest.switches, bare=bare_rest.switches
            )
            yield Result(
                name="tray: processor time in 10 s", unit="ms", goal=20, ours=rest.cpu_ms, bare=bare_rest.cpu_ms
            )
        yield from _with_a_worker(folder, environment, bus)
        yield from _window(environment)


def _with_a_worker(folder: Path, environment: Mapping[str, str], bus: str) -> Iterator[Result]:
    """The engine in the tray's process, on a playground in another one; heartbeats and polls are legitimate here."""
    with scripted_playground(folder / "play", environment=environment) as info:
        configured = {**environment, **access(info), "QUEUE_ID": info["queue_id"]}
        with _shown(TRAY, configured, bus) as (process, icon):
            until(lambda: "Running" in icon.tooltip, what="a running worker")
            time.sleep(3)
            yield Result(name="tray with a running worker: memory", unit="MB", goal=200, ours=_memory(process))
            rest = _rest(process)
            yield Result(
                name="tray with a running worker: wake-ups of the GUI in 10 s", unit="", goal=60, ours=rest.switches
            )
            yield Result(
                name="tray with a running worker: processor time in 10 s", unit="ms", goal=150, ours=rest.cpu_ms
            )


def _window(environment: Mapping[str, str]) -> Iterator[Result]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.window"],
        cwd=ROOT, env=dict(environment), capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    bulk, plain = found["bulk"], found["bulk_plain"]
    yield Result(name="window: shown after", unit="s", goal=1.5, ours=found["window_seconds"])
    yield Result(name="window: slowest page to open", unit="ms", goal=50, ours=found["slowest_page_ms"])
    full = found["full_ms"]
    pages = max(full[name] for name in found["pages_ms"])
    yield Result(name="window: slowest page to open with 10 000 executions", unit="ms", goal=50, ours=pages)
    yield Result(name="window: conversation of 300 messages to open", unit="ms", goal=50, ours=full["conversation"])
    yield Result(name="popover: to open with 10 000 executions", unit="ms", goal=50, ours=full["popover"])
    yield Result(
        name="window: slowest page to paint at 2x", unit="ms", goal=33, ours=max(found["paint_2x_ms"].values())
    )
    yield Result(
        name="window: memory after each page was open", unit="MB", goal=180, ours=max(found["memory_mb"].values())
    )
    yield Result(name="window: memory after 100 000 log lines", unit="MB", goal=260, ours=found["memory_after_bulk_mb"])
    yield Result(
        name="window: wake-ups in 10 s after it was closed", unit="", goal=5, ours=found["switches_when_closed"]
    )
    yield Result(
        name="window: event to pixel while a model streams, p95", unit="ms", goal=150,
        ours=found["event_to_pixel_streaming"]["p95_ms"],
    )  # fmt: skip
    yield Result(name="window: event to pixel, p95", unit="ms", goal=150, ours=found["event_to_pixel"]["p95_ms"])
    yield Result(name="window: 100 000 log lines, all", unit="s", goal=2, ours=bulk["seconds"], bare=plain["seconds"])
    yield Result(
        name="window: 100 000 log lines, p99 wait", unit="ms", goal=16, ours=bulk["p99_ms"], bare=plain["p99_ms"]
    )
    yield Result(
        name="window: 100 000 log lines, longest stall", unit="ms", goal=50,
        ours=bulk["longest_ms"], bare=plain["longest_ms"],
    )  # fmt: skip
    sustained, streaming = found["sustained"], found["streaming"]
    yield Result(name="window: 2 000 log lines/s, p99 wait", unit="ms", goal=16, ours=sustained["p99_ms"])
    yield Result(name="window: 2 000 log lines/s, longest stall", unit="ms", goal=50, ours=sustained["longest_ms"])
    yield Result(name="window: 1 000 chunks/s of a model, p99 wait", unit="ms", goal=33, ours=streaming["p99_ms"])


@contextlib.contextmanager
def _shown(
    command: Sequence[str], environment: Mapping[str, str], bus: str
) -> Iterator[tuple[psutil.Process, TrayIcon]]:
    """A program whose icon is in a panel."""
    panel = Panel(bus)
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    try:
        until(lambda: panel.items, what="an icon in the panel")
        icon = TrayIcon(bus, panel)
        try:
            time.sleep(2)
            yield psutil.Process(process.pid), icon
        finally:
            icon.close()
    finally:
        end(process)
        panel.close()


def pairs_of_starts(
    bare: Sequence[str], ours: Sequence[str], environment: Mapping[str, str], bus: str, *, pairs: int
) -> tuple[list[ColdStart], list[ColdStart]]:
    """Starts of two programs, one right after the other, either first by turns; the first pair, which fills caches,
    does not count.
    """
    with_bytecode("bench", "desktop", "worker_core")
    starts: dict[Sequence[str], list[ColdStart]] = {bare: [], ours: []}
    for number in range(pairs + 1):
        for command in (bare, ours) if number % 2 else (ours, bare):
            start = cold_start(command, environment, bus)
            if number:
                starts[command].append(start)
    return starts[bare], starts[ours]


def cold_start(command: Sequence[str], environment: Mapping[str, str], bus: str) -> ColdStart:
    """A program whose icon is known to a panel before it can say what it looks like is not there yet."""
    panel = Panel(bus)
    icon = TrayIcon(bus, panel)
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    try:
        while not panel.items:
            if time.perf_counter() - began > LIMIT_SECONDS or process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)} showed no icon")
            time.sleep(0.002)
        assert icon.pixels
        return ColdStart(seconds=time.perf_counter() - began, cpu_ms=_processor_ms(process.pid))
    finally:
        end(process)
        icon.close()
        panel.close()


def _processor_ms(pid: int) -> float:
    """Of all threads: psutil's comes in steps of ten milliseconds."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text(encoding="ascii").split()[0]) for thread in threads) / 1e6


def _memory(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1e6


def _rest(process: psutil.Process) -> Rest:
    switches, cpu = _switches(process.pid), process.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    used = after.user + after.system - cpu.user - cpu.system
    return Rest(switches=_switches(process.pid) - switches, cpu_ms=max(0.0, used * 1000))


def _switches(pid: int) -> int:
    status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("voluntary_ctxt_switches")))
