"""Tray and window below wine, on a display of their own, and what can be seen there."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageGrab

from tests.support.tray_host import private_display, until
from tests.windows.scenario import User

BACKGROUND = (0, 0, 0)
"""Of the X server, where no window is."""

START_SECONDS = 400


@contextlib.contextmanager
def on_a_display() -> Iterator[str]:
    """What is started below wine meanwhile draws there: its user has to be made in the block. The display's name."""
    with private_display() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", name)
        yield name


def seen(display: str) -> Image.Image:
    return ImageGrab.grab(xdisplay=display).convert("RGB")


def share_drawn(picture: Image.Image) -> float:
    """How much of the screen is covered by windows."""
    counted = picture.getcolors(picture.width * picture.height) or []
    return 1 - sum(count for count, colour in counted if colour == BACKGROUND) / (picture.width * picture.height)


@contextlib.contextmanager
def a_tray(user: User, *program: str | Path, display: str) -> Iterator[subprocess.Popen[bytes]]:
    """The tray of a user who has a key and a queue, at work, and its window on the screen."""
    known = {**user.known, "QUEUE_ID": user.stage.info.queue_id}
    windows = user.windows
    with subprocess.Popen(
        windows.command(*program), env=windows.environment(known),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as tray:  # fmt: skip
        try:
            until(lambda: " running: " in _log(user), limit=START_SECONDS, what="the tray's worker is at work")
            code, told = windows.run(*program, environment=known)  # a second start shows the first one's window
            assert code == 0, told
            until(lambda: share_drawn(seen(display)) > 1 / 3, limit=START_SECONDS, what="a window on the screen")
            yield tray
        finally:
            tray.kill()  # nothing, where it has ended


def _log(user: User) -> str:
    """Read, and not asked for: below wine each question costs seconds."""
    file = user.home / "state" / "logs" / "desktop.log"
    return file.read_text(encoding="utf-8") if file.exists() else ""
