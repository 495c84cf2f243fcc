"""What a container, a pod or a systemd unit around the worker takes from its tools' sandbox, and the line to change.

The table is what was tried on systemd 252 and 257 with bubblewrap 0.8 to 0.12, and in restricted pods.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from worker_core.basics.home import home_folder
from worker_core.basics.quick_dataclass import dataclass
from worker_core.checks.check import Check, ok, skip, warn
from worker_core.checks.systemd import shown

_LIMIT_SECONDS: Final = 5.0
_NAMESPACES: Final = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"}
_ASKED: Final = (
    "RestrictNamespaces", "ProtectHostname", "ProcSubset", "RestrictAddressFamilies", "MemoryDenyWriteExecute",
    "SystemCallFilter", "RestrictSUIDSGID", "PrivateTmp", "ProtectSystem",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of where this process runs."""

    container: str = ""
    """`Kubernetes`, `a container`, or empty."""

    unit: str = ""
    """The systemd unit that it is in; empty: none."""

    options: Mapping[str, str] = field(default_factory=dict)
    """Of that unit, as systemd shows them; empty where they could not be asked."""

    namespaces: bool = True
    """bubblewrap, where there is one, can make a user namespace."""

    sysctl: str = ""
    """The kernel's own switch that forbids them, such as `kernel.unprivileged_userns_clone = 0`."""

    home: bool = True
    """There is a home folder."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One thing that is missing, and what to change."""

    what: str
    change: str


def taken(found: Surroundings) -> tuple[Taken, ...]:
    """Every option that takes something, the plainest first."""
    missing = list(_of_unit(found.unit, found.options))
    if not found.namespaces and not any("namespaces" in one.what for one in missing):
        missing.append(_without_namespaces(found))
    if not found.home:
        missing.append(
            Taken(
                "There is no home folder (HOME is not set), where programs look for their settings",
                "set HOME to a folder that can be written, such as the state folder",
            )
        )
    return tuple(missing)


def _of_unit(unit: str, options: Mapping[str, str]) -> list[Taken]:
    missing = []
    allowed = options.get("RestrictNamespaces", "no")
    if allowed == "yes" or (allowed not in {"", "no"} and not set(allowed.split()) >= _NAMESPACES):
        missing.append(
            Taken(
                f"RestrictNamespaces={allowed} forbids namespaces, which bubblewrap is made of",
                f"in {unit}: RestrictNamespaces={' '.join(sorted(_NAMESPACES))}",
            )
        )
    if options.get("ProtectHostname", "no") not in {"", "no"}:
        missing.append(Taken("ProtectHostname=yes takes the sandbox's host name", f"leave it out of {unit}"))
    if options.get("ProcSubset") == "pid":
        missing.append(Taken("ProcSubset=pid hides what the worker reads of the machine", f"leave it out of {unit}"))
    families = options.get("RestrictAddressFamilies", "").split()
    if families and not families[0].startswith("~") and "AF_NETLINK" not in families:
        missing.append(
            Taken(
                "RestrictAddressFamilies without AF_NETLINK stops bubblewrap at its loopback",
                f"in {unit}: RestrictAddressFamilies={' '.join((*families, 'AF_NETLINK'))}",
            )
        )
    if options.get("MemoryDenyWriteExecute") == "yes":
        missing.append(
            Taken(
                "MemoryDenyWriteExecute=yes ends Node at its start: MCP servers by npx, and Claude Code",
                f"leave it out of {unit}",
            )
        )
    calls = set(options.get("SystemCallFilter", "").split())
    if calls and not any(one.startswith("~") for one in calls) and not {"mount", "sethostname"} <= calls:
        missing.append(
            Taken(
                "SystemCallFilter without mount and sethostname ends bubblewrap",
                f"in {unit}: SystemCallFilter=@system-service @mount sethostname, and SystemCallErrorNumber=EPERM",
            )
        )
    if options.get("ProtectSystem") == "strict" and options.get("PrivateTmp", "no") == "no":
        missing.append(
            Taken(
                "ProtectSystem=strict leaves no folder for temporary files, which then lie with the worker's state",
                f"in {unit}: PrivateTmp=yes",
            )
        )
    return missing


