"""The whole program in a session of its own: how it is started, its panel and its icon."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.tray_host import (
    LIMIT_SECONDS,
    Panel,
    TrayIcon,
    until,
)

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Session:
    """A desktop with a user who may start the program."""

    bus: str
    home: Path
    environment: dict[str, str]
    command: tuple[str, ...] = (sys.executable, "-m", "desktop")

    @contextlib.contextmanager
    def started(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        process = self.start(*options)
        try:
            yield process
        finally:
            children = family(process.pid)
            if process.poll() is None:
                process.kill()
            _, said = process.communicate(timeout=LIMIT_SECONDS)
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            assert "Traceback" not in said, said

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *options],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def log(self, below: str = "worker") -> str:
        return (self.home / below / "state" / "logs" / "desktop.log").read_text(encoding="utf-8")


def panel_of(session: Session) -> AbstractContextManager[Panel]:
    return contextlib.closing(Panel(session.bus))


def icon_in(session: Session, panel: Panel) -> AbstractContextManager[TrayIcon]:
    until(lambda: panel.items, what="an icon in the panel")
    return contextlib.closing(TrayIcon(session.bus, panel))


def family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
