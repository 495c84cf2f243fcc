"""macOS: a LaunchAgent for the login, `caffeinate` against sleep. Waking up is noticed by the engine's clocks."""

from __future__ import annotations

import contextlib
import os
import plistlib
import subprocess
from pathlib import Path
from typing import Final

from desktop.system.platforms.nothing import NoPowerEvents
from desktop.system.platforms.ports import Platform
from worker_core.basics.files import write_private

LABEL: Final = "ai.kubiya.worker.login"
BUNDLE: Final = "ai.kubiya.worker"


def platform(command: tuple[str, ...]) -> Platform:
    return Platform(autostart=LaunchAgent(command), keep_awake=Caffeinate(), power=NoPowerEvents())


class LaunchAgent:
    """`~/Library/LaunchAgents/ai.kubiya.worker.login.plist`; the system loads it at the next login."""

    def __init__(self, command: tuple[str, ...], folder: Path | None = None) -> None:
        self._command = command
        self.file: Final = (folder or Path.home() / "Library" / "LaunchAgents") / f"{LABEL}.plist"

    def supposed(self) -> tuple[str, ...]:
        return self._command

    def configured(self) -> tuple[str, ...] | None:
        said = self._content()
        arguments = said.get("ProgramArguments") if said is not None else None
        if said is None:
            return None
        return tuple(map(str, arguments)) if isinstance(arguments, list) else ()

    def blocked(self) -> bool:
        return bool((self._content() or {}).get("Disabled"))

    def write(self) -> None:
        content = {
            "Label": LABEL,
            "ProgramArguments": list(self._command),
            "RunAtLoad": True,
            "ProcessType": "Interactive",
            "LimitLoadToSessionType": "Aqua",
            # Without it, Login Items shows the developer's name instead of the program's.
            "AssociatedBundleIdentifiers": [BUNDLE],
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_private(self.file, plistlib.dumps(content), durable=False, mode=0o644)

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)

    def _content(self) -> dict[str, object] | None:
        try:
            said = plistlib.loads(self.file.read_bytes())
        except FileNotFoundError:
            return None
        except (plistlib.InvalidFileException, ValueError):
            return {}
        return said if isinstance(said, dict) else {}


class Caffeinate:
    """The system's own program; it ends by itself when this process is gone (`-w`)."""

    def __init__(self, program: tuple[str, ...] = ("/usr/bin/caffeinate", "-i", "-w")) -> None:
        self._program = program
        self._running: subprocess.Popen[bytes] | None = None

    def hold(self, reason: str) -> None:
        if self._running is None or self._running.poll() is not None:
            with contextlib.suppress(OSError):
                self._running = subprocess.Popen(
                    [*self._program, str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )

    def release(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.terminate()
            running.wait()
