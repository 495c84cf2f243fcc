"""What of this machine no execution is granted: the worker itself, what it keeps, and what it starts."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import worker_core
from worker_core.checkouts.granting import Reserved
from worker_core.paths import Paths
from worker_core.sandbox.interpreter import interpreter_folders
from worker_core.sandbox.own_places import own_places
from worker_core.settings import Settings


def reserved_by(settings: Settings, paths: Paths) -> Reserved:
    """Of the worker that these settings would start here."""
    hooks = (settings.hook_start, settings.hook_before_execution, settings.hook_after_execution, settings.hook_drain)
    words = [word for line in (*hooks, settings.notify_command) for word in _words(line)]
    searched = os.environ.get("PATH", "").split(os.pathsep)
    return Reserved(
        own=own_places(settings, paths),
        program=(Path(worker_core.__file__).parent, *interpreter_folders()),
        named=(*settings.sandbox_readable, *(Path(one) for one in (*searched, *words) if Path(one).is_absolute())),
    )


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()
