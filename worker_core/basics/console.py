"""The console of Windows: whether this process has one, and how what it starts opens none of its own."""

from __future__ import annotations

import sys
from typing import Any, Final

CREATE_NEW_PROCESS_GROUP: Final = 0x200
CREATE_NO_WINDOW: Final = 0x0800_0000
"""Microsoft's "Process Creation Flags": a console program gets a group of its own, which Ctrl-Break is sent to; it
runs without a console window."""


def has_console() -> bool:
    """Whether this process shares a console with what it starts: then no window is opened, and Ctrl-Break gets there.

    Always so but on Windows: there, `GetConsoleCP` fails for a process without one, such as the tray
    (Microsoft's documentation of `GetConsoleCP`).
    """
    if sys.platform == "win32":
        import ctypes

        windows: Any = ctypes
        return bool(windows.windll.kernel32.GetConsoleCP())
    return True


def background_flags() -> int:
    """For `creationflags` of a process that goes on without ours: a group of its own, and no window; 0 elsewhere."""
    return CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW if sys.platform == "win32" else 0


def window_flags() -> int:
    """For `creationflags` of `subprocess`: 0 where there is a console to share."""
    return 0 if has_console() else CREATE_NO_WINDOW
