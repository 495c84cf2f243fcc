"""`make profile ROW=turn`: where a worker's time goes while one row of the bench is measured, by py-spy from outside.

python -m bench.profile [start|turn|burst] [--out FILE]

What is printed are shares of the samples in which a thread held the interpreter: by room of ours or package, and by
function, alone and with what it calls. The file holds all stacks, one a line with its count; speedscope and
flamegraph.pl read it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from temporalio.client import Client

from bench.playground import PROGRAM, access, scripted_playground
from bench.processes import LIMIT_SECONDS, with_bytecode
from bench.result import ROOT
from bench.worker import AT_ONCE, SINGLE_TURN, say
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

ROWS: Final = ("start", "turn", "burst")
SAMPLES_A_SECOND: Final = 400
TURNS: Final = 60
SHOWN: Final = 25
EVERYWHERE: Final = 0.9
"""What is in more of the samples says nothing: the program's entry, the loop."""

PY_SPY: Final = Path(sysconfig.get_path("scripts")) / "py-spy"


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__.splitlines()[0])
    parser.add_argument("row", nargs="?", choices=ROWS, default="turn", help="(default: turn)")
    parser.add_argument("--out", type=Path, help="the stacks (default: build/profile-ROW.txt)")
    options = parser.parse_args(given)
    if not PY_SPY.exists():
        parser.error("py-spy is not installed; `make setup` brings it.")
    file = options.out or ROOT / "build" / f"profile-{options.row}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    with_bytecode("worker_core")
    with tempfile.TemporaryDirectory(prefix="kubiya-bench-") as folder:
        record(options.row, Path(folder), file)
    print(report(file.read_text(encoding="utf-8").splitlines()))
    print(f"All stacks: {file}")
    return 0


def record(row: str, folder: Path, file: Path) -> None:
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder)}
    with scripted_playground(folder / "playground", environment=environment) as info:
        environment |= access(info)
        worker = [*PROGRAM, "start", "--queue-id", info["queue_id"]]
        spy = [
            str(PY_SPY),
            "record",
            "--gil",
            "--rate",
            str(SAMPLES_A_SECOND),
            "--format",
            "raw",
            "--output",
            str(file),
        ]
        if row == "start":
            watched = subprocess.Popen([*spy, "--", *worker], stdout=subprocess.PIPE, text=True, env=environment)
            assert watched.stdout is not None
            watched.stdout.readline()
            watched.send_signal(signal.SIGINT)
            watched.wait(LIMIT_SECONDS)
            return
        with subprocess.Popen(worker, stdout=subprocess.PIPE, text=True, env=environment) as started:
            assert started.stdout is not None
            started.stdout.readline()
            try:
                asyncio.run(drive(info, at_once=1, count=3))  # imports, caches, pools
                watcher = subprocess.Popen([*spy, "--pid", str(started.pid)], stdout=subprocess.DEVNULL)
                asyncio.run(drive(info, at_once=AT_ONCE if row == "burst" else 1, count=TURNS))
                watcher.send_signal(signal.SIGINT)
                watcher.wait(LIMIT_SECONDS)
            finally:
                started.terminate()


async def drive(info: Mapping[str, str], *, at_once: int, count: int) -> None:
    """Instant turns, so many in all, and so many of them at the same time."""
    say(f"{count} turns, {at_once} at once")
    temporal = await Client.connect(info["temporal_host"])
    plane = ControlPlaneClient(base_url=info["control_plane_url"], api_key=Secret(info["api_key"]))
    free = asyncio.Semaphore(at_once)

    async def turn() -> None:
        async with free:
            wish = Execute(
                prompt=f"{uuid.uuid4()}\n!instant", worker_queue_id=info["queue_id"], configuration=SINGLE_TURN
            )
            submitted = await plane.execute_agent(info["agent_id"], wish)
            await temporal.get_workflow_handle(f"agent-execution-{submitted.execution_id}").result()

    await asyncio.gather(*(turn() for _ in range(count)))
    await plane.aclose()


def report(stacks: Iterable[str]) -> str:
    """Tables of what took most.

    Args:
        stacks: lines of py-spy's raw format: frames from the outermost to the innermost, joined by `;`, and a count.
    """
    rooms: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks:
        joined, _, said = line.rpartition(" ")
        count, frames = int(said), joined.split(";")
        names = [_function(one) for one in frames]
        rooms[next((room for one in reversed(frames) if (room := _room(one))), "Python itself")] += count
        alone[names[-1]] += count
        within.update(dict.fromkeys(names, count))
    whole = rooms.total()
    if not whole:
        return "No sample was taken."
    for name in [name for name, count in within.items() if count > EVERYWHERE * whole]:
        del within[name]
    tables = (("by room or package", rooms), ("function alone", alone), ("function with what it calls", within))
    return "\n\n".join(
        "\n".join([title, *(f"{count / whole:7.1%}  {name}" for name, count in counted.most_common(SHOWN))])
        for title, counted in tables
    )


def _function(frame: str) -> str:
    """Without its line."""
    name, _, where = frame.rpartition(" (")
    return f"{name} ({where.rpartition(':')[0]})" if name else frame


def _room(frame: str) -> str:
    """Of ours or a package; none for the standard library, whose time belongs to who called it."""
    first, *rest = frame.rpartition(" (")[2].rpartition(":")[0].split("/")
    if first == "worker_core":
        return "/".join([first, *rest[:1]])
    return "" if first.startswith("<") or first.removesuffix(".py") in sys.stdlib_module_names else first


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
