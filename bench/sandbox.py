"""What each sandbox costs a tool call: the same call through the runner, with it and without one, in turn."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from worker_core.network.reachable import Network
from worker_core.paths import Paths
from worker_core.sandbox.choice import choose
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.processes.process import run_process
from worker_core.settings import Settings
from worker_core.settings.choices import SandboxName

ROUNDS = 40
MOST_MILLISECONDS = 15.0

CALLS: dict[str, tuple[list[str], Network]] = {
    "shell call, no network": (["/bin/bash", "-c", "true"], Network.OFF),
    "shell call": (["/bin/bash", "-c", "true"], Network.ON),
    "Python call": ([sys.executable, "-c", "import json, pathlib"], Network.ON),
    "shell call of 100 ms": (["/bin/bash", "-c", "sleep 0.1"], Network.ON),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Milliseconds, medians."""

    ours: float
    bare: float

    @property
    def goal(self) -> float:
        return self.bare + MOST_MILLISECONDS


SANDBOXES: tuple[SandboxName, ...] = ("auto", "landlock")
"""The usual one, and what there is where that is forbidden."""


def measure_sandbox(folder: Path) -> list[tuple[str, Measured]]:
    """Without those that do not work here."""
    paths = Paths(config=folder / "config", state=folder / "state", runtime=folder / "run")
    workspace = paths.workspaces / "bench"
    workspace.mkdir(parents=True)
    measured: dict[str, list[tuple[str, Measured]]] = {}
    for name in SANDBOXES:
        chosen = choose(Settings(sandbox=name, require_sandbox="never"), paths)
        try:
            print(f"bench: {chosen.reason}", file=sys.stderr)
            if chosen.launcher is None or chosen.view.name in {"none", *measured}:
                continue
            rows = asyncio.run(_all(chosen.launcher, workspace))
            measured[chosen.view.name] = [(f"{row}, {chosen.view.name}", found) for row, found in rows]
        finally:
            chosen.close()
    return [row for rows in measured.values() for row in rows]


async def _all(launcher: Launcher, workspace: Path) -> list[tuple[str, Measured]]:
    measured = []
    for name, (argv, network) in CALLS.items():
        times: dict[Launcher, list[float]] = {launcher: [], DirectLauncher(): []}
        for number in range(ROUNDS + 3):
            for one, found in times.items():
                seconds = await _call(one, argv, workspace, network)
                if number >= 3:
                    found.append(seconds * 1000)
        ours, bare = (statistics.median(found) for found in times.values())
        measured.append((name, Measured(ours=ours, bare=bare)))
    return measured


async def _call(launcher: Launcher, argv: list[str], workspace: Path, network: Network) -> float:
    environment = tool_environment({}, call_mark="bench", inherited={"PATH": os.environ["PATH"]})
    command = Command(argv=argv, cwd=workspace, environment=environment)
    began = time.perf_counter()
    wrapped = await asyncio.to_thread(launcher.wrap, command, workspace=workspace, network=network)
    result = await run_process(wrapped, timeout=timedelta(seconds=30), output_limit_bytes=1000)
    result.output.close()
    assert result.exit_code == 0
    return time.perf_counter() - began
