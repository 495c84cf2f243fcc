"""A worker that is busy for long: memory, descriptors, threads and tasks must stay as they are.

python -m bench.soak [--minutes N] [--json FILE]

Executions with model and tool calls, conversations, failures and cancellations run one behind the other, a few at
once, against a playground of its own. After a warm-up of a third of the time each series must be flat by least squares.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from bench.playground import PROGRAM, access, scripted_playground
from bench.plot import plot
from bench.processes import running
from bench.trend import trend
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.control_plane.models import Execute
from worker_core.playground.temporal_server import free_port
from worker_core.secrets import Secret

AT_ONCE: Final = 3
SAMPLE_SECONDS: Final = 0.5
SCRIPTS: Final = (
    ("!instant", "", "completed"),
    (f"!tool shell {json.dumps({'command': 'seq 2000'})}\n!say done", "", "waiting_for_input"),
    (f"!tool python {json.dumps({'code': 'print(1)'})}\n!say done", "!say again", "waiting_for_input"),
    ("!stream 100 1", "", "waiting_for_input"),
    ("!hang 30", "cancel", "running"),
)
"""What the scripted model does; what follows; the status at which it follows."""

ALLOWED: Final = {"memory": 4.0, "descriptors": 4.0, "threads": 16.0, "tasks": 6.0, "processes": 1.0}
"""Growth that is believed to be none, from the end of the warm-up to the end. Pools of threads grow to their bounds as
chance puts more beside each other (20 for workflow tasks, 6 of the event loop's); what leaks with each execution
shows above that in half an hour."""


def _descriptors(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


@dataclass(slots=True)
class Series:
    """What was measured, each half a second. Memory in MB."""

    values: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ALLOWED})
    executions: int = 0

    def take(self, worker: psutil.Process, port: int) -> None:
        with worker.oneshot():
            self.values["memory"].append(worker.memory_info().rss / 1e6)
            self.values["threads"].append(worker.num_threads())
            self.values["descriptors"].append(_descriptors(worker))
        self.values["processes"].append(len(worker.children()))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            found = re.search(r"^kubiya_worker_event_loop_tasks (\S+)$", answer.read().decode(), re.MULTILINE)
        assert found is not None, "no such metric"
        self.values["tasks"].append(float(found[1]))

    def settled(self) -> dict[str, list[float]]:
        """Without the first third: imports, caches, pools."""
        return {name: values[len(values) // 3 :] for name, values in self.values.items()}


async def work(info: dict[str, str], series: Series, *, until: float) -> None:
    """One execution behind the other, a few at once.

    Args:
        info: of the playground.
        series: counts them.
        until: when no more is begun, in seconds of the monotonic clock.
    """
    plane = ControlPlaneClient(base_url=info["control_plane_url"], api_key=Secret(info["api_key"]))

    async def one(number: int) -> None:
        script, then, status = SCRIPTS[number % len(SCRIPTS)]
        wish = Execute(prompt=f"{uuid.uuid4()}\n{script}", worker_queue_id=info["queue_id"])
        execution_id = (await plane.execute_agent(info["agent_id"], wish)).execution_id
        await reach(plane, execution_id, status, "waiting_for_input", "completed", "failed")
        if then == "cancel":
            await plane.cancel(execution_id)
            await reach(plane, execution_id, "cancelled", "failed", "completed", "interrupted")
        elif then:
            await plane.send_message(execution_id, then)
        with contextlib.suppress(ControlPlaneError):  # one that is over has no end
            await plane.mark_done(execution_id)
        series.executions += 1

    async def lane(first: int) -> None:
        number = first
        while time.monotonic() < until:
            await one(number)
            number += AT_ONCE

    try:
        await asyncio.gather(*(lane(number) for number in range(AT_ONCE)))
    finally:
        await plane.aclose()


async def reach(plane: ControlPlaneClient, execution_id: str, *statuses: str) -> None:
    async with asyncio.timeout(120):
        while (await plane.get_execution(execution_id)).status not in statuses:
            await asyncio.sleep(0.02)


async def measure(worker: psutil.Process, port: int, series: Series, until: float) -> None:
    last = -1.0
    while (left := until - time.monotonic()) > 0:
        await asyncio.to_thread(series.take, worker, port)
        if sys.stderr.isatty() and (minutes := left // 60) != last:
            last = minutes
            print(f"{left / 60:5.1f} min left, {series.executions} executions", file=sys.stderr)
        await asyncio.sleep(SAMPLE_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """A worker of a playground's that is given work, and looked at."""

    info: dict[str, str]
    process: psutil.Process
    status_port: int

    def work(self, seconds: float) -> Series:
        """Give it work for so long, and measure it meanwhile."""
        series, until = Series(), time.monotonic() + seconds

        async def both() -> None:
            await asyncio.gather(
                work(self.info, series, until=until), measure(self.process, self.status_port, series, until)
            )

        asyncio.run(both())
        return series

    def holds(self) -> dict[str, float]:
        """What it has open in this moment, and what runs. Kept connections are counted for themselves."""
        series = Series()
        series.take(self.process, self.status_port)
        now = {name: values[-1] for name, values in series.values.items()}
        connections = len(self.process.net_connections("tcp"))
        return {**now, "descriptors": now["descriptors"] - connections, "connections": connections}


@contextlib.contextmanager
def busy(folder: Path) -> Iterator[Busy]:
    """A worker, and what it needs.

    Args:
        folder: for everything that the programs keep.
    """
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder), "KUBIYA_WORKER_APPROVALS": "allow"}
    with scripted_playground(folder / "playground", environment=environment) as info:
        port = free_port("127.0.0.1")
        command = [*PROGRAM, "start", "--queue-id", info["queue_id"], "--status-port", str(port)]
        with running(command, until="ready", environment={**environment, **access(info)}) as started:
            yield Busy(info=info, process=psutil.Process(started.process.pid), status_port=port)


def report(series: Series) -> tuple[str, list[str]]:
    """A table with plots, and the names of what grew."""
    lines, grown = [f"{series.executions} executions; after the warm-up:"], []
    for name, values in series.settled().items():
        line = trend(values)
        grows = line.grows(allowed=ALLOWED[name])
        grown += [name] * grows
        lines.append(
            f"{name:12} {min(values):7.1f} to {max(values):7.1f}  {line.growth:+6.1f} by its line "
            f"({'GROWS' if grows else 'flat'})  {plot(series.values[name])}"
        )
    return "\n".join(lines), grown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="of work, a third of it warm-up (default: 30)")
    parser.add_argument("--json", type=Path, help="also write every measurement to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubiya-soak-") as folder, busy(Path(folder)) as worker:
        series = worker.work(options.minutes * 60)
    said, grown = report(series)
    print(said)
    if options.json:
        options.json.write_text(json.dumps({"executions": series.executions, **series.values}) + "\n")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
