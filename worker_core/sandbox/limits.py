"""What one tool process and everything it starts may use up, and what watches that.

Two layers. A shell in front of the tool sets the kernel's own limits (setrlimit(2)), which hold per process. A watcher
in the worker looks at the whole tree a few times a second and ends it with a sentence for the model.

`RLIMIT_NPROC`: the kernel (since 5.14) counts per user namespace and user, so inside the sandbox's own namespace it
counts this call's processes alone, and a fork bomb stops at the number exactly. It must be set inside: set outside, it
would count everything the user runs. It does not hold for a worker that runs as root (the kernel exempts uid 0 of the
machine); there a control group does it, where one can be made (`pids.py`), else the watcher alone ends a fork bomb.
`RLIMIT_DATA` instead of `RLIMIT_AS`: programs such as node reserve far more addresses than they ever fill.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from worker_core.sandbox.launcher import Command

_MEGABYTE = 1024 * 1024

# `-p` is the number of processes in dash and busybox, `-u` in bash, ksh and zsh. Sizes are in 512-byte blocks (`-f`)
# and kilobytes (`-d`). A limit that is lower already stays.
_SCRIPT = (
    'ulimit -c 0; ulimit -t "$1"; ulimit -d "$2"; ulimit -n "$3"; ulimit -f "$4"; '
    'if [ "$5" != 0 ]; then ulimit -u "$5" || ulimit -p "$5"; fi'
)


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


def limited(command: Command, limits: Limits, *, workspace: Path, counts_processes: bool = False) -> Command:
    """The command behind a shell that sets its limits. On Windows they are those of the job object.

    Args:
        command: what to run.
        limits: what it may use up.
        workspace: the folder whose size counts.
        counts_processes: whether the kernel counts only this call's processes (a user namespace of its own).

    """
    command = replace(command, limits=limits, workspace=workspace)
    if os.name == "nt":
        return command
    return replace(command, argv=shell_prefix(limits, counts_processes=counts_processes) + list(command.argv))


def shell_prefix(limits: Limits, *, counts_processes: bool, first: str = "") -> list[str]:
    """What stands before a command: it sets the limits, and becomes the command."""
    numbers = (
        max(1, round(limits.cpu_time.total_seconds())),
        limits.memory_bytes // 1024,
        limits.open_files,
        limits.file_bytes // 512,
        limits.processes if counts_processes else 0,
    )
    script = f'{{ {_SCRIPT}; {first or ":"}; }} 2>/dev/null; shift 5; exec "$@"'
    return ["/bin/sh", "-c", script, "limits", *map(str, numbers)]
