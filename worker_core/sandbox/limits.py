"""What one tool process and everything it starts may use up, and what watches that.

Two layers. The gate before the tool sets the kernel's own limits (setrlimit(2)), which hold per process. A watcher
in the worker looks at the whole tree a few times a second and ends it with a sentence for the model.

`RLIMIT_NPROC`: the kernel (since 5.14) counts per user namespace and user, so inside the sandbox's own namespace it
counts this call's processes alone, and a fork bomb stops at the number exactly. It must be set inside: set outside, it
would count everything the user runs. It does not hold for a worker that runs as root (the kernel exempts uid 0 of the
machine); there a control group does it, where one can be made (`control_groups.py`), else the watcher alone ends a fork
bomb. The same group bounds memory. `RLIMIT_MSGQUEUE` and `RLIMIT_SIGPENDING` are the user's in all: a call gets half.
`RLIMIT_DATA` instead of `RLIMIT_AS`: programs such as node reserve far more addresses than they ever fill.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.settings import Settings
from worker_core.settings.call_limits import CallLimitKind

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """For one call. Every one holds for the whole tree, `open_files` and `file_bytes` for each process."""

    cpu_time: timedelta = timedelta(minutes=30)
    memory_bytes: int = 4096 * _MEGABYTE
    processes: int = 512
    open_files: int = 4096
    file_bytes: int = 2048 * _MEGABYTE
    """The largest file."""

    workspace_bytes: int = 5120 * _MEGABYTE
    """Everything in the workspace together."""

    workspace_files: int = 1_000_000
    """Files and folders in the workspace together."""


def limits_of(settings: Settings) -> Limits:
    """What one tool call may use up, as the settings say."""
    return Limits(
        cpu_time=settings.tool_cpu_time,
        memory_bytes=settings.tool_memory_mb * _MEGABYTE,
        processes=settings.tool_processes,
        open_files=settings.tool_open_files,
        file_bytes=settings.tool_file_mb * _MEGABYTE,
        workspace_bytes=settings.workspace_mb * _MEGABYTE,
        workspace_files=settings.workspace_files,
    )


def limits_of_call(
    settings: Settings, said: Mapping[CallLimitKind, float], wished: Mapping[CallLimitKind, float]
) -> Limits | None:
    """What one call may use up, where that is not what all may; None: it is.

    Args:
        settings: what holds for all.
        said: for its queue and its skill, by the owner (`limits_for`).
        wished: by whoever configured the skill: it can only narrow.
    """
    general = limits_of(settings)
    memory = said.get("memory_mb", settings.tool_memory_mb)
    processes = said.get("processes", settings.tool_processes)
    seconds = said.get("cpu_time", settings.tool_cpu_time.total_seconds())
    found = replace(
        general,
        memory_bytes=int(min(memory, wished.get("memory_mb", memory)) * _MEGABYTE),
        processes=int(min(processes, wished.get("processes", processes))),
        cpu_time=timedelta(seconds=min(seconds, wished.get("cpu_time", seconds))),
    )
    return None if found == general else found


def is_root() -> bool:
    """Whether this process is root of the machine, whom the kernel exempts from much."""
    return sys.platform != "win32" and os.getuid() == 0


_GPU_DATA_BYTES: Final = 64 * 1024 * _MEGABYTE
"""JAX maps the pools of the host as data, and ends with `std::bad_alloc` where it may not (measured: 4 GiB are too few,
64 enough). What is filled of it counts as memory all the same."""


def kernel_limits(limits: Limits, *, counts_processes: bool = False, has_gpus: bool = False) -> dict[int, int]:
    """What setrlimit(2) is told, by its numbers here.

    Args:
        limits: of the call.
        has_gpus: it was given GPUs.
        counts_processes: whether the kernel counts only this call's processes (a user namespace of its own).

    """
    if sys.platform == "win32":
        return {}
    import resource

    told = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: max(1, round(limits.cpu_time.total_seconds())),
        resource.RLIMIT_DATA: max(limits.memory_bytes, _GPU_DATA_BYTES) if has_gpus else limits.memory_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.file_bytes,
    }
    if sys.platform == "linux":
        for number in (resource.RLIMIT_MSGQUEUE, resource.RLIMIT_SIGPENDING):
            soft, _ = resource.getrlimit(number)
            if soft != resource.RLIM_INFINITY:
                told[number] = soft // 2
    return {**told, resource.RLIMIT_NPROC: limits.processes} if counts_processes else told
