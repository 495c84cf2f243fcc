"""Whether the runtime is there."""

from __future__ import annotations

import importlib.util
import platform
from functools import cache
from pathlib import Path

from worker_core.bundle import is_frozen

ADD = "pip install 'kubiya-worker[claude]'"


@cache
def program() -> Path | None:
    """The CLI that the SDK brings; None where the SDK is not installed, or brought none for this system."""
    # A frozen program has the libraries that it was built with, and this one (380 MB) is not among them.
    found = None if is_frozen() else importlib.util.find_spec("claude_agent_sdk")
    if found is None or found.origin is None:
        return None
    name = "claude.exe" if platform.system() == "Windows" else "claude"
    path = Path(found.origin).parent / "_bundled" / name
    return path if path.is_file() else None


def installed() -> bool:
    """Without importing it, which takes half a second."""
    return program() is not None


def supported_runtimes() -> tuple[str, ...]:
    """Ids of the protocol (section 9.2)."""
    return ("default", "claude_code") if installed() else ("default",)
