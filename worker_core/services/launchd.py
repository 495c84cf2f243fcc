"""macOS: an agent of launchd, in the user's own session (launchd.plist(5)). Written by the manual, and not run."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any, Final

from worker_core.key_sources import API_KEY, LLM_API_KEY
from worker_core.services.plan import ServicePlan
from worker_core.settings import SETTINGS

_BEHIND_CREDENTIALS: Final = {one.credential: one.file_variable for one in (API_KEY, LLM_API_KEY)}


def label(plan: ServicePlan) -> str:
    return f"ai.kubiya.worker.service{f'.{plan.name}' if plan.name else ''}"


def agent(plan: ServicePlan, *, log: Path) -> bytes:
    """The property list.

    Args:
        plan: of the service.
        log: where its standard error goes; the worker's own log is elsewhere.
    """
    variables = {SETTINGS[name].variable: text for name, text in plan.settings.items()}
    variables |= {_BEHIND_CREDENTIALS[name]: str(file) for name, file in plan.keys.items()}
    content: dict[str, Any] = {
        "Label": label(plan),
        "ProgramArguments": list(plan.program),
        "EnvironmentVariables": variables,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},  # again after a crash; not after `stop`
        "ThrottleInterval": 30,
        "ExitTimeOut": int(plan.stop_limit.total_seconds()),  # 20 s by default, and then SIGKILL
        "ProcessType": "Interactive",  # else its processor and disk are throttled
        "LegacyTimers": True,  # else heartbeats are put together with other timers, and late
        "StandardErrorPath": str(log),
        "Umask": 0o077,
    }
    return plistlib.dumps({key: value for key, value in content.items() if value != {}})
