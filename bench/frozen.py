"""The frozen programs beside the same from source: their sizes, and how soon they have started.

Measures what `make freeze` made last, and freezes nothing.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.desktop import TRAY, missing, pairs_of_starts
from bench.playground import PROGRAM, access, scripted_playground
from bench.processes import running
from bench.result import Result, in_pairs
from installers.freezing.layout import MANIFEST, PARTS, ROOT, Frozen, frozen
from tests.support.tray_host import desktop_environment, private_bus, private_display

DOWNLOADS: Final = {"worker": (("worker",), 45.0), "worker and tray": (PARTS, 75.0)}
INSTALLED_MB: Final = 110.0
VERSION_RATIO: Final = 1.2
READY_RATIO: Final = 1.0
TRAY_RATIO: Final = 1.1
STARTS: Final = 15
"""Of `--version`; each takes a twentieth of a second."""

VERSION_FROM_SOURCE: Final = (str(Path(sys.executable).with_name("kubiya-worker")), "--version")


def nothing_frozen() -> str:
    """Why there is nothing to measure, as a sentence; empty: there is."""
    return "" if MANIFEST.is_file() else "The frozen programs are not measured: run `make freeze` first."


def measure_frozen(folder: Path, *, rounds: int) -> Iterator[Result]:
    """Takes some minutes, of which packing takes the most."""
    made = frozen()
    # As what is frozen is: where Python writes no .pyc, sources that have changed would be compiled at each start.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "worker_core", "desktop"], cwd=ROOT, check=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (parts, goal) in DOWNLOADS.items():
        yield Result(name=f"frozen: download of {name}", unit="MB", goal=goal, ours=_packed(made, parts, folder))
    yield Result(name="frozen: worker, installed", unit="MB", goal=INSTALLED_MB, ours=made.size_bytes("worker") / 1e6)
    ours, bare = _seconds((str(made.folder / "kubiya-worker"), "--version"), VERSION_FROM_SOURCE)
    yield Result(name="frozen: --version", unit="ms", goal=bare * VERSION_RATIO, ours=ours, bare=bare)
    yield _start(made, folder, pairs=rounds)
    if missing():
        return
    program = (str(made.folder / "kubiya-worker-desktop"), "--at-login")
    with private_display() as display, private_bus() as bus:
        environment = desktop_environment(folder, display=display, bus=bus)
        starts = pairs_of_starts(TRAY, program, environment, bus, pairs=rounds)
    sources, programs = ([start.seconds for start in some] for some in starts)
    yield in_pairs(
        name="frozen: tray, cold start to the icon", unit="s", goal=statistics.median(sources) * TRAY_RATIO,
        ours=programs, bare=sources,
    )  # fmt: skip


def _start(made: Frozen, folder: Path, *, pairs: int) -> Result:
    """Of a worker, to `ready`."""
    sources: list[float] = []
    programs: list[float] = []
    environment = {**os.environ, "KUBIYA_WORKER_HOME": str(folder)}
    with scripted_playground(folder / "playground", environment=environment) as info:
        begun = {tuple(PROGRAM): sources, (str(made.folder / "kubiya-worker"),): programs}
        for number in range(pairs + 1):
            for program, seconds in begun.items():
                command = [*program, "start", "--queue-id", info["queue_id"]]
                with running(command, until="ready", environment={**environment, **access(info)}) as started:
                    if number:  # the first fills caches
                        seconds.append(started.seconds)
    return in_pairs(
        name="frozen: process start to ready", unit="s", goal=statistics.median(sources) * READY_RATIO,
        ours=programs, bare=sources,
    )  # fmt: skip


def _packed(made: Frozen, parts: Sequence[str], folder: Path) -> float:
    """Megabytes of a .tar.xz, packed as strongly as a release is."""
    archive = folder / "packed.tar.xz"
    with tarfile.open(archive, "w:xz", preset=9) as opened:
        for part in parts:
            for name in made.parts[part]:
                opened.add(made.folder / name, name)
    return archive.stat().st_size / 1e6


def _seconds(ours: Sequence[str], bare: Sequence[str]) -> tuple[float, float]:
    """Medians in milliseconds, taken by turns: a busy moment meets both."""
    took: dict[Sequence[str], list[float]] = {ours: [], bare: []}
    for _ in range(STARTS):
        for command, times in took.items():
            began = time.perf_counter()
            subprocess.run(command, env=dict(os.environ), stdout=subprocess.DEVNULL, check=True)
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(took[ours]), statistics.median(took[bare])
