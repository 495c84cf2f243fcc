"""Whether a workspace holds more than it may, or its disk is nearly full."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from worker_core.sandbox.disk_room import free_bytes, is_nearly_full
from worker_core.sandbox.folder_count import FolderCount
from worker_core.sandbox.limits import Limits

PERIOD_SECONDS: Final = 5.0
"""Between the end of a count and the next, unless the disk fills quickly."""

_FILLS_QUICKLY_BYTES: Final = 256 * 1024 * 1024
_HURRY: Final = 5
"""Times as long a piece of the count, where the disk fills quickly."""

_MEGABYTE: Final = 1024 * 1024


class FolderUse:
    """One workspace while a call runs in it.

    Args:
        folder: what is counted.
        limits: what it may hold.
        called: what it is, for the sentence.
    """

    def __init__(self, folder: Path, limits: Limits, *, called: str = "The workspace") -> None:
        self._folder = folder
        self._called = called
        self._limits = limits
        self._next_count = time.monotonic() + PERIOD_SECONDS
        self._count: FolderCount | None = None
        self._hurries = False
        self._nameless_when_begun = 0
        self._counted_bytes = 0
        self._free_before = free_bytes(folder)

    def reason(self, seconds: float, *, nameless_bytes: int = 0) -> str:
        """Why the call must end, as a sentence for the model; empty: it need not.

        Args:
            seconds: may go into the count.
            nameless_bytes: of files on this disk that are open and have no name any more.

        """
        free = free_bytes(self._folder)
        shrunk = self._free_before - free
        if is_nearly_full(free, before=self._free_before):
            return f"The disk has only {_megabytes(free)} left, so it was stopped. Delete what is not needed."
        if self._count is None:
            self._hurries = shrunk >= _FILLS_QUICKLY_BYTES
            too_much = self._counted_bytes + nameless_bytes > self._limits.workspace_bytes
            if self._hurries or too_much or time.monotonic() >= self._next_count:
                self._count = FolderCount(self._folder)
                self._nameless_when_begun = nameless_bytes
                self._free_before = free
        return "" if self._count is None else self._counted(self._count, seconds, nameless_bytes)

    def _counted(self, count: FolderCount, seconds: float, nameless_bytes: int) -> str:
        limits = self._limits
        count.go_on(
            seconds=seconds * (_HURRY if self._hurries else 1),
            bytes_enough=limits.workspace_bytes,
            entries_enough=limits.workspace_files,
        )
        if count.entries > limits.workspace_files:
            return (
                f"{self._called} holds more than {limits.workspace_files} files and folders, so it was stopped. "
                "Delete what is not needed before you go on."
            )
        size = count.bytes
        if count.done:
            # One that lost its name while it was counted may have been counted with it.
            size += min(self._nameless_when_begun, nameless_bytes)
            self._counted_bytes = count.bytes
            self._count = None
            self._next_count = time.monotonic() + PERIOD_SECONDS
        if size > limits.workspace_bytes:
            return (
                f"{self._called} holds more than {_megabytes(limits.workspace_bytes)}, so it was stopped. "
                "Delete what is not needed before you go on."
            )
        return ""

    def close(self) -> None:
        """Count no further."""
        if self._count is not None:
            self._count.close()


def _megabytes(size: int) -> str:
    return f"{size // _MEGABYTE} MB"
