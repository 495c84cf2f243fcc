"""How the worker grows: with executions at once, turns of a conversation, what a tool prints, queues, rows shown.

python -m bench.growth [--only CURVE] [--most N] [--out FOLDER]

What is drawn is processor time of the worker's own process and its memory: both mean the same on a machine that does
other things as well. Each curve becomes one SVG; all numbers stand in `growth.json` beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.curves import Curve, Line, drawn
from bench.playground import PROGRAM, access, new_queue, scripted_playground
from bench.processes import running
from bench.result import ROOT
from bench.stage import Memory, Stage, at_once, stage

OUT: Final = ROOT / "docs" / "performance"
NUMBERS: Final = "growth.json"
TURNS_A_POINT: Final = 10
AT_REST_SECONDS: Final = 20
"""Then a worker has given back what it needed to start."""

AT_ONCE: Final = (1, 10, 50, 200, 1000)
TURNS: Final = (10, 50, 100, 200, 500)
PRINTED_KB: Final = (1, 10, 100, 1000, 10_000, 50_000)
QUEUES: Final = (1, 5, 10, 25, 50)
ROWS: Final = (10, 100, 1000, 10_000)


async def executions(folder: Path, most: int) -> list[Curve]:
    """All submitted at once, each with a model call, two tool calls in the sandbox, and an answer."""
    used: list[tuple[float, float]] = []
    grown: list[tuple[float, float]] = []
    async with stage(folder) as here:
        for number in _up_to(AT_ONCE, most):
            crowd = await at_once(here, number)
            say(f"{number} at once: {crowd.seconds / number * 1000:.0f} ms each on the clock")
            used.append((number, crowd.processor_seconds / number * 1000))
            grown.append((number, crowd.grown_megabytes))
    return [
        Curve(
            name="executions-processor",
            title="Executions at once: processor time of each",
            across="executions at once",
            up="ms of the worker's process",
            lines=(Line(name="each", points=_points(used)),),
            bound="The worker runs as many at once as its limit says; the others wait at Temporal, and cost nothing.",
        ),
        Curve(
            name="executions-memory",
            title="Executions at once: memory",
            across="executions at once",
            up="MB more than before, at most",
            lines=(Line(name="all together", points=_points(grown)),),
            bound="Only what runs is held in memory.",
        ),
    ]


async def turns(folder: Path, most: int) -> list[Curve]:
    """One conversation, a short message and a short answer each turn."""
    used: list[tuple[float, float]] = []
    async with stage(folder) as here:
        execution_id = await here.submit("!say 0", single_turn=False)
        await here.waits(execution_id)
        done = 1
        for number in _up_to(TURNS, most):
            while done < number - TURNS_A_POINT:
                done += await _turn(here, execution_id, done)
            before = here.worker.processor_seconds()
            while done < number:
                done += await _turn(here, execution_id, done)
            used.append((number, (here.worker.processor_seconds() - before) / TURNS_A_POINT * 1000))
            say(f"turn {number}")
    return [
        Curve(
            name="turns",
            title="One conversation: processor time of a turn",
            across="turns so far",
            up="ms of the worker's process",
            lines=(Line(name="a turn", points=_points(used)),),
            bound="What the model is sent is cut to its context; a workflow continues as new before it is long.",
        )
    ]


async def _turn(here: Stage, execution_id: str, number: int) -> int:
    await here.plane.send_message(execution_id, f"!say {number}")
    while f"{number}" != (await here.plane.get_execution(execution_id)).response:
        await asyncio.sleep(0.02)
    await here.waits(execution_id)
    return 1


async def printed(folder: Path, most: int) -> list[Curve]:
    """One tool call that prints so much."""
    used: list[tuple[float, float]] = []
    grown: list[tuple[float, float]] = []
    async with stage(folder) as here:
        for kilobytes in _up_to(PRINTED_KB, most):
            command = f"head -c {kilobytes}000 /dev/zero | tr '\\0' x | fold"
            script = f"!tool shell {json.dumps({'command': command})}\n!say done"
            before = here.worker.processor_seconds()
            with Memory(here.worker.process.pid) as memory:
                await here.ended(await here.submit(script))
            used.append((kilobytes, (here.worker.processor_seconds() - before) * 1000))
            grown.append((kilobytes, (memory.most - memory.before) / 1e6))
            say(f"{kilobytes} KB printed")
    return [
        Curve(
            name="output-processor",
            title="What a tool prints: processor time of the execution",
            across="KB printed",
            up="ms of the worker's process",
            lines=(Line(name="all of it", points=_points(used)),),
            bound="All is read, so that the tool goes on; what is beyond the bound of an answer is let go in pieces.",
        ),
        Curve(
            name="output-memory",
            title="What a tool prints: memory",
            across="KB printed",
            up="MB more than before, at most",
            lines=(Line(name="at most", points=_points(grown)),),
            bound="Beginning and end are kept, as far as an answer's bound goes; the middle is not.",
        ),
    ]


async def queues(folder: Path, most: int) -> list[Curve]:
    """One worker that serves so many queues, until it is ready, and what it then is."""
    used: list[tuple[float, float]] = []
    held: list[tuple[float, float]] = []
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder)}
    with scripted_playground(folder / "playground", environment=environment) as info:
        ids = [info["queue_id"]]
        ids += [new_queue(info, f"grown-{number}") for number in range(1, min(most, max(QUEUES)))]
        for number in _up_to(QUEUES, most):
            command = [*PROGRAM, "start", *(part for one in ids[:number] for part in ("--queue-id", one))]
            with running(command, until="ready", environment={**environment, **access(info)}) as worker:
                used.append((number, worker.processor_seconds() * 1000))
                time.sleep(AT_REST_SECONDS)
                held.append((number, worker.rss_megabytes()))
            say(f"{number} queues")
    return [
        Curve(
            name="queues-start",
            title="Queues of one worker: processor time of its start",
            across="queues",
            up="ms until it is ready",
            lines=(Line(name="start", points=_points(used)),),
            bound="Each queue is registered on its own and has its own pollers; they share a connection to Temporal.",
        ),
        Curve(
            name="queues-memory",
            title="Queues of one worker: memory when idle",
            across="queues",
            up="MB",
            lines=(Line(name="idle", points=_points(held)),),
            bound="What a queue adds is its pollers in Temporal's core.",
        ),
    ]


async def rows(folder: Path, most: int) -> list[Curve]:
    """The window's list of executions."""
    command = [sys.executable, "-m", "bench.growth_window", *(str(number) for number in _up_to(ROWS, most))]
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=600)
    found: dict[str, list[list[float]]] = json.loads(done.stdout)
    lines = [Line(name=name, points=_points(said)) for name, said in found.items()]
    return [
        Curve(
            name="rows",
            title="Executions in the window's list: processor time",
            across="executions in the list",
            up="ms of the window",
            lines=tuple(lines),
            bound="Only rows that are seen are painted; a change moves one row.",
        )
    ]


