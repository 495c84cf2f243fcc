"""What a worker asks of the process that it is in."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

TURN_SECONDS: Final = 0.0005
"""How long a thread that computes keeps the interpreter while others wait for it (Python's own default is ten times as
much). The loop of all executions waits so long at each of its turns while a thread masks, unpacks or reads a flood."""

OPEN_FILES: Final = 10_240
"""More than a thousand executions at once have open. What macOS allows at most where it says that there is no limit
(`OPEN_MAX`, setrlimit(2))."""


def prepare() -> None:
    """Before the first execution. May be called again."""
    sys.setswitchinterval(TURN_SECONDS)
    allow_open_files()


def allow_open_files() -> None:
    """Raise the soft limit of open files to `OPEN_FILES`, as far as the hard one lets it.

    macOS gives 256 to what launchd starts, shells and systemd 1024: a hundred calls of tools at once. Whoever is
    started from here inherits it; tools have a limit of their own (`tool_open_files`).
    """
    if sys.platform == "win32":  # nothing but memory bounds it
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # what there is has to do
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
