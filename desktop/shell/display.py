"""The display: whether windows can be shown, and what is said where they cannot. Nothing of Qt comes with this."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from worker_core.basics import streams

if TYPE_CHECKING:
    from PySide6.QtCore import QMessageLogContext, QtMsgType

    from desktop.shell.loop import Application

MISSING: Final = (
    "There is no display here, so there is nothing to show a tray on. `kubiya-worker start` serves queues without one."
)
EXIT_CODE: Final = 3
"""Of what the user's machine lacks."""

_REFUSED: Final = ("could not connect to display", "Failed to create wl_display")
"""How Qt's plugins for X11 and Wayland say that nobody answers, or not to this user."""


def is_missing(environ: Mapping[str, str], *, system: str = sys.platform) -> bool:
    """Whether nothing names a display."""
    return system.startswith("linux") and not any(
        environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    )


def unusable(why: str) -> str:
    """What is said where Qt, or what it needs of the system, cannot be loaded."""
    return (
        f"The window system could not be loaded: {why}\nOn Debian or Ubuntu: sudo apt install libgl1 libegl1 "
        "libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1. Without windows: `kubiya-worker start`."
    )


def explained(environ: Mapping[str, str], why: Sequence[str]) -> str:
    """What is said where Qt could not begin.

    Args:
        environ: that the program was started with.
        why: what Qt said, line by line.
    """
    if not any(line.startswith(_REFUSED) for line in why):
        return unusable(" ".join(why))
    display = environ.get("WAYLAND_DISPLAY") or environ.get("DISPLAY", "")
    return (
        f"The display {display} does not answer, or not to this user: nothing can be shown. Check DISPLAY and "
        "XAUTHORITY (or WAYLAND_DISPLAY and XDG_RUNTIME_DIR). Without windows: `kubiya-worker start`."
    )


def leave(code: int) -> NoReturn:
    """Flush what was printed, and go: threads of the Temporal SDK and of Qt do not always survive a slow end."""
    streams.end()
    os._exit(code)


def say_and_leave(why: str) -> NoReturn:
    """The program's own end where nothing can be shown."""
    print(why, file=sys.stderr)  # noqa: T201
    leave(EXIT_CODE)


def application(name: str, *, refused: Callable[[str], NoReturn] = say_and_leave) -> Application:
    """Qt's one application, which has a display.

    Args:
        name: that the program was started by.
        refused: is called with a sentence where there is none, and ends the process: Qt would abort it, with a core
            dump where a person expects a word.
    """
    from PySide6.QtCore import QtMsgType, qInstallMessageHandler

    from desktop.shell.loop import Application

    said: list[str] = []

    def heard(kind: QtMsgType, _: QMessageLogContext, text: str) -> None:
        if kind is not QtMsgType.QtFatalMsg:
            said.append(text.strip())
            return
        refused(explained(os.environ, said or [text]))

    before = qInstallMessageHandler(heard)
    try:
        made = Application([name])
    finally:
        qInstallMessageHandler(before)
    for line in said:
        print(line, file=sys.stderr)  # noqa: T201
    return made
