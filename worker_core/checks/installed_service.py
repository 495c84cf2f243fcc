"""Whether a service is installed here that starts the worker, and how it is."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from worker_core.basics.home import home_folder
from worker_core.checks.check import Check, fail, ok, warn
from worker_core.checks.systemd import shown

_NONE: Final = "None is installed: a worker ends with its terminal. `kubiya-worker service install` makes one."
_UNIT_FOLDERS: Final = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


async def service(*, system: str = sys.platform, home: Path | None = None) -> Check:
    """`system` and `home` are this machine's by default."""
    return await asyncio.to_thread(_service, system, home)


def _service(system: str, home: Path | None) -> Check:
    home = home or home_folder() or Path("/nonexistent")
    if system == "darwin":
        agents = sorted((home / "Library" / "LaunchAgents").glob("*kubiya*worker*.plist"))
        return ok("service", f"{agents[0].name} starts it at log-in.") if agents else ok("service", _NONE)
    if system != "linux":
        return ok("service", _NONE)
    own_folder = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "systemd", "user")
    own = sorted(own_folder.glob("kubiya-worker*.service"))
    units = [(one.name, "--user") for one in own]
    for folder in map(Path, _UNIT_FOLDERS):
        units += [(one.name, "--system") for one in sorted(folder.glob("kubiya-worker*.service"))]
    if not units:
        return ok("service", _NONE)
    return _of_systemd(dict(units))


def _of_systemd(units: dict[str, str]) -> Check:
    said = []
    for name, scope in units.items():
        state = shown(name, ("ActiveState", "Result", "NRestarts"), scope=scope)
        if not state:
            said.append(f"{name} is installed; systemd does not answer")
            continue
        if state.get("ActiveState") == "failed":
            return fail(
                "service",
                f"{name} has failed ({state.get('Result', 'no reason is known')}).",
                f"Read why, repair it, and start it: journalctl {scope if scope == '--user' else ''} -u {name} -n 50",
            )
        if scope == "--user" and not _lingers():
            return warn(
                "service",
                f"{name} is {state.get('ActiveState', 'installed')}, and ends when you log out.",
                "Let it stay: loginctl enable-linger",
            )
        restarts = state.get("NRestarts", "0")
        again = f", started again {restarts} times" if restarts not in {"", "0"} else ""
        said.append(f"{name} is {state.get('ActiveState', 'installed')}{again}")
    return ok("service", f"{'; '.join(said)}.")


def _lingers() -> bool:
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or ""
    return bool(user) and Path("/var/lib/systemd/linger", user).exists()
