"""How busy the GPUs of this machine are, and with whose processes: asked when somebody wants to see it, by no clock.

NVIDIA's driver is asked by its program. What AMD's tells stands in files (the kernel's gpu/amdgpu/thermal and
driver-misc); it does not say which processes use a GPU. Of Apple's nothing is known.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Phrase, settle, worded
from worker_core.machine import gpu_facts
from worker_core.machine.gpu_facts import UUID, Gpu, NotKnown

LIMIT_SECONDS = 8.0
"""For all that is asked: somebody looks at a screen."""

LISTED: Final = 32
"""Processes of one GPU that are told one by one, those with the most memory first."""

PARTS: Final = 16
"""Parts of one GPU. The driver makes at most seven (NVIDIA's MIG guide)."""

_PROCESSES: Final = 4096
"""Rows of processes that are read."""

_USER: Final = re.compile(f"(?:GPU|MIG)-{UUID}")
_PID: Final = re.compile(r"[1-9][0-9]{0,9}")
_GPU_LINE: Final = re.compile(rf"GPU [0-9]{{1,3}}: .{{1,200}} \(UUID: (GPU-{UUID})\)")
_PART_LINE: Final = re.compile(rf" +MIG ([0-9a-z.+]{{1,24}}) +Device +[0-9]{{1,3}}: \(UUID: (MIG-{UUID})\)")
"""`nvidia-smi -L`, from driver 470 on."""

_AMD: Final = re.compile(r"renderD([0-9]{3})")
_AMD_VENDOR: Final = "0x1002"
_WHOLE: Final = re.compile(r"[0-9]{1,15}")
_MOST_GPUS: Final = 64

OwnerOf = Callable[[Collection[int]], Mapping[int, str]]
"""Whose processes these are, by their ids: the execution of each that is one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process of an execution's, on a GPU."""

    pid: int
    """As the machine numbers it: in a sandbox it has another."""

    execution_id: str
    memory_bytes: int | None = None
    """Of the GPU's. None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuInUse:
    """One GPU, and who computes on it."""

    gpu: Gpu
    parts: tuple[str, ...] = ()
    """Profiles of those that it is divided into, such as `3g.71gb`."""

    processes: tuple[GpuProcess, ...] = ()
    """Of this worker's executions."""

    unlisted: int = 0
    """More of them, which are not told one by one."""

    others: int | None = None
    """Processes of anybody else. None: it is not known who uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """What was found at one moment."""

    gpus: tuple[GpuInUse, ...] = ()
    trouble: str = ""
    """What is not known, and why, as a sentence; empty: there is nothing to say."""

    said: tuple[Phrase, ...] = ()
    """What `trouble` is made of, for other languages; empty: it is said in English."""

    def __post_init__(self) -> None:
        settle(self, "trouble")


def look(
    owner_of: OwnerOf, *, asked: str | None = None, root: Path = Path("/"), limit_seconds: float = LIMIT_SECONDS
) -> GpuUse:
    """Ask once. It takes up to seconds: call it in a thread. Never raises.

    Args:
        owner_of: whose processes these are.
        asked: the program; None: `nvidia-smi`, wherever it is.
        root: below which `dev` and `sys` are.
        limit_seconds: then it is ended.
    """
    if gpu_facts.has_driver():
        return _nvidia(owner_of, asked, until=time.monotonic() + limit_seconds)
    if sys.platform == "darwin":
        return GpuUse(
            trouble=worded("Of Apple's GPU nothing is known here: drivers of NVIDIA's and AMD's alone are asked.")
        )
    if (root / "dev/kfd").exists():
        gpus = tuple(GpuInUse(gpu=gpu) for gpu in amd(root))
        return GpuUse(
            gpus=gpus, trouble=worded("AMD's driver does not tell which processes use a GPU.") if gpus else ""
        )
    return GpuUse()


def _nvidia(owner_of: OwnerOf, asked: str | None, *, until: float) -> GpuUse:
    def left() -> float:
        return max(0.1, until - time.monotonic())

    found = gpu_facts.look(asked, limit_seconds=left())
    uses = {gpu.uuid: GpuInUse(gpu=gpu) for gpu in found.gpus}
    if not uses:
        return GpuUse(trouble=found.trouble)
    parents = {uuid: uuid for uuid in uses}
    try:
        if any(one.gpu.is_divided for one in uses.values()):
            for uuid, parts in read_parts(gpu_facts.ask(("-L",), asked, seconds=left()).splitlines()).items():
                if uuid in uses:
                    uses[uuid] = replace(uses[uuid], parts=tuple(parts.values()))
                    parents |= dict.fromkeys(parts, uuid)
        query = ("--query-compute-apps=gpu_uuid,pid,used_gpu_memory", "--format=csv,noheader,nounits")
        rows = read_processes(gpu_facts.ask(query, asked, seconds=left()).splitlines())
    except NotKnown as error:
        trouble = worded("Which processes use the GPUs is not known: {why}", why=error.sentence)
        return GpuUse(gpus=tuple(uses.values()), trouble=trouble)
    owners = owner_of({pid for _, pid in rows})
    on: dict[str, dict[int, int | None]] = {uuid: {} for uuid in uses}
    for (uuid, pid), memory in rows.items():
        if (parent := parents.get(uuid)) is not None:  # one that works in several parts of a GPU is one process
            before = on[parent].get(pid)
            on[parent][pid] = before if memory is None else memory + (before or 0)
    return GpuUse(gpus=tuple(_with(use, on[uuid], owners) for uuid, use in uses.items()))


def _with(use: GpuInUse, processes: Mapping[int, int | None], owners: Mapping[int, str]) -> GpuInUse:
    own = [
        GpuProcess(pid=pid, execution_id=owners[pid], memory_bytes=memory)
        for pid, memory in processes.items()
        if pid in owners
    ]
    own.sort(key=lambda one: (-(one.memory_bytes or 0), one.pid))
    return replace(use, processes=tuple(own[:LISTED]), unlisted=len(own[LISTED:]), others=len(processes) - len(own))


def read_processes(lines: Iterable[str]) -> dict[tuple[str, int], int | None]:
    """Memory in bytes, by what a process computes on (a GPU's UUID, or that of a part) and its id; a line that is none
    of `nvidia-smi`'s is passed over.
    """
    found: dict[tuple[str, int], int | None] = {}
    for line in lines:
        row = [one.strip() for one in line.split(",")]
        if len(row) != 3 or not _USER.fullmatch(row[0]) or not _PID.fullmatch(row[1]):
            continue
        if len(found) >= _PROCESSES:
            break
        found.setdefault((row[0], int(row[1])), gpu_facts.memory_of(row[2]))
    return found


def read_parts(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """From `nvidia-smi -L`, by the UUID of a GPU: profiles of its parts by their UUIDs."""
    found: dict[str, dict[str, str]] = {}
    parts: dict[str, str] | None = None
    for line in lines:
        if gpu := _GPU_LINE.fullmatch(line):
            parts = found.setdefault(gpu[1], {}) if len(found) < _MOST_GPUS or gpu[1] in found else None
        elif (part := _PART_LINE.fullmatch(line)) and parts is not None and len(parts) < PARTS:
            parts[part[2]] = part[1]
    return found


def amd(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """What AMD's driver tells, in the order of the nodes. Not tried on one.

    Args:
        root: below which `sys` is.
    """
    found: list[Gpu] = []
    with suppress(OSError):
        for node in sorted((root / "sys/class/drm").iterdir()):
            device = node / "device"
            if not _AMD.fullmatch(node.name) or _text(device / "vendor") != _AMD_VENDOR or len(found) >= _MOST_GPUS:
                continue
            sensors = next(iter(sorted((device / "hwmon").glob("hwmon*"))), device)
            celsius, watts = _number(sensors / "temp1_input"), _number(sensors / "power1_average")
            busy = _number(device / "gpu_busy_percent")
            found.append(
                Gpu(
                    index=len(found),
                    uuid="",
                    name=gpu_facts.plain_name(_text(device / "product_name")) or f"AMD ({node.name})",
                    driver="amdgpu",
                    memory_bytes=_number(device / "mem_info_vram_total"),
                    used_bytes=_number(device / "mem_info_vram_used"),
                    busy_percent=busy if busy is not None and busy <= 100 else None,
                    celsius=None if celsius is None else celsius / 1e3,
                    watts=None if watts is None else watts / 1e6,
                )
            )
    return tuple(found)


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if _WHOLE.fullmatch(text) else None


def _text(file: Path) -> str:
    """The first line of a file; empty where there is none."""
    with suppress(OSError), file.open("rb") as opened:
        return opened.read(200).partition(b"\n")[0].decode("ascii", "replace").strip()
    return ""
