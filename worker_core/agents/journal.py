"""The tool journal: what makes a tool call happen at most once.

One small file per call: a mark right before the effect, the result after it. Both are on disk before anything goes on,
so a worker that is killed anywhere finds out, when it comes back, whether the call ran.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from worker_core.errors import KubiyaError
from worker_core.paths import private_directory
from worker_core.tools.base import ToolResult


class JournalError(KubiyaError):
    """The journal cannot be written: the call is not made, since it could not be made at most once."""


@dataclass(frozen=True, slots=True)
class NotDispatched:
    """No attempt came to the effect: the call may run."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """An attempt came to the effect and no result was recorded: the outcome is unknown."""


@dataclass(frozen=True, slots=True)
class Finished:
    result: ToolResult


class _Record(msgspec.Struct, frozen=True):
    succeeded: bool
    output: str
    error: str | None = None
    output_bytes: int = 0
    saved_to: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


_MARK = b"dispatched\n"


class Journal:
    """All calls of this host. Several worker processes may share the folder.

    Args:
        folder: made when the first call is marked.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def outcome(self, execution_id: str, call_id: str) -> NotDispatched | Dispatched | Finished:
        """What is known of a call. A file that was torn by a crash counts as dispatched, never as absent.

        Raises:
            JournalError: the file is there but cannot be read.

        """
        try:
            content = self._file(execution_id, call_id).read_bytes()
        except FileNotFoundError:
            return NotDispatched()
        except OSError as error:
            raise _trouble(error, "read") from error
        try:
            record = msgspec.json.decode(content, type=_Record)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Dispatched()
        return Finished(
            ToolResult(
                succeeded=record.succeeded,
                output=record.output,
                error=record.error,
                output_bytes=record.output_bytes,
                saved_to=record.saved_to,
                metadata=record.metadata,
            )
        )

    def mark_dispatched(self, execution_id: str, call_id: str) -> None:
        """Put the mark on disk; the effect may begin when this returns.

        Raises:
            JournalError: no mark could be made, so the effect must not begin.

        """
        file = self._file(execution_id, call_id)
        try:
            private_directory(file.parent)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(_MARK)
                stream.flush()
                os.fsync(stream.fileno())
            _sync_folder(file.parent)
        except OSError as error:
            raise _trouble(error, "written") from error

    def record(self, execution_id: str, call_id: str, result: ToolResult) -> None:
        """Put the result on disk, whole or not at all.

        Raises:
            JournalError: it could not be written; the mark stays.

        """
        file = self._file(execution_id, call_id)
        draft = file.with_suffix(f".{os.getpid()}")
        record = _Record(
            succeeded=result.succeeded,
            output=result.output,
            error=result.error,
            output_bytes=result.output_bytes,
            saved_to=result.saved_to,
            metadata=dict(result.metadata),
        )
        try:
            private_directory(file.parent)
            with draft.open("wb") as stream:
                stream.write(msgspec.json.encode(record))
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(file)
            _sync_folder(file.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise _trouble(error, "written") from error

    def forget(self, execution_id: str) -> None:
        """Drop the calls of an execution that has ended. What cannot be removed is swept later."""
        shutil.rmtree(self._folder / _name(execution_id), ignore_errors=True)

    def sweep(self, *, older_than: timedelta) -> int:
        """Drop executions whose last call is older; returns how many."""
        limit = time.time() - older_than.total_seconds()
        swept = 0
        with contextlib.suppress(FileNotFoundError):
            for folder in self._folder.iterdir():
                if folder.stat().st_mtime < limit:
                    shutil.rmtree(folder, ignore_errors=True)
                    swept += 1
        return swept

    def _file(self, execution_id: str, call_id: str) -> Path:
        return self._folder / _name(execution_id) / f"{_name(call_id)}.json"


def _name(identifier: str) -> str:
    """Ids come from the server and the model: never a path."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there; NTFS journals the rename itself
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(error: OSError, verb: str) -> JournalError:
    if error.errno == errno.ENOSPC:
        return JournalError("The disk is full, so the tool call cannot be journaled; it was not made. Free some space.")
    return JournalError(
        f"The tool journal cannot be {verb} ({error.strerror}); the call was not made: it could not be made safely."
    )
