"""One handler on the root logger: it formats, masks, then hands the line to the sinks. No sink sees unmasked text."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Final

from worker_core.basics.plain import plain
from worker_core.basics.quick_dataclass import dataclass
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogLine, LogRing
from worker_core.logs.sinks import Sink

__all__ = ["LogLine", "LogPipeline", "LogRing", "install", "uninstall"]

QUIET: Final[Mapping[str, int]] = {
    "asyncio": logging.WARNING,
    "httpcore2": logging.WARNING,
    "httpx2": logging.WARNING,
    "temporalio": logging.WARNING,
    # It logs each failed try with its traceback; agents/failures.py says the same in one sentence.
    "temporalio.activity": logging.ERROR,
    "uvicorn": logging.WARNING,
}
"""Libraries that are of interest only when something is wrong. At DEBUG they would also log request bodies."""

_TEMPORAL_DETAILS = ("temporal_activity", "temporal_workflow")


class _Handler(logging.Handler):
    def __init__(self, redactor: Redactor, sinks: Sequence[Sink]) -> None:
        super().__init__()
        self._redactor = redactor
        self._sinks = tuple(sinks)

    def emit(self, record: logging.LogRecord) -> None:
        line = LogLine(
            at=datetime.fromtimestamp(record.created, UTC),
            level=record.levelname,
            logger=record.name,
            message=plain(self._redactor.mask(_text_of(record))),
        )
        for sink in self._sinks:
            with contextlib.suppress(Exception):  # a sink that fails must not take the program or the others with it
                sink.write(line)

    def close(self) -> None:
        for sink in self._sinks:
            with contextlib.suppress(Exception):
                sink.close()
        super().close()


@dataclass(slots=True)
class _RingSink:
    ring: LogRing

    def write(self, line: LogLine) -> None:
        self.ring.append(line)

    def close(self) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class LogPipeline:
    """What `install` put in place; `uninstall` takes it away."""

    ring: LogRing
    handler: logging.Handler
    level_before: int
    quiet_before: dict[str, int] = field(default_factory=dict)


def install(
    *, redactor: Redactor, sinks: Sequence[Sink] = (), ring: LogRing | None = None, level: str = "INFO"
) -> LogPipeline:
    """Send everything that is logged through masking to a ring and to `sinks`.

    Args:
        redactor: masks each line, tracebacks included.
        sinks: a console, a file.
        ring: a new one by default.
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL.
    """
    root = logging.getLogger()
    kept = ring or LogRing()
    handler = _Handler(redactor, (_RingSink(kept), *sinks))
    pipeline = LogPipeline(ring=kept, handler=handler, level_before=root.level)
    for name, quiet_level in QUIET.items():
        logger = logging.getLogger(name)
        pipeline.quiet_before[name] = logger.level
        logger.setLevel(quiet_level)
    root.addHandler(handler)
    root.setLevel(level.upper())
    return pipeline


def set_level(level: str) -> None:
    """From now on what is logged is this and what is worse; takes the words of `install`."""
    logging.getLogger().setLevel(level.upper())


def uninstall(pipeline: LogPipeline) -> None:
    """Put logging back as it was before, and close the sinks."""
    root = logging.getLogger()
    root.removeHandler(pipeline.handler)
    root.setLevel(pipeline.level_before)
    for name, level in pipeline.quiet_before.items():
        logging.getLogger(name).setLevel(level)
    pipeline.handler.close()


def _text_of(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - a wrong format string is a bug, but no reason to lose the line
        text = f"{record.msg} {record.args!r}"
    for name in _TEMPORAL_DETAILS:
        # The SDK's adapters append the whole dictionary of ids to the message; the execution is what people need.
        details = getattr(record, name, None)
        if isinstance(details, Mapping):
            text = text.removesuffix(f" ({details})")
            if workflow_id := details.get("workflow_id"):
                text += f" [{workflow_id}]"
    if record.exc_info and record.exc_info[1] is not None:
        text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
    elif record.exc_text:
        text += "\n" + record.exc_text
    if record.stack_info:
        text += "\n" + record.stack_info
    return text
