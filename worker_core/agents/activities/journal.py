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
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.clocks import last_used
from worker_core.basics.files import NEW, sync_folder, write_private
from worker_core.basics.quick_dataclass import dataclass
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
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)


_MARK = b"dispatched\n"
_NOT_MADE = "the call was not made, since it could not be made at most once."


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
            raise JournalError(f"The tool journal cannot be read ({_reason(error)}); {_NOT_MADE}") from error
        try:
            record = typed_json.decode(content, _Record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
        """Put the mark on disk; the effect may begin when this returns. Of several attempts, only one gets there.

        Raises:
            JournalError: no mark could be made, or another attempt made it, so the effect must not begin.

        """
        file = self._file(execution_id, call_id)
        try:
            self._make_folder(file.parent)
            descriptor = os.open(file, NEW, 0o600)
        except FileExistsError as error:
            raise JournalError("Another attempt of this tool call has begun; it was not made a second time.") from error
        except OSError as error:
            raise JournalError(f"The tool journal cannot be written ({_reason(error)}); {_NOT_MADE}") from error
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(_MARK)
                stream.flush()
                os.fsync(stream.fileno())
            sync_folder(file.parent)
        except OSError as error:
            with contextlib.suppress(OSError):  # where it stays, the call counts as dispatched: wrong, but safe
                file.unlink()
            raise JournalError(f"The tool journal cannot be written ({_reason(error)}); {_NOT_MADE}") from error

    def record(self, execution_id: str, call_id: str, result: ToolResult) -> None:
        """Put the result on disk, whole or not at all.

        Raises:
            JournalError: it could not be written; the mark stays.

        """
        file = self._file(execution_id, call_id)
        try:
            self._make_folder(file.parent)
            write_private(file, _encoded(result), durable=True)
        except OSError as error:
            raise JournalError(
                f"The tool call was made, but its result could not be kept ({_reason(error)}). Do not simply repeat "
                "it: look first at what it changed."
            ) from error

    def forget(self, execution_id: str) -> None:
        """Drop the calls of an execution that has ended. What cannot be removed is swept later."""
        shutil.rmtree(self._folder / _name(execution_id), ignore_errors=True)

    def sweep(self, *, older_than: timedelta, now: float) -> int:
        """Drop executions whose last call is older; returns how many. `now`: what time it is at the least."""
        limit = now - older_than.total_seconds()
        swept = 0
        try:
            folders = list(self._folder.iterdir())
        except OSError:
            return 0
        for folder in folders:
            with contextlib.suppress(OSError):  # another worker sweeps as well
                if last_used(folder, now) < limit:
                    shutil.rmtree(folder)
                    swept += 1
        return swept

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            private_directory(folder)
            sync_folder(self._folder)

    def _file(self, execution_id: str, call_id: str) -> Path:
        return self._folder / _name(execution_id) / f"{_name(call_id)}.json"


def _name(identifier: str) -> str:
    """Ids come from the server and the model: never a path."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _encoded(result: ToolResult) -> bytes:
    def text(value: str) -> str:
        return value.encode("utf-8", "replace").decode()  # half a character cannot be written down

    return msgspec.json.encode(
        _Record(
            succeeded=result.succeeded,
            output=text(result.output),
            error=None if result.error is None else text(result.error),
            output_bytes=result.output_bytes,
            saved_to=result.saved_to,
            metadata=dict(result.metadata),
        ),
        enc_hook=str,
    )


def _reason(error: OSError) -> str:
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
