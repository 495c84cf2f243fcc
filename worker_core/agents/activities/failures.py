"""Errors of the activities: which are tried again, and what viewers are told."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, TemporalError

from worker_core.agents.messages import CONTEXT_FULL, PASSING
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.errors import KubiyaError
from worker_core.model.refusals import Cause, GatewayError

log = logging.getLogger(__name__)

BUG_TRIES = 3
_TYPES = {Cause.CONTEXT_FULL: CONTEXT_FULL} | {cause: PASSING for cause in Cause if cause.passing}

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def as_application_errors(
    function: Callable[_Arguments, Coroutine[Any, Any, _Result]],
) -> Callable[_Arguments, Coroutine[Any, Any, _Result]]:
    """Turn this program's errors into Temporal's, sentence and retry advice kept."""

    @functools.wraps(function)
    async def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return await function(*args, **kwargs)
        except GatewayError as error:
            _say(function.__name__, error)
            raise ApplicationError(
                error.sentence,
                error.category,
                {"limit_tokens": error.limit_tokens, "usage": error.usage},
                type=_TYPES.get(error.cause, "GatewayError"),
                non_retryable=error.cause is not Cause.FAILED,  # a busy gateway was waited for already
                next_retry_delay=_delay(error.retry_after_seconds),
            ) from error
        except ControlPlaneError as error:
            _say(function.__name__, error)
            raise ApplicationError(
                error.sentence, "api_communication", type=type(error).__name__, non_retryable=not error.retryable
            ) from error
        except KubiyaError as error:
            _say(function.__name__, error)
            raise ApplicationError(error.sentence, "configuration", type=type(error).__name__) from error
        except TemporalError:
            raise
        except Exception as error:  # a bug: more tries would hardly help, and none for ever
            log.exception("%s failed on an internal error.", function.__name__)
            raise ApplicationError(
                f"The worker failed on an internal error ({type(error).__name__}); its log has the details.",
                "unknown",
                type="InternalError",
                non_retryable=activity.info().attempt >= BUG_TRIES,
            ) from error

    return guarded


def _say(step: str, error: KubiyaError) -> None:
    info = activity.info()
    log.warning("%s of %s (try %d): %s", step, info.workflow_id, info.attempt, error.sentence)


def _delay(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def error_event(
    execution_id: str,
    sentence: str,
    *,
    category: str,
    stage: str,
    severity: str = "error",
    error_type: str = "",
    retryable: bool = False,
    actions: Sequence[str] = (),
) -> dict[str, Any]:
    """`data` of an `error` event (protocol, section 8.3). `actions`: what a person can do."""
    return {
        "severity": severity,
        "category": category,
        "context": {
            "execution_id": execution_id,
            "timestamp": datetime.now(UTC).isoformat(),
            "stage": stage,
            "component": "worker",
            "operation": stage,
            "retry_count": 0,
        },
        "details": {
            "error_type": error_type or category,
            "error_message": sentence,
            "technical_message": sentence,
            "stack_trace": None,
            "code_location": None,
        },
        "recovery": {
            "is_retryable": retryable,
            "retry_suggested": retryable,
            "recovery_actions": list(actions),
            "documentation_url": None,
        },
        "metadata": {},
    }
