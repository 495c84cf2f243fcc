"""What happens when the program itself fails: a masked report, kept in a file and shown. Nothing is sent."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import platform
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

from PySide6.QtCore import QObject, Signal, qVersion

from desktop.look.language import tr
from worker_core import __version__
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.paths import private_directory

log = logging.getLogger(__name__)

NATIVE_FILE: Final = "crash-native.txt"
LAST_LINES: Final = 60
KEPT: Final = 10
"""Reports; older ones are removed."""


class CrashKeeper(QObject):
    """Catches what nobody caught, in any thread."""

    crashed = Signal(str)
    """The report's text; in the GUI thread."""

    def __init__(self, *, folder: Path, redactor: Redactor, ring: LogRing, parent: QObject | None = None) -> None:
        """`folder`: `paths.logs`; made private."""
        super().__init__(parent)
        self._folder = folder
        self._redactor = redactor
        self._ring = ring
        self._native: IO[str] | None = None
        self._before: list[Callable[[], None]] = []
        self.left_behind = ""
        """What a crash of the last run wrote that Python could not catch; empty where it ended well."""

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        hook, thread_hook = sys.excepthook, threading.excepthook
        sys.excepthook = self.caught
        threading.excepthook = lambda args: self.caught(args.exc_type, args.exc_value, args.exc_traceback)
        loop.set_exception_handler(self._loop_failed)
        self._before = [
            lambda: setattr(sys, "excepthook", hook),
            lambda: setattr(threading, "excepthook", thread_hook),
        ]
        with contextlib.suppress(OSError):
            private_directory(self._folder)
            file = self._folder / NATIVE_FILE
            if file.exists():
                self.left_behind = self._redactor.mask(file.read_text(encoding="utf-8", errors="replace"))
                if self.left_behind:
                    self.keep(self.left_behind)
            self._native = file.open("w", encoding="utf-8")
            faulthandler.enable(self._native)

    def uninstall(self) -> None:
        """A clean end: the file for native crashes goes."""
        for undo in self._before:
            undo()
        self._before.clear()
        if self._native is not None:
            faulthandler.disable()
            self._native.close()
            self._native = None
            with contextlib.suppress(OSError):
                (self._folder / NATIVE_FILE).unlink(missing_ok=True)

    def caught(self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        """An exception that nobody handled. Never raises."""
        if issubclass(kind, KeyboardInterrupt | SystemExit):
            return
        with contextlib.suppress(Exception):
            log.critical("An unexpected error.", exc_info=(kind, error or kind(), trace))
            text = self.report("".join(traceback.format_exception(kind, error, trace)))
            self.keep(text)
            self.crashed.emit(text)

    def report(self, trace: str) -> str:
        """Everything that the file and the dialog say, masked."""
        lines, _, _ = self._ring.read_after(max(0, self._ring.cursor - LAST_LINES))
        head = (
            f"Kubiya Worker {__version__}\n{datetime.now(UTC).isoformat(timespec='seconds')}\n"
            f"{platform.platform()}\nPython {platform.python_version()}, Qt {qVersion()}"
        )
        whole = "\n\n".join((head, trace.rstrip(), tr("The last log lines:") + "\n" + "\n".join(lines)))
        return self._redactor.mask(whole.replace(str(Path.home()), "~")) + "\n"

    def keep(self, text: str) -> Path | None:
        """Write a report; None where that is not possible."""
        try:
            private_directory(self._folder)
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
            file = self._folder / f"crash-{stamp}.txt"
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
                out.write(text)
            for old in sorted(self._folder.glob("crash-2*.txt"))[:-KEPT]:
                old.unlink(missing_ok=True)
        except OSError:
            return None
        return file

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, asyncio.CancelledError):
            self.caught(type(error), error, error.__traceback__)
        else:
            loop.default_exception_handler(context)
