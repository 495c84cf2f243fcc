"""What every mechanism is told, and what they have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.reachable import Network
from worker_core.sandbox.launcher import on_loopback
from worker_core.sandbox.limits import Limits

if TYPE_CHECKING:
    from worker_core.sandbox.egress.egress import Egress

TMP = "/tmp"  # noqa: S108 -- the sandbox's own
TMP_BYTES = 1024**3
HOME = Path(TMP) / "home"
"""Gone when the call ends: what a tool leaves there steers no later call. What is to stay is put in the workspace."""

_DROPPED = frozenset({"TEMP", "TMP", "LD_LIBRARY_PATH"})
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What is to be enforced."""

    limits: Limits = field(default_factory=Limits)
    network: Network = Network.ON
    readable: tuple[Path, ...] = ()
    """Folders and files that tools may read besides the system's programs."""

    hidden: tuple[Path, ...] = ()
    """Folders and files of the worker: covered where they lie below something readable, and nothing in them is
    readable."""

    runtime: Path = Path()
    """Private folder for what the mechanism needs."""

    egress: Egress | None = None
    """The worker's proxy; None: there is none, and `on` and `allow-list` are `off`."""

    def door(self, port: int) -> str | None:
        """`Launcher.door` of a mechanism whose network is the worker's proxy."""
        if self.network is Network.HOST:
            return on_loopback(port)
        if self.egress is None:
            return None
        from worker_core.sandbox.gatekeeper import WORKER

        return f"http://{WORKER}:{port}"

    def left_out(self) -> tuple[Path, ...]:
        """What is asked to be readable and is not: the worker's own, and what each call has of its own."""
        return tuple(path for path in self.readable if not self.may_show(path))

    def may_show(self, path: Path) -> bool:
        """Whether something that is asked to be readable can be."""
        place, never = real(path), [*map(real, self.hidden), Path("/dev"), Path("/proc")]
        return place != Path(TMP) and not any(place.is_relative_to(folder) for folder in never)

    def shown(self) -> tuple[tuple[Path, ...], list[Path]]:
        """For a mechanism that mounts what is readable under its own name: that, and what of it is to be covered."""
        left_out = self.left_out()
        paths = tuple(path for path in self.readable if path not in left_out)
        hidden = [path for path in map(real, self.hidden) if path.exists()]
        seen = [
            path / folder.relative_to(real(path))
            for path in paths
            for folder in hidden
            if folder.is_relative_to(real(path))
        ]
        return paths, outermost(seen)


def real(path: Path) -> Path:
    """Links followed, whether all of it is there or not."""
    return Path(os.path.realpath(path))


def lies_in(path: Path, folder: Path) -> bool:
    """Of absolute paths, what `Path.is_relative_to` says, which takes longer than all else that a call waits for."""
    inner, outer = os.path.normcase(path), os.path.normcase(folder)
    return inner == outer or inner.startswith(outer if outer.endswith(os.sep) else outer + os.sep)


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Without those that lie in another one."""
    found: list[Path] = []
    for path in sorted(set(paths), key=lambda one: len(one.parts)):
        if not any(lies_in(path, other) for other in found):
            found.append(path)
    return found


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
        environment.setdefault("NODE_USE_ENV_PROXY", "1")  # Node asks for no proxy by itself; since 22.21 and 24
    return environment