def page(curves: Iterable[Curve]) -> str:
    """All drawings with their sentences, for people."""
    parts = [
        "# How the worker grows",
        "Drawn by `make growth` (`python -m bench.growth --help`), which also writes this page. Processor time and "
        "memory are of the worker's own process, beside the playground's control plane, Temporal and scripted model on "
        "one machine with two cores: what stands here is how a curve bends, not how fast a machine is. The numbers are "
        f"in [`{NUMBERS}`]({NUMBERS}); how the worker compares with a bare one, in the [README](../../README.md).",
    ]
    for one in curves:
        parts += [f"## {one.title}", f"![{one.title}]({one.name}.svg)", one.bound]
    return "\n\n".join(parts) + "\n"


CURVES: Final[Mapping[str, Callable[[Path, int], Any]]] = {
    "executions": executions,
    "turns": turns,
    "output": printed,
    "queues": queues,
    "rows": rows,
}


def read(folder: Path) -> list[Curve]:
    """What was drawn there before."""
    file = folder / NUMBERS
    said = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return [
        Curve(
            **{**one, "lines": tuple(Line(name=line["name"], points=_points(line["points"])) for line in one["lines"])}
        )
        for one in said
    ]


def write(folder: Path, curves: list[Curve]) -> None:
    """The numbers, a drawing of each, and the page."""
    for one in curves:
        (folder / f"{one.name}.svg").write_text(drawn(one), encoding="utf-8")
    (folder / NUMBERS).write_text(json.dumps([asdict(one) for one in curves], indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(page(curves), encoding="utf-8")


def _line(said: Mapping[str, Any]) -> Line:
    return Line(name=said["name"], points=_points(said["points"]))


def _points(said: Iterable[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(f"{x:.6g}"), float(f"{y:.4g}")) for x, y in said)


def _up_to(values: tuple[int, ...], most: int) -> Iterator[int]:
    return (one for one in values if one <= most)


def say(text: str) -> None:
    print(f"growth: {text}", file=sys.stderr, flush=True)


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        metavar="CURVE",
        choices=list(CURVES),
        action="append",
        help=f"draw this alone; may be repeated: {', '.join(CURVES)}",
    )
    parser.add_argument("--most", type=int, default=50_000, help="leave out what is larger (default: nothing)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the drawings (default: docs/performance)")
    options = parser.parse_args(given)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = {one.name: one for one in read(options.out)}
    for name in options.only or CURVES:
        say(name)
        with tempfile.TemporaryDirectory(prefix="kubiya-growth-") as folder:
            kept |= {one.name: one for one in asyncio.run(CURVES[name](Path(folder), options.most))}
        write(options.out, list(kept.values()))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the SDK's threads crash the interpreter now and then while it finalises
