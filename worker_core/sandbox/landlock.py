"""Whether the kernel can keep a process from abstract sockets that others made (landlock(7); the gate asks it to)."""

from __future__ import annotations

import functools
import sys
from typing import Final

_CREATE_RULESET: Final = 444
"""landlock_create_ruleset(2): one of the calls that have one number on all machines."""

_VERSION: Final = 1
_SCOPES_SINCE: Final = 6
"""Of its interface: Linux 6.12."""


@functools.cache
def scopes_sockets() -> bool:
    """False also where Landlock is switched off."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        version = int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION))
    except (OSError, AttributeError):
        return False
    return version >= _SCOPES_SINCE
