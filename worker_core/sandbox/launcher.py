"""The seam where an operating-system sandbox fits: it rewrites the command that starts a tool process.

What `wrap` gives back is a plain argument list, so that whoever starts processes (our runner, the MCP SDK) can use it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.reachable import Network

if TYPE_CHECKING:
    from worker_core.machine.gpus import GpuGrant
    from worker_core.sandbox.control_groups import CallGroup
    from worker_core.sandbox.first_process import FirstProcess
    from worker_core.sandbox.keeper import Keeper
    from worker_core.sandbox.limits import Limits
    from worker_core.sandbox.loans import Loan
    from worker_core.sandbox.scratch import Scratch

PROXY_PORT = 3128
"""Of a sandbox's own 127.0.0.1: where its tools find the worker's proxy."""


class Holds(enum.StrEnum):
    """What a launcher can enforce for every process that is started through it."""

    PROCESS_GROUP = "process-group"
    ENVIRONMENT = "environment"
    FILES = "files"
    """Nothing is written outside the workspace and private temporary folders; home folders cannot be read."""

    NETWORK = "network"
    """The network policy, whatever the program does."""

    PROCESSES = "processes"
    """Other processes are neither seen nor signalled, and none survives its call."""

    PRIVILEGES = "privileges"
    """No capability, no setuid program, no new namespace."""

    KERNEL = "kernel"
    """System calls that tools do not need are refused."""

    LIMITS = "limits"
    """Processor time, memory, processes, open files and sizes of files."""

    OWN_HOME = "own-home"
    """`~` is no folder of the machine's user."""

    OWN_TMP = "own-tmp"
    """`/tmp` is not the machine's, and ends with the call."""

    OWN_LOOPBACK = "own-loopback"
    """127.0.0.1 is not the machine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedFolder:
    """A folder of the owner's that a call may use besides its workspace, in its own place."""

    path: Path
    """Absolute and without links, and no tool may write where a link could come into it."""

    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPlace:
    """Where an execution works, besides in its workspace."""

    folders: tuple[GrantedFolder, ...] = ()
    start: Path | None = None
    """The folder, in one of those, that relative paths and commands begin in; None: the workspace."""

    def holds(self, path: Path) -> bool:
        """Whether a path without links is in one of the folders."""
        return any(path.is_relative_to(one.path) for one in self.folders)


WORKSPACE_ALONE: Final = WorkPlace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start. Never a shell string."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    limits: Limits | None = None
    """What it may use up. None: before it is wrapped, what the settings say for all; behind that, everything."""

    workspace: Path | None = None
    """The folder whose size counts."""

    first: FirstProcess | Keeper | None = None
    """Of a process namespace of its own, or the keeper of a call: what ends that one ends everything."""

    doors: frozenset[int] = frozenset()
    """Ports of the worker's own that this process, and no other, may come to where `Launcher.door` says."""

    loans: tuple[Loan, ...] = ()
    """What it inherits."""

    readable: tuple[Path, ...] = ()
    """What it may read besides the system's programs and what the settings say: its own installation."""

    folders: tuple[GrantedFolder, ...] = ()
    """What of the owner's it may use. Without a sandbox nothing keeps it from the rest, nor from writing all of it."""

    home: Path | None = None
    """A folder of the worker's that is its home and stays. None: the home is empty, and gone with the process.
    Without a sandbox the home is the user's."""

    gpus: GpuGrant | None = None
    """What of GPUs it may use, and whether it is told that there is none. None: the settings switch them off."""

    scratch: Scratch | None = None
    """A folder that is removed when it has ended."""

    group: CallGroup | None = None
    """The control group that it enters: what the kernel counts and bounds of it."""

    is_call: bool = False
    """It goes to `run_process`, once: then a sandbox that waits may become it."""


class Launcher(Protocol):
    """Wraps a command in whatever isolation is active, and says what it enforces."""

    @property
    def name(self) -> str:
        """Of the mechanism, e.g. `bubblewrap`; `none` where there is none."""
        ...

    @property
    def enforces(self) -> frozenset[str]:
        """What holds for every process started through it: values of `Holds`."""
        ...

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        """The command, isolated. It may take a few milliseconds: call it in a thread.

        Args:
            command: what to run; its `cwd` is inside the workspace or one of its `folders`.
            workspace: the one folder it may write, besides those of its `folders` that are writable.
            network: at most this, where it is less than what the settings allow. None: what they allow.

        Raises:
            OSError: it may not be started without a sandbox, and there is none.

        """
        ...

    def door(self, port: int) -> str | None:
        """Where a process that has this port among its `doors` finds it on the worker's own 127.0.0.1, as a URL; None:
        nowhere.

        Whoever listens there must ask for a password: where processes share the worker's network, all can come.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """A launcher that makes something for calls to come."""

    def prepare(self, command: Command, *, workspace: Path, network: Network | None = None) -> None:
        """Make it for a call like this one. It takes a few milliseconds: call it in a thread that lives on.

        Args:
            command: what of it decides about its walls; nothing of it is run.
            workspace: as in `Launcher.wrap`.
            network: as there.
        """
        ...

    def leave(self, workspace: Path) -> None:
        """No call follows in this workspace for now."""
        ...


class Observed:
    """A launcher that remembers whether it was used.

    Args:
        inner: starts the commands.
        limits: of each of them; None: what the settings say for all.
        gpus: as in `Command`.
    """

    def __init__(self, inner: Launcher, *, limits: Limits | None = None, gpus: GpuGrant | None = None) -> None:
        self._inner = inner
        self._limits = limits
        self._gpus = gpus
        self.used = False

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def enforces(self) -> frozenset[str]:
        return self._inner.enforces

    def door(self, port: int) -> str | None:
        return self._inner.door(port)

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        self.used = True
        if self._limits is not None:
            command = replace(command, limits=self._limits)
        if self._gpus is not None:
            command = replace(command, gpus=self._gpus)
        return self._inner.wrap(command, workspace=workspace, network=network)


def on_loopback(port: int) -> str:
    """The URL of a port for processes that share the worker's network."""
    return f"http://127.0.0.1:{port}"
