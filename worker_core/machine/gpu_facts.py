"""The GPUs of this machine, as `nvidia-smi` tells of them: names, memory, and what is used.

It comes with each driver of NVIDIA's, so no library is needed, and it is a child that ends: a process that asks NVML
itself grows by 26 MB and keeps 16 descriptors (measured on an H200, driver 580). Nobody asks where there is no driver.
What a field cannot say stands in brackets (`[N/A]`, `[Not Supported]`), and is None here. Whatever else it says, a
program of that name may be anybody's: a line that is not just as it should be is passed over.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.machine.asked_program import AskedProgram, ProgramAnswer, StillThere, TooMuchSaid, TooSlow

CONTROL_NODE: Final = Path("/dev/nvidiactl")
"""There as soon as the driver is loaded, also in a container that was given a GPU."""

UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""Behind `GPU-` and `MIG-`."""

LIMIT_SECONDS: Final = 20.0
"""Without persistence mode the driver is loaded by the first look, which takes seconds for each GPU."""

_PLACES: Final = ("/usr/bin", "/usr/local/nvidia/bin", "/usr/lib/wsl/lib", r"C:\Windows\System32")
"""Beside the PATH: the second is NVIDIA's container toolkit's, the third Windows's for Linux."""

_FIELDS: Final = (
    "index", "uuid", "name", "driver_version", "memory.total", "memory.used", "utilization.gpu", "temperature.gpu",
    "power.draw", "mig.mode.current",
)  # fmt: skip
_MB: Final = 1024 * 1024
_MOST: Final = 64
"""GPUs of one machine. More are no answer of that program's."""

_LONGEST_NAME: Final = 80
_GPU_UUID: Final = re.compile(f"GPU-{UUID}")
_INDEX: Final = re.compile(r"[0-9]{1,3}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?")
_HIGHEST_PERCENT: Final = 100.0

_SMI: Final = AskedProgram()


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
    try:
        said = ask((f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"), asked, seconds=limit_seconds)
    except NotKnown as error:
        return GpuLook(trouble=error.sentence)
    gpus = read(said.splitlines())
    if said.strip() and not gpus:
        return GpuLook(trouble=worded("What nvidia-smi says cannot be read."))
    return GpuLook(gpus=gpus)


class NotKnown(Exception):
    """`nvidia-smi` gave no answer."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def ask(arguments: Sequence[str], asked: str | None = None, *, seconds: float) -> str:
    """What `nvidia-smi` says.

    Args:
        arguments: what it is asked.
        asked: the program; None: `nvidia-smi`, wherever it is.
        seconds: then it is ended.

    Raises:
        NotKnown: it said nothing that counts.

    """
    if (asked := asked or program()) is None:
        raise NotKnown(worded("There is a driver of NVIDIA's, and no nvidia-smi to ask it with."))
    variables = {"PATH": os.defpath, "LC_ALL": "C"} | _kept(os.environ)
    try:
        said = _SMI.ask([asked, *arguments], environment=variables, seconds=seconds)
    except TooSlow:
        raise NotKnown(worded("nvidia-smi did not answer within {n} s.", n=f"{round(seconds, 1):g}")) from None
    except StillThere:
        raise NotKnown(worded("nvidia-smi hangs in its driver: an earlier one cannot be ended.")) from None
    except TooMuchSaid:
        raise NotKnown(worded("nvidia-smi says more than it could have to say.")) from None
    except OSError as error:
        raise NotKnown(
            worded("nvidia-smi could not be started ({why}).", why=plain_name(error.strerror or str(error)))
        ) from None
    if said.code:
        raise NotKnown(worded("nvidia-smi failed: {why}.", why=_why(said)))
    return said.output


def read(lines: Iterable[str]) -> tuple[Gpu, ...]:
    """From what `nvidia-smi` prints; a line that is none of its is passed over."""
    found: dict[str, Gpu] = {}
    for line in lines:
        row = [one.strip() for one in line.split(",")]
        if len(row) != len(_FIELDS) or not _INDEX.fullmatch(row[0]) or not _GPU_UUID.fullmatch(row[1]):
            continue
        if len(found) >= _MOST:
            break
        index, uuid, name, driver, total, used, busy, celsius, watts, mig = row
        gpu = Gpu(
            index=int(index),
            uuid=uuid,
            name=plain_name(name),
            driver=plain_name(driver),
            memory_bytes=memory_of(total),
            used_bytes=memory_of(used),
            busy_percent=_number(busy, most=_HIGHEST_PERCENT),
            celsius=_number(celsius),
            watts=_number(watts),
            is_divided=mig.lower() == "enabled",
        )
        found.setdefault(uuid, gpu)
    return tuple(found.values())


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


def _why(said: ProgramAnswer) -> str:
    text = said.output.strip() or said.errors.strip()
    return plain_name(text.partition("\n")[0]).rstrip(".") or f"exit code {said.code}"


def _number(text: str, *, most: float = 1e9) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    found = float(text)
    return found if found <= most else None


def memory_of(megabytes: str) -> int | None:
    """In bytes; None: it does not say."""
    found = _number(megabytes)
    return None if found is None else int(found) * _MB


def plain_name(text: str) -> str:
    """What can be printed of a name, and no more than a name is long."""
    return "".join(one for one in text[: 4 * _LONGEST_NAME] if one.isprintable())[:_LONGEST_NAME].strip()
