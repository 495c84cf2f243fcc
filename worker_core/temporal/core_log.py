"""What the SDK's core has to say goes into the worker's own log, masked as everything there, not to stderr."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

from temporalio.runtime import LogForwardingConfig, LoggingConfig

from worker_core import __version__

_LEVELS: Final = "error,temporalio_sdk_core::worker::workflow=warn,temporalio_sdk_core::telemetry::metrics=off"
"""By target. A metrics buffer that ran over would be told of thousands of times."""

_OTHER_STEPS: Final = "[TMPRL1100]"
"""Temporal's code for a history that the workflow's code does not fit."""

_RUNS_KEPT: Final = 1000
_TEXT_LIMIT: Final = 500


def forwarded() -> LoggingConfig:
    """For the one runtime of the process."""
    logger = logging.getLogger("worker_core.temporal.core")
    logger.addFilter(_Words())
    return LoggingConfig(
        filter=_LEVELS,
        forwarding=LogForwardingConfig(
            logger=logger,
            append_target_to_name=False,
            prepend_target_on_message=False,
            append_log_fields_to_message=False,
        ),
    )


class _Words(logging.Filter):
    """Says once for each run that another version began it; Temporal tries again for ever. All else is cut."""

    def __init__(self) -> None:
        super().__init__()
        self._told: OrderedDict[str, None] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        fields = dict(getattr(getattr(record, "temporal_log", None), "fields", {}))
        failure = str(fields.get("failure", ""))
        if _OTHER_STEPS not in failure:
            record.msg = f"Temporal's SDK: {record.msg} {fields or ''}"[:_TEXT_LIMIT]
            return True
        run = str(fields.get("run_id", ""))
        if run in self._told:
            return False
        self._told[run] = None
        if len(self._told) > _RUNS_KEPT:
            self._told.popitem(last=False)
        record.msg = (
            f"An execution (run {run or 'unknown'}) was begun by another version of the worker, whose steps this one "
            f"({__version__}) does not know. Nothing of it is lost: it goes on with a worker of that version."
        )
        return True
