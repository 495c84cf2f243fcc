"""Who is at the other end of a local socket."""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Final

# Linux: SO_PEERCRED, unix(7). macOS: LOCAL_PEERCRED at SOL_LOCAL, sys/un.h; struct xucred of sys/ucred.h.
_LINUX: Final = struct.Struct("3i")
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
_MACOS: Final = struct.Struct("=2I")


def is_ours(descriptor: int) -> bool:
    """Whether a process of this user opened the other end. False where the system does not say.

    Windows has no such question: there the name of a pipe is random, and stands in a file of the user's own.
    """
    if sys.platform == "win32":
        return True
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            if sys.platform == "linux":
                said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX.size)
                _, user, _ = _LINUX.unpack(said)
            else:
                _, user = _MACOS.unpack(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)[: _MACOS.size])
    except (OSError, struct.error):
        return False
    return bool(user == os.geteuid())
