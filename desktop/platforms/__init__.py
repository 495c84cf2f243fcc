"""Each system's ways, one room each; `platform()` gives this machine's."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from desktop.platforms.ports import KeepAwake, Platform, PowerEvents

APP_ID = "ai.kubiya.worker"
"""Bundle id on macOS, AppUserModelID on Windows, desktop file name on Linux."""

APP_NAME = "Kubiya Worker"
PROGRAM = "kubiya-worker-desktop"
AT_LOGIN = "--at-login"
"""Tells the tray that nobody is looking: it does not open its window."""


def own_command() -> tuple[str, ...]:
    """How to start this program at login, whatever it was started from."""
    if appimage := os.environ.get("APPIMAGE"):
        return (appimage, AT_LOGIN)  # sys.executable is below a mount that is gone after logout
    if getattr(sys, "frozen", False):
        return (sys.executable, AT_LOGIN)
    beside = Path(sys.executable).with_name(PROGRAM + (".exe" if sys.platform == "win32" else ""))
    if beside.is_file():
        return (str(beside), AT_LOGIN)
    if found := shutil.which(PROGRAM):
        return (found, AT_LOGIN)
    return (sys.executable, "-m", "desktop", AT_LOGIN)


def is_ours(command: Sequence[str]) -> bool:
    """Whether a login entry was written by this program and leads nowhere any more."""
    return bool(command) and AT_LOGIN in command and not Path(command[0]).exists()


def platform() -> Platform:
    """The one of this machine."""
    if sys.platform == "darwin":
        from desktop.platforms import macos

        return macos.platform(own_command())
    if sys.platform == "win32":
        from desktop.platforms import windows

        return windows.platform(own_command())
    from desktop.platforms import linux

    return linux.platform(own_command())


__all__ = [
    "APP_ID",
    "APP_NAME",
    "AT_LOGIN",
    "KeepAwake",
    "Platform",
    "PowerEvents",
    "is_ours",
    "own_command",
    "platform",
]
