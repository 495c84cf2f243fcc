"""The gate before every tool: a program of ours that is started with an environment of ours, and becomes the tool.

What stands outside the walls or comes before the limits (bubblewrap, a container engine, the gate itself) reads its
environment: `SHELLOPTS` and `PS4` make bash run a command, `PERL5OPT` perl, `DOCKER_HOST` names another machine. So
what an execution declares is data until the tool begins: it lies in a file without a name that the gate alone inherits.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.interpreter import plain_interpreter
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.limits import Limits, kernel_limits
from worker_core.sandbox.loans import Loan, data

if TYPE_CHECKING:
    from worker_core.sandbox.order import GateOrder

_PERL = "/usr/bin/perl"
_CALLS: Final = {
    "x86_64": (46, 302, 446, 157, 317, 14, 128, 62, 126, 436),
    "aarch64": (211, 261, 446, 167, 277, 135, 137, 129, 91, 436),
}
"""sendmsg, prlimit64, landlock_restrict_self, prctl, seccomp, rt_sigprocmask, rt_sigtimedwait, kill, capset,
close_range."""

_CHILD = Path(__file__).with_name("gate_child.py")
_FIXED: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


def own_environment(command: Command) -> dict[str, str]:
    """Of everything that runs before a tool. The mark is there so that what is left of a call can be found."""
    return {**_FIXED, CALL_MARK: command.environment.get(CALL_MARK, "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What the gate puts on before it becomes the tool, where nothing around it does."""

    walls: Loan
    """Rules of Landlock."""

    filter: Loan
    """A file with a system-call filter."""

    leash: Loan
    """A pipe. The gate stays as the tool's keeper, and ends everything when the pipe's other end is closed."""

    answers: Loan | None = None
    """A connected socket on which the filter's listener is handed over: who has that answers for the kernel."""

    @property
    def loans(self) -> tuple[Loan, ...]:
        return (self.walls, self.filter, self.leash, *([] if self.answers is None else [self.answers]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What it is to do; see gate_child.py."""

    limits: Mapping[int, int]
    """By the numbers of setrlimit(2)."""

    groups: Sequence[Loan] = ()
    """What the tool enters its control groups by, open (`CallGroup.entrances`)."""

    network: tuple[Loan, int, int] | None = None
    """A connected socket on which a listener is handed over, the listener's port of 127.0.0.1, and how many sockets are
    handed over besides, neither bound nor connected; with them comes one for datagrams, and the tool waits until the
    other end has been shut."""

    scope: Loan | None = None
    """Rules of Landlock about what is in reach; they are put on first, by the keeper as well."""

    confinement: Confinement | None = None

    order: GateOrder | None = None
    """It waits for this, and takes from it what `before` is told else: the command and its variables."""

    folders: bool = False
    """Make the folders that HOME and TMPDIR name. Not where `program` is Perl."""

    def before(self, command: Command, variables: Mapping[str, str]) -> Command:
        """The command behind the gate, with these variables in its environment once it begins.

        Raises:
            OSError: there are no more descriptors.

        """
        told: tuple[Loan, ...]
        if self.order is None:
            file = data(b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in variables.items()))
            words, told, becomes = [f"variables={file.descriptor}"], (file,), command.argv
        else:
            words, told, becomes = [self.order.word], self.order.loans, []
        if self.limits:
            words.append("limits=" + ",".join(f"{number}:{value}" for number, value in self.limits.items()))
        if self.groups:
            words.append("groups=" + ",".join(str(group.descriptor) for group in self.groups))
        if self.network is not None:
            words.append(f"network={self.network[0].descriptor}:{self.network[1]}:{self.network[2]}")
        own = (*self.groups, *([] if self.network is None else [self.network[0]]))
        if self.scope is not None:
            words.append(f"scope={self.scope.descriptor}")
            own += (self.scope,)
        if (confined := self.confinement) is not None:
            words += [f"{name}={getattr(confined, name).descriptor}" for name in ("walls", "filter", "leash")]
            words += [] if confined.answers is None else [f"answers={confined.answers.descriptor}"]
            own += confined.loans
        words += ["folders=1"] if self.folders else []
        return replace(
            command,
            argv=[*program(needs_folders=self.folders), *words, "--", *becomes],
            environment=own_environment(command),
            loans=(*command.loans, *told, *own),
        )


def limited(command: Command, limits: Limits, *, workspace: Path) -> Command:
    """The command behind a gate that sets its limits. On Windows they are those of the job object.

    Args:
        command: what to run.
        limits: what it may use up.
        workspace: the folder whose size counts.

    Raises:
        OSError: there are no more descriptors.

    """
    command = replace(command, limits=limits, workspace=workspace)
    if sys.platform == "win32":
        return command
    return Gate(limits=kernel_limits(limits)).before(command, command.environment)


def program(*, needs_folders: bool = False) -> list[str]:
    """The gate. Perl, which nearly every Linux has, starts in 1.5 ms, Python in 10."""
    calls = _CALLS.get(platform.machine()) if platform.system() == "Linux" else None
    if calls is not None and not needs_folders and Path(_PERL).exists():
        return [_PERL, str(_CHILD.with_suffix(".pl")), "calls=" + ",".join(map(str, calls))]
    return [plain_interpreter(), "-I", "-S", str(_CHILD)]


def files() -> list[Path]:
    """What it consists of besides an interpreter: to be visible where it runs."""
    return [_CHILD, _CHILD.with_suffix(".pl")]