def _without_namespaces(found: Surroundings) -> Taken:
    if found.sysctl:
        return Taken(
            f"The kernel forbids user namespaces ({found.sysctl}), which bubblewrap is made of",
            "change it with sysctl on the machine itself, or give bwrap a profile of its own",
        )
    if found.container == "Kubernetes":
        return Taken(
            "The pod's seccomp profile forbids user namespaces, which bubblewrap is made of",
            "where you may: a Localhost profile that allows them, with hostUsers: false and procMount: Unmasked; "
            "else the check sandbox says what is used instead",
        )
    if found.container:
        return Taken(
            "The container forbids user namespaces, which bubblewrap is made of",
            "where you may: --security-opt seccomp=PROFILE with a profile that allows them, and an unmasked /proc",
        )
    return Taken(
        "User namespaces cannot be made here, which bubblewrap is made of",
        "ask whoever runs this machine, or choose another sandbox (setting `sandbox`)",
    )


async def confinement() -> Check:
    """What surrounds this process takes, as far as it can be known from inside."""
    if sys.platform != "linux":
        return skip("confinement", "Units and containers are looked at on Linux alone.")
    return finding(await asyncio.to_thread(surroundings))


def finding(found: Surroundings) -> Check:
    """The check's answer about surroundings."""
    named = (f"the unit {found.unit}" if found.unit else "", found.container)
    where = " in ".join(filter(None, named)) or "no unit or container"
    missing = taken(found)
    if not missing:
        return ok("confinement", f"The worker would run in {where}, which takes nothing from its tools.")
    said = " ".join(f"{one.what}." for one in missing)
    changes = "; ".join(one.change for one in missing)
    return warn("confinement", f"In {where}: {said}", f"{changes[:1].upper()}{changes[1:]}.")


def surroundings() -> Surroundings:
    """Where this process runs. Asks the kernel and, in a unit, systemd."""
    unit = _unit()
    return Surroundings(
        container=_container(),
        unit=unit,
        options=_options(unit) if unit else {},
        namespaces=_namespaces_work(),
        sysctl=_sysctl(),
        home=bool(os.environ.get("HOME")) or _has_home(),
    )


def _container() -> str:
    if "KUBERNETES_SERVICE_HOST" in os.environ or Path("/var/run/secrets/kubernetes.io").exists():
        return "Kubernetes"
    marks = (Path("/run/.containerenv"), Path("/.dockerenv"))
    inside = any(one.exists() for one in marks) or os.environ.get("container")  # noqa: SIM112 - as podman writes it
    return "a container" if inside else ""


def _unit() -> str:
    """Only where systemd started this process: a terminal is in a unit of the session, which is none of ours."""
    if "INVOCATION_ID" not in os.environ:
        return ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            name = line.rpartition("/")[2]
            if name.endswith(".service") and not name.startswith("user@"):
                return name
    return ""


def _options(unit: str) -> dict[str, str]:
    for scope in ("--system", "--user"):
        found = shown(unit, ("LoadState", *_ASKED), scope=scope)
        if found.pop("LoadState", "") == "loaded":
            return found
    return {}


def _namespaces_work() -> bool:
    from worker_core.sandbox.linux import find_program

    program = find_program()
    if program is None:
        return True  # the check of the sandbox says that there is none
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = [program, "--unshare-user", "--ro-bind", "/", "/", "true"]
        tried = subprocess.run(command, capture_output=True, timeout=_LIMIT_SECONDS, check=False)
        return tried.returncode == 0
    return False


def _sysctl() -> str:
    for name, forbids in (
        ("kernel.unprivileged_userns_clone", "0"),
        ("user.max_user_namespaces", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
    ):
        with contextlib.suppress(OSError):
            if Path("/proc/sys", *name.split(".", 1)).read_text(encoding="ascii").strip() == forbids:
                return f"{name} = {forbids}"
    return ""


def _has_home() -> bool:
    home = home_folder()
    return home is not None and home.is_dir()
