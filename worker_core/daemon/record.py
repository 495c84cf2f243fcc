"""Writes what a worker's process printed, and how it ended, into its log file: masked, and as all other lines are."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.plain import plain
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogLine, now
from worker_core.logs.sinks import FileSink, LogFormat


class _Told(msgspec.Struct):
    level: Literal["INFO", "WARNING", "ERROR", "CRITICAL"]
    message: str
    keys: list[str]


def record(stream: BinaryIO, *, file: Path, style: LogFormat, limit_mb: int, files: int) -> None:
    """One line, from a supervisor.

    Args:
        stream: one JSON object, `level`, `message` and the `keys` to mask.
        file: of the log.
        style: of its lines.
        limit_mb: of the file, in megabytes.
        files: how many of them.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    told = typed_json.decode(stream.read(), _Told)
    redactor = Redactor()
    for key in told.keys:
        redactor.add(key)
    sink = FileSink(file, style=style, limit_mb=limit_mb, files=files)
    sink.write(LogLine(at=now(), level=told.level, logger="daemon", message=plain(redactor.mask(told.message))))
    sink.close()
