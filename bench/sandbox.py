"""What each sandbox costs a tool call: the same call through the runner, with it and without one, in turn."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.result import Result
from worker_core.network.reachable import Network
from worker_core.paths import Paths
from worker_core.sandbox.call import run_process
from worker_core.sandbox.choice import choose
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.spares import Spares
from worker_core.settings import Settings
from worker_core.settings.choices import SandboxName

ROUNDS = 40
STANDS_SECONDS = 0.1
"""Until a sandbox that waits stands: a model takes longer to write a call, from the piece that names its tool to the
end of the answer (`agents/activities/foreseen.py`), and longer still for the next one."""

_SHELL = ("/bin/bash", "-c", "true")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    argv: Sequence[str]
    most: float
    """Times the same without a sandbox."""

    network: Network = Network.ON
    is_foreseen: bool = False
    """The sandbox waits for it, as for an execution's first call while its model writes it, and for each later one."""


CALLS: dict[str, Call] = {
    "shell call that nobody foresaw, no network": Call(argv=_SHELL, network=Network.OFF, most=2.5),
    "shell call that nobody foresaw": Call(argv=_SHELL, most=2.5),
    "shell call": Call(argv=_SHELL, is_foreseen=True, most=1.2),
    "Python call": Call(argv=(sys.executable, "-c", "pass"), is_foreseen=True, most=1.2),
    "shell call of 100 ms": Call(argv=("/bin/bash", "-c", "sleep 0.1"), is_foreseen=True, most=1.1),
}


SANDBOXES: tuple[SandboxName, ...] = ("auto", "landlock")
"""The usual one, and what there is where that is forbidden."""


def measure_sandbox(folder: Path) -> list[Result]:
    """Without those that do not work here."""
    paths = Paths(config=folder / "config", state=folder / "state", runtime=folder / "run")
    workspace = paths.workspaces / "bench"
    workspace.mkdir(parents=True)
    measured: dict[str, list[Result]] = {}
    for name in SANDBOXES:
        chosen = choose(Settings(sandbox=name, require_sandbox="never"), paths)
        try:
            print(f"bench: {chosen.reason}", file=sys.stderr)
            if chosen.launcher is None or chosen.view.name in {"none", *measured}:
                continue
            measured[chosen.view.name] = asyncio.run(_all(chosen.launcher, workspace, called=chosen.view.name))
        finally:
            chosen.close()
    return [row for rows in measured.values() for row in rows]


def plain_call(call: Call, workspace: Path) -> float:
    """Milliseconds of one without a sandbox."""
    return statistics.median(asyncio.run(_call(DirectLauncher(), call, workspace)) for _ in range(ROUNDS)) * 1000


async def _all(launcher: Launcher, workspace: Path, *, called: str) -> list[Result]:
    measured = []
    for name, call in CALLS.items():
        if call.is_foreseen and not isinstance(launcher, Spares):
            continue
        times: dict[Launcher, list[float]] = {launcher: [], DirectLauncher(): []}
        for number in range(ROUNDS + 3):
            for one, found in times.items():
                seconds = await _call(one, call, workspace)
                if number >= 3:
                    found.append(seconds * 1000)
        ours, bare = (statistics.median(found) for found in times.values())
        measured.append(Result(name=f"{name}, {called}", unit="ms", ours=ours, bare=bare, goal=bare * call.most))
    return measured


async def _call(launcher: Launcher, call: Call, workspace: Path) -> float:
    environment = tool_environment({}, call_mark="bench", inherited={"PATH": os.environ["PATH"]})
    command = Command(argv=call.argv, cwd=workspace, environment=environment, is_call=call.is_foreseen)
    if call.is_foreseen:
        if isinstance(launcher, Spares):
            await asyncio.to_thread(launcher.prepare, command, workspace=workspace, network=call.network)
        await asyncio.sleep(STANDS_SECONDS)  # of both: the one without a sandbox follows on the making of the next
    began = time.perf_counter()
    wrapped = await asyncio.to_thread(launcher.wrap, command, workspace=workspace, network=call.network)
    result = await run_process(wrapped, timeout=timedelta(seconds=30), output_limit_bytes=1000)
    seconds = time.perf_counter() - began
    result.output.close()
    assert result.exit_code == 0
    return seconds
