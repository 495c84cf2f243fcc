"""What a service is on this system: its files, and the commands that its verbs are."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from worker_core.basics.home import home_folder
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ConfigurationError
from worker_core.paths import Paths
from worker_core.services import launchd, systemd, windows_task
from worker_core.services.plan import LABEL, Scope, ServiceFile, ServicePlan

Verb = Literal["install", "uninstall", "forget", "start", "stop", "restart"]
Command = tuple[str, ...]

KEYS_OF_SYSTEM: Final = Path("/etc") / LABEL
_MAC, _WINDOWS = "Darwin", "Windows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One of this machine, whether it is installed or not."""

    label: str
    """What its system calls it."""

    scope: Scope
    main_file: Path
    files: tuple[ServiceFile, ...]
    commands: Mapping[Verb, tuple[Command, ...]]
    """`forget` follows on `uninstall`, when its files are gone."""

    may_fail: tuple[Command, ...] = ()
    """Where there is nothing to do, these fail."""

    status: Command
    key_folder: Path
    state: Path | None = None
    """Of its own; None: it shares the user's."""


def default_scope() -> Scope:
    """`system` for root on Linux, who has no session."""
    if sys.platform != "win32" and platform.system() == "Linux" and os.geteuid() == 0:
        return "system"
    return "user"


def key_folder(plan_label: str, scope: Scope, paths: Paths) -> Path:
    """Where its key files are: for their owner alone."""
    return (KEYS_OF_SYSTEM if scope == "system" else paths.services) / plan_label


def service_of(plan: ServicePlan, paths: Paths, *, version: int) -> Service:
    """The service that a plan is on this system.

    Args:
        plan: what it is to be.
        paths: of this installation.
        version: of systemd; elsewhere it does not matter.

    Raises:
        ConfigurationError: this system has no such services.
    """
    match platform.system():
        case "Linux":
            return _of_systemd(plan, paths, version)
        case _ if plan.scope == "system":
            raise ConfigurationError("A service of the system is for Linux. Here, install it for your user: --user.")
        case name if name == _MAC:
            return _of_launchd(plan, paths)
        case name if name == _WINDOWS:
            return _of_windows(plan, paths)
        case name:
            raise ConfigurationError(f"There are no services for {name} here. Start it with what your system has.")


def _of_systemd(plan: ServicePlan, paths: Paths, version: int) -> Service:
    if version < systemd.OLDEST:
        raise ConfigurationError(
            f"This needs systemd {systemd.OLDEST} or newer, for keys that stand in no environment; here "
            + (f"is {version}." if version else "is none. `kubiya-worker start` needs no service manager.")
        )
    name = systemd.unit_name(plan)
    control = ("systemctl", f"--{plan.scope}")
    files: list[ServiceFile] = []
    first: list[Command] = []
    if plan.scope == "system":
        units = systemd.SYSTEM_UNITS
        files.append(systemd.sysusers())
        first.append(("systemd-sysusers", str(systemd.SYSUSERS)))
    else:
        units = _of_user("XDG_CONFIG_HOME", ".config") / "systemd" / "user"
    text = systemd.unit(plan, version=version).encode()
    reload = (*control, "daemon-reload")
    return Service(
        label=name,
        scope=plan.scope,
        main_file=units / name,
        files=(*files, ServiceFile(path=units / name, content=text)),
        commands={
            "install": (*first, reload, (*control, "enable", name)),
            "uninstall": ((*control, "disable", "--now", name),),
            "forget": (reload,),
            "start": ((*control, "start", name),),
            "stop": ((*control, "stop", name),),
            "restart": ((*control, "restart", name),),
        },
        status=(*control, "show", name, "--property", ",".join(PROPERTIES)),
        key_folder=key_folder(plan.label, plan.scope, paths),
        state=systemd.state_folder(plan) if plan.scope == "system" else None,
    )


PROPERTIES: Final = (
    "LoadState", "ActiveState", "SubState", "Result", "StatusText", "MainPID", "NRestarts", "UnitFileState",
)  # fmt: skip


def _of_launchd(plan: ServicePlan, paths: Paths) -> Service:
    label = launchd.label(plan)
    file = _of_user("", "Library") / "LaunchAgents" / f"{label}.plist"
    domain = _domain()
    here = f"{domain}/{label}"
    load, unload = ("launchctl", "bootstrap", domain, str(file)), ("launchctl", "bootout", here)
    content = launchd.agent(plan, log=paths.launchd_log_of(plan.label))
    return Service(
        label=label,
        scope="user",
        main_file=file,
        files=(ServiceFile(path=file, content=content),),
        commands={
            "install": (("launchctl", "enable", here),),
            "uninstall": (unload,),
            "forget": (),
            "start": (unload, load),
            "stop": (("launchctl", "kill", "SIGTERM", here),),
            "restart": (unload, load),
        },
        may_fail=(unload,),
        status=("launchctl", "print", here),
        key_folder=key_folder(plan.label, "user", paths),
    )


def _domain() -> str:
    """Of launchd: the user's session with a screen."""
    if sys.platform == "win32":
        return ""
    return f"gui/{os.getuid()}"


def _of_windows(plan: ServicePlan, paths: Paths) -> Service:
    name, file = windows_task.task_name(plan), paths.services / f"{plan.label}.xml"
    user = "\\".join(filter(None, (os.environ.get("USERDOMAIN", ""), getpass.getuser())))
    end: Command = ("schtasks", "/End", "/TN", name)
    run: Command = ("schtasks", "/Run", "/TN", name)
    return Service(
        label=name,
        scope="user",
        main_file=file,
        files=(ServiceFile(path=file, content=windows_task.task(plan, user=user)),),
        commands={
            "install": (("schtasks", "/Create", "/TN", name, "/XML", str(file), "/F"),),
            "uninstall": (end, ("schtasks", "/Delete", "/TN", name, "/F")),
            "forget": (),
            "start": (run,),
            "stop": (end,),
            "restart": (end, run),
        },
        may_fail=(end,),
        status=("schtasks", "/Query", "/TN", name, "/FO", "LIST"),
        key_folder=key_folder(plan.label, "user", paths),
    )


def _of_user(variable: str, name: str) -> Path:
    if variable and (named := os.environ.get(variable)):
        return Path(named)
    home = home_folder()
    if home is None:
        raise ConfigurationError("This user has no home folder, and so no services. Install it with --system.")
    return home / name


def unseen_by_the_system(program: Iterable[Path]) -> str:
    """Why a service of the system could not start this, as a sentence; empty: it can.

    Args:
        program: files and folders that it consists of.
    """
    homes = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108
    for path in program:
        for one in {path, path.resolve()}:
            if any(one.is_relative_to(home) for home in homes):
                return f"{one} lies in a home or in a temporary folder, which a service of the system does not see."
            for part in (one, *one.parents):
                wanted = 0o5 if part == one else 0o1
                if part.stat().st_mode & wanted != wanted:
                    return f"The user {systemd.USER} may not read {one}, since {part} is closed to others."
    return ""
