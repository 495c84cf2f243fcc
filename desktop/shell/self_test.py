"""`--self-test` of the tray: what the worker needs, and the window besides."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from desktop.shell.display import application, leave
from worker_core.checks.self_test import CHECKS, Tested, loads, made, told

MODULES: Final = ("qasync", "markdown_it", "pygments.lexers.python", "desktop.shell.app")


def self_test(*, as_json: bool = False) -> int:
    """0: all is well."""
    found: list[Tested] = []

    def refused(said: str) -> NoReturn:
        leave(told([*found, Tested(check="qt", ok=False, said=said)], as_json=as_json))

    checks = {**CHECKS, "window modules": lambda: loads(MODULES), "qt": lambda: _qt(refused)}
    for one in made(checks):
        found.append(one)  # noqa: PERF402 - `refused` tells of those that were made until then
    return told(found, as_json=as_json)


def has_no_screen(environ: Mapping[str, str], *, system: str = sys.platform) -> bool:
    """Whether Qt is to draw into memory.

    Not on Windows: every session has a screen there, and what draws into memory knows none of its fonts (Qt 6.12).
    """
    return system != "win32" and not environ.get("DISPLAY") and not environ.get("WAYLAND_DISPLAY")


def _qt(refused: Callable[[str], NoReturn]) -> str:
    if has_no_screen(os.environ):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import qVersion
    from PySide6.QtGui import QFontDatabase, QGuiApplication
    from PySide6.QtWidgets import QApplication

    from desktop.look.icons import pixmap
    from desktop.tray.icons import icon
    from desktop.tray.picture import IconState, Picture

    _kept.append(QApplication.instance() or application(sys.argv[0], refused=refused))
    if not QFontDatabase.families():
        raise RuntimeError("there is no font on this machine: all text would be boxes (install fontconfig and a font)")
    image = icon(Picture(state=IconState.RUNNING), dark=False, template=False).pixmap(32, 32).toImage()
    if image.pixelColor(image.width() // 2, image.height() // 8).alpha() == 0:
        raise RuntimeError("an SVG icon came out empty")
    pixmap("settings", "#000000", 32)  # raises where the window's icons are missing
    return f"{qVersion()} on {QGuiApplication.platformName()}"


_kept: list[object] = []
