"""Time limits and retries of the activities: one place, so that histories and code agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from worker_core.model.answer import Usage

TIMED_OUT = "Timeout"
"""Error type of a step that did not end in time."""

GIVEN_UP_TURN = "failed-turn-waits-for-its-user"
"""Patch: before it, whatever failed a turn ended the execution."""

UNTIL_IT_FITS = "context-full-until-it-fits"
"""Patch: before it, a conversation that was still too long after one summary failed the execution."""

CONTROL_PLANE_CALL = timedelta(seconds=60)
"""One attempt of an activity that talks to the control plane."""

STORING = timedelta(seconds=120)
"""One attempt of an activity that stores there what was said, and may have the server decide."""

SERVER_START = timedelta(hours=2)
"""What an MCP server may be given at most to start (`worker_core.mcp.configuration.LONGEST_CALL`)."""

BEGIN = SERVER_START + timedelta(hours=1)
"""One attempt to begin an execution: its MCP servers may have to be fetched first. Heartbeats tell that its worker is
gone."""

HEARTBEAT = timedelta(seconds=10)
"""A worker that dies in a step that has no home yet is noticed by then."""

LAST_ANSWER = timedelta(seconds=5)
"""How long a cancelled execution waits for the answer of the worker that begins it."""

WAIT_FOR_USER = timedelta(hours=24)
"""Then the execution completes (protocol, section 9.5: failing in a loop helps nobody)."""

CLAUDE_TURN = timedelta(hours=24)
"""A whole turn of the runtime `claude_code`: it may wait for approvals. Heartbeats tell that its worker is gone."""

CONTROL_PLANE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=1.7,
    maximum_interval=timedelta(seconds=10),
)
"""For ever: an execution outlives an outage of the control plane."""


def model_retry(attempts: int) -> RetryPolicy:
    """A delay that the gateway asks for comes before these."""
    return RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=attempts,
    )


CLAUDE_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=5)
"""For turns that their worker did not survive: they go on in the same session, with a note."""


def tool_retry(attempts: int) -> RetryPolicy:
    """A later attempt asks the journal first; it runs the tool only if no attempt before it came to the effect."""
    return RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=5),
        maximum_attempts=attempts,
    )


def category_of(failure: ApplicationError) -> str:
    """The error category of the protocol (8.3), or an empty text."""
    return str(failure.details[0]) if failure.details else ""


def about(failure: ApplicationError) -> Mapping[str, Any]:
    """What a failed model call says besides its category: `limit_tokens`, `usage`."""
    said = failure.details[1] if len(failure.details) > 1 else None
    return said if isinstance(said, Mapping) else {}


def spent_by(failure: ApplicationError) -> Usage:
    """What a model call used up although it failed, as far as its error says so."""
    said = about(failure).get("usage")
    told = said if isinstance(said, Mapping) else {}
    return Usage(**{one.name: told[one.name] for one in fields(Usage) if type(told.get(one.name)) is type(one.default)})
