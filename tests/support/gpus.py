"""GPUs for machines without one: nodes of the kernel's own memory devices in their places, and an `nvidia-smi`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from worker_core.machine import gpu_facts, gpu_use
from worker_core.machine.gpus import GpuGrant
from worker_core.sandbox import gpu_look

GPUS = GpuGrant(
    nodes=(
        (Path("/dev/null"), Path("/dev/nvidiactl")),
        (Path("/dev/zero"), Path("/dev/nvidia-uvm")),
        (Path("/dev/full"), Path("/dev/nvidia0")),
        (Path("/dev/null"), Path("/dev/nvidia-caps/nvidia-cap12")),
    ),
    variables={"CUDA_VISIBLE_DEVICES": "0", "HIP_VISIBLE_DEVICES": "-1", "LD_LIBRARY_PATH": "/usr/local/nvidia/lib64"},
    count=1,
)


def uuid_of(number: int, kind: str = "GPU") -> str:
    return f"{kind}-5c1d1f0e-0000-4000-8000-{number:012x}"


def row(number: int, *, used: object = 620, busy: object = 41, watts: object = "76.31", mig: str = "Disabled") -> str:
    """As an H200 says it (driver 580)."""
    return f"{number}, {uuid_of(number)}, NVIDIA H200, 580.159.04, 143771, {used}, {busy}, 28, {watts}, {mig}"


needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for nvidia-smi is a shell script")


class FakeSmi:
    """A program `nvidia-smi` in a folder of its own, which answers each question by a script; and, while it lasts, a
    machine that has a driver.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self.program = folder / "nvidia-smi"
        self.program.write_text(
            f"""#!/bin/sh
printf '%s\\n' "$1" >> '{folder}/asked'
case "$1" in
    --query-gpu=*) . '{folder}/gpus' ;;
    --query-compute-apps=*) . '{folder}/processes' ;;
    -L) . '{folder}/parts' ;;
    *) exit 2 ;;
esac
"""
        )
        self.program.chmod(0o755)
        for question in ("gpus", "processes", "parts"):
            self.answers(question)
        if monkeypatch is not None:
            node = folder / "nvidiactl"
            node.touch()
            monkeypatch.setattr(gpu_facts, "CONTROL_NODE", node)
            monkeypatch.setattr(gpu_look, "NODES", (str(node),))
            monkeypatch.setattr(gpu_use, "LIMIT_SECONDS", 120.0)  # a busy machine takes its time
            monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))

    def answers(self, question: str, lines: Iterable[str] = ()) -> None:
        """`gpus`, `processes` or `parts`, by these lines."""
        said = self._folder / f"{question}.txt"
        said.write_text("".join(f"{one}\n" for one in lines))
        self.does(question, f"cat '{said}'")

    def does(self, question: str, script: str) -> None:
        (self._folder / question).write_text(f"{script}\n")

    @property
    def asked(self) -> list[str]:
        """The questions until now, by their first word."""
        file = self._folder / "asked"
        return [line.partition("=")[0] for line in file.read_text().splitlines()] if file.exists() else []
