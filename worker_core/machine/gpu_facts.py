"""The GPUs of this machine, as `nvidia-smi` tells of them: names, memory, and what is used.

It comes with each driver of NVIDIA's, so no library is needed, and it is a child that ends: a process that asks NVML
itself grows by 26 MB and keeps 16 descriptors (measured on an H200, driver 580). Nobody asks where there is no driver.
What a field cannot say stands in brackets (`[N/A]`, `[Not Supported]`), and is None here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from worker_core.basics.quick_dataclass import dataclass

CONTROL_NODE: Final = Path("/dev/nvidiactl")
"""There as soon as the driver is loaded, also in a container that was given a GPU."""

LIMIT_SECONDS: Final = 20.0
"""Without persistence mode the driver is loaded by the first look, which takes seconds for each GPU."""

_PLACES: Final = ("/usr/bin", "/usr/local/nvidia/bin", "/usr/lib/wsl/lib", r"C:\Windows\System32")
"""Beside the PATH: the second is NVIDIA's container toolkit's, the third Windows's for Linux."""

_FIELDS: Final = (
    "index", "uuid", "name", "driver_version", "memory.total", "memory.used", "utilization.gpu", "temperature.gpu",
    "power.draw", "mig.mode.current",
)  # fmt: skip
_NO_WINDOW: Final = int(getattr(subprocess, "CREATE_NO_WINDOW", 0))
"""Windows alone has it."""

_MB: Final = 1024 * 1024
_MOST: Final = 64
"""GPUs of one machine. More are no answer of that program's."""

_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU at one moment; None: it does not say."""

    index: int
    uuid: str
    name: str
    driver: str
    memory_bytes: int | None = None
    used_bytes: int | None = None
    busy_percent: float | None = None
    celsius: float | None = None
    watts: float | None = None
    is_divided: bool = False
    """MIG is on: programs see its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLook:
    """What was found."""

    gpus: tuple[Gpu, ...] = ()
    trouble: str = ""
    """Why nothing is known where there is a driver, as a sentence; empty: it is known, or there is none."""


def has_driver() -> bool:
    """Whether there is anything to ask, as far as that can be told without asking."""
    if sys.platform == "win32":
        return program() is not None
    return CONTROL_NODE.exists()


def program(search_path: str | None = None, places: Sequence[str] = _PLACES) -> str | None:
    """The path of `nvidia-smi`."""
    return shutil.which("nvidia-smi", path=search_path) or shutil.which("nvidia-smi", path=os.pathsep.join(places))


def look(asked: str | None = None, *, limit_seconds: float = LIMIT_SECONDS) -> GpuLook:
    """Ask once. It takes up to seconds: call it in a thread. Never raises.

    Args:
        asked: the program; None: `nvidia-smi`, wherever it is.
        limit_seconds: then it is ended.
    """
    if (asked := asked or program()) is None:
        return GpuLook(trouble="There is a driver of NVIDIA's, and no nvidia-smi to ask it with.")
    command = [asked, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_seconds,
            check=False,
            env={"PATH": os.defpath, "LC_ALL": "C"} | _kept(os.environ),
            creationflags=_NO_WINDOW,
        )
    except subprocess.TimeoutExpired:
        return GpuLook(trouble=f"nvidia-smi did not answer within {limit_seconds:g} s.")
    except OSError as error:
        return GpuLook(trouble=f"nvidia-smi could not be started ({error.strerror or error}).")
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        line = next(iter((said.strip() or done.stderr.decode("utf-8", "replace").strip()).splitlines()), "")
        return GpuLook(trouble=f"nvidia-smi failed: {_plain(line) or f'exit code {done.returncode}'}.")
    return GpuLook(gpus=read(said.splitlines()))


def read(lines: Iterable[str]) -> tuple[Gpu, ...]:
    """From what `nvidia-smi` prints; a line that is none of its is passed over."""
    found: list[Gpu] = []
    for line in lines:
        row = [one.strip() for one in line.split(",")]
        if len(row) != len(_FIELDS) or not (row[0].isascii() and row[0].isdigit()) or len(found) >= _MOST:
            continue
        index, uuid, name, driver, total, used, busy, celsius, watts, mig = row
        found.append(
            Gpu(
                index=int(index[:6]),
                uuid=_plain(uuid),
                name=_plain(name),
                driver=_plain(driver),
                memory_bytes=_bytes(total),
                used_bytes=_bytes(used),
                busy_percent=_number(busy),
                celsius=_number(celsius),
                watts=_number(watts),
                is_divided=mig.lower() == "enabled",
            )
        )
    return tuple(found)


def labels(gpus: Sequence[Gpu]) -> Mapping[str, str]:
    """What a worker says of them: model, number, and memory of the smallest in MB; empty where there is none."""
    if not gpus:
        return {}
    memory = [one.memory_bytes for one in gpus if one.memory_bytes is not None]
    found = {"gpu": ", ".join(dict.fromkeys(one.name for one in gpus)), "gpu_count": str(len(gpus))}
    return found | ({"gpu_memory_mb": str(min(memory) // _MB)} if memory else {})


def _kept(variables: Mapping[str, str]) -> dict[str, str]:
    """What the program needs of ours: on Windows where the system is; elsewhere where a container keeps the driver."""
    return {name: variables[name] for name in ("SYSTEMROOT", "PROGRAMDATA", "LD_LIBRARY_PATH") if name in variables}


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < 1e12 else None


def _bytes(megabytes: str) -> int | None:
    found = _number(megabytes)
    return None if found is None else int(found) * _MB


def _plain(text: str) -> str:
    return "".join(one for one in text if one.isprintable())[:_LONGEST_NAME].strip()
