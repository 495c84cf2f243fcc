"""Keeps a tool from reading the worker's own memory, where its keys are."""

from __future__ import annotations

import contextlib
import functools
import sys

_PR_SET_DUMPABLE = 4


@functools.cache
def shield_worker() -> None:
    """Close this process's `/proc/PID/environ` and `/proc/PID/mem` to other processes of the same user.

    Linux: prctl(2), PR_SET_DUMPABLE. What was in the environment when the worker started stays readable there even
    after it was deleted from `os.environ`. It also means no core dumps, and a debugger needs root. Programs that are
    executed from here on are not affected. Root may read everything, as ever.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
