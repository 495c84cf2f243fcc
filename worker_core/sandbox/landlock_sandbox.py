"""Linux without namespaces: Landlock for files, and a system-call filter for the rest.

For pods and hardened machines, which forbid the namespaces that bubblewrap makes. It takes no right to confine oneself:
the gate puts both on before it becomes the tool, and they hold for everything that one starts. What only a namespace
hides stays to be seen: other processes with their arguments, and what files are called and when they were changed.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
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
from worker_core.sandbox.file_rules import FileRules
from worker_core.sandbox.gate import Confinement, Gate
from worker_core.sandbox.gpus_given import given
from worker_core.sandbox.keeper import Keeper
from worker_core.sandbox.landlock import Scope
from worker_core.sandbox.launcher import PROXY_PORT, Command, Holds, on_loopback
from worker_core.sandbox.limits import Limits, is_root, kernel_limits
from worker_core.sandbox.loans import data
from worker_core.sandbox.scratch import Scratch
from worker_core.sandbox.seccomp import BesideOthers, Sockets
from worker_core.sandbox.walls import Walls, real, sandboxed_environment

if TYPE_CHECKING:
    from worker_core.sandbox.order import GateOrder

PROBE_SECONDS: Final = 10.0
_STOOD: Final = 7
"""The exit code of a probe that found its walls."""


class LandlockSandbox:
    """Starts commands behind a gate that confines itself.

    Args:
        walls: what it is to enforce.
        version: of Landlock's interface: the rights that are used. By default what the kernel knows.

    """

    name = "landlock"

    def __init__(self, *, walls: Walls, version: int | None = None) -> None:
        self._walls = walls
        self._version = landlock.version() if version is None else version
        self._rules = FileRules(walls)
        self._calls = private_directory(walls.runtime / "calls")
        self._groups = ControlGroups.find(walls.limits)
        self._filters = {
            sockets: seccomp.program(
                platform.machine(),
                beside_others=BesideOthers(sockets=sockets, truncates=self._version >= landlock.TRUNCATION_SINCE),
            )
            for sockets in Sockets
        }

    @property
    def enforces(self) -> frozenset[str]:
        held = {
            Holds.PROCESS_GROUP, Holds.ENVIRONMENT, Holds.FILES, Holds.PRIVILEGES, Holds.KERNEL, Holds.LIMITS,
            Holds.OWN_HOME,
        }  # fmt: skip
        return frozenset(held if self._walls.network is Network.HOST else held | {Holds.NETWORK})

    def close(self) -> None:
        """Let go of what is not used any more."""
        if self._groups is not None:
            self._groups.close()

    def door(self, port: int) -> str | None:
        return self._walls.door(port)

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        return self.of_kind(self.kind(command, workspace=workspace, network=network), command, workspace=workspace)

    def kind(self, command: Command, *, workspace: Path, network: Network | None = None) -> KindOfRules:
        """See `spares.Mechanism`, also for what follows."""
        policy = narrower(self._walls.network, network)
        gpus = given(command.gpus, name=self.name, network=policy)
        home = None if command.home is None else real(command.home)
        allowed = self._rules.rules(
            writable=(
                real(workspace),
                *([] if home is None else [home]),
                *(one.path for one in command.folders if one.writable),
            ),
            readable=(*command.readable, *(one.path for one in command.folders if not one.writable)),
            gpus=gpus,
        )
        return KindOfRules(
            network=policy,
            limits=command.limits or self._walls.limits,
            has_gpus=gpus is not None and bool(gpus.nodes),
            doors=command.doors,
            home=home,
            allowed=tuple((path, access, _inode(path)) for path, access in allowed),
        )

    def of_kind(
        self, kind: KindOfRules, command: Command, *, workspace: Path, order: GateOrder | None = None
    ) -> Command:
        lease = None
        if self._walls.egress is not None and self._has_proxy(kind.network):
            lease = self._walls.egress.lease(doors=kind.doors)
        sockets = Sockets.ALL if kind.network is Network.HOST else Sockets.NONE if lease is None else Sockets.ANSWERED
        scratch = Scratch(self._calls)
        group = None if self._groups is None else self._groups.take(kind.limits)
        keeper = Keeper()
        allowed = [(path, access) for path, access, _ in kind.allowed]
        gate = Gate(
            limits=kernel_limits(kind.limits, has_gpus=kind.has_gpus),
            groups=() if group is None else group.entrances,
            scope=landlock.scope(_REACH) if self._version >= landlock.SCOPES_SINCE else None,
            confinement=Confinement(
                walls=landlock.walls(
                    [*allowed, (scratch.folder, landlock.WRITE)],
                    known=self._version,
                    keeps_from_tcp=kind.network is not Network.HOST,
                ),
                filter=data(self._filters[sockets]),
                leash=keeper.leash,
                answers=lease,
            ),
            order=order,
        )
        variables = self.variables(command, workspace=workspace, network=kind.network, scratch=scratch)
        return replace(
            gate.before(command, {**variables, "PWD": str(command.cwd)}),
            cwd=command.cwd if order is None else workspace,
            limits=kind.limits,
            workspace=workspace,
            first=keeper,
            scratch=scratch,
            group=group,
        )

    def variables(
        self, command: Command, *, workspace: Path, network: Network | None, scratch: Scratch | None
    ) -> dict[str, str]:
        assert scratch is not None
        policy = narrower(self._walls.network, network)
        variables = sandboxed_environment(
            command.environment,
            home=scratch.home if command.home is None else real(command.home),
            tmp=str(scratch.tmp),
            proxy=on_loopback(PROXY_PORT) if self._has_proxy(policy) else None,
            keeps_proxies=policy is Network.HOST,
        )
        gpus = given(command.gpus, name=self.name, network=policy)
        if gpus is not None:
            variables = gpus.visible(variables)
        if "PATH" in variables:
            variables["PATH"] = self._rules.search_path(variables["PATH"], readable=(*command.readable, workspace))
        if is_root():  # git ends where it sees a file that it may not read
            variables |= dict.fromkeys(("GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM"), "1")
        return variables

    def _has_proxy(self, policy: Network) -> bool:
        return self._walls.egress is not None and policy in {Network.ON, Network.ALLOW_LIST}


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfRules:
    """What of a command decides about what it may do."""

    network: Network
    limits: Limits
    has_gpus: bool
    doors: frozenset[int]
    home: Path | None
    """That stays; None: it ends with the call."""

    allowed: tuple[tuple[Path, int, tuple[int, int]], ...]
    """Paths and what may be done there, besides in the folder of its own; and the device and inode of each, since a
    rule is about what was there when it was made."""


def _inode(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 -- before each call, dozens of times
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


_REACH: Final = Scope.ABSTRACT_SOCKETS | Scope.SIGNALS


def weaknesses(version: int) -> str:
    """What a tool can do here that it cannot in bubblewrap, as a sentence."""
    if version < landlock.SCOPES_SINCE:
        return worded(
            "They see other processes and their arguments, and can change the rights of your files elsewhere, and can "
            "end your other processes, the worker among them (Linux 6.12 keeps them from that)."
        )
    return worded("They see other processes and their arguments, and can change the rights of your files elsewhere.")


def probe(walls: Walls) -> str:
    """Start something that tries to read what it may not. Empty where it cannot, else a sentence that says why not.

    Raises:
        OSError: something is short here, which says nothing of Landlock.

    """
    version = landlock.version()
    if version == 0:
        return worded(
            "The kernel has no Landlock (Linux 5.13 and later have it, unless it is switched off: `lsm=` at boot)."
        )
    if not seccomp.program(platform.machine()):
        return worded(
            "System calls of this machine ({kind}) are not known, and Landlock alone is no sandbox.",
            kind=platform.machine(),
        )
    folder = private_directory(walls.runtime / "probe")
    secret = walls.runtime / "not-for-tools"
    secret.touch(mode=0o600)
    try:
        launcher = LandlockSandbox(walls=replace(walls, egress=None, network=Network.OFF))
        script = f'[ -f "$1" ] && ! (: <"$1") 2>/dev/null && (: <"$0") && exit {_STOOD}'
        command = launcher.wrap(
            Command(
                argv=["/bin/sh", "-c", script, "/bin/sh", str(secret)], cwd=folder,
                environment={"PATH": "/usr/bin:/bin"},
            ),
            workspace=folder,
        )  # fmt: skip
        with contextlib.closing(launcher):
            before_a_start()
            result = subprocess.run(
                list(command.argv), cwd=command.cwd, env=dict(command.environment), stdin=subprocess.DEVNULL,
                capture_output=True, timeout=PROBE_SECONDS, check=False,
                pass_fds=[loan.descriptor for loan in command.loans],
            )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        if is_shortage(error):
            raise
        return worded("Landlock does not work here: {why}.", why=str(error))
    if result.returncode == _STOOD:
        return ""
    said = " ".join(result.stderr.decode("utf-8", "replace").split())[:300]
    return worded("Landlock does not work here: {why}.", why=said or worded("a program in it read what it may not"))
