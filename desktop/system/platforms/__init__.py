"""Each system's ways, one room each; `platform()` gives this machine's."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from desktop.system.platforms.ports import APP_ID, APP_NAME, KeepAwake, Platform, PowerEvents
from worker_core import bundle

PROGRAM = "kubiya-worker-desktop"
AT_LOGIN = "--at-login"
"""Tells the tray that nobody is looking: it does not open its window."""


def own_command() -> tuple[str, ...]:
    """How to start this program at login, whatever it was started from."""
    if appimage := _appimage(os.environ):
        return (appimage, AT_LOGIN)  # sys.executable is below a mount that is gone after logout
    if getattr(sys, "frozen", False):
        return (sys.executable, AT_LOGIN)
    if (found := bundle.program(PROGRAM)) is not None:
        return (str(found), AT_LOGIN)
    windowed = Path(sys.executable).with_name("pythonw.exe")  # python.exe would open a console at login
    return (str(windowed) if windowed.is_file() else sys.executable, "-m", "desktop", AT_LOGIN)


def _appimage(environ: Mapping[str, str]) -> str:
    """The AppImage that this program runs from; empty where it runs from none.

    The variables are inherited by whatever an AppImage starts: they are about us only where we lie in its mount
    (https://docs.appimage.org/packaging-guide/environment-variables.html).
    """
    image, mount = environ.get("APPIMAGE", ""), environ.get("APPDIR", "")
    if not (image and mount and bundle.is_frozen() and Path(image).is_absolute() and Path(image).is_file()):
        return ""
    return image if bundle.folder().is_relative_to(Path(mount).resolve()) else ""


def is_ours(command: Sequence[str]) -> bool:
    """Whether a login entry was written by this program and leads nowhere any more."""
    return bool(command) and AT_LOGIN in command and not Path(command[0]).exists()


def platform() -> Platform:
    """The one of this machine."""
    if sys.platform == "darwin":
        from desktop.system.platforms import macos

        return macos.platform(own_command())
    if sys.platform == "win32":
        from desktop.system.platforms import windows

        return windows.platform(own_command())
    from desktop.system.platforms import linux

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
