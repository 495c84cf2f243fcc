"""The errors that reach a person. Each carries one sentence: what happened, what was done, what can be done."""

from __future__ import annotations

import enum

from worker_core.basics.whole_text import whole


class ExitCode(enum.IntEnum):
    """Exit codes of `kubiya-worker`; documented in the README and in `kubiya-worker --help`."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_CONFIGURED = 3
    CREDENTIALS_REFUSED = 4
    QUEUE_UNUSABLE = 5
    UNREACHABLE = 6
    EXECUTION_FAILED = 7
    CANCELLED_WORK = 8
    NO_EXECUTION = 9
    POLICY_ASKS = 10
    POLICY_DENIES = 11
    LEFT_AT_ONCE = 130


class KubiyaError(Exception):
    """Base of all errors whose text is written for the user.

    The text is the same sentence in the tray, in the terminal and in the log.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED

    @property
    def sentence(self) -> str:
        return whole(str(self))


class ConfigurationError(KubiyaError):
    """A setting is missing or not valid."""

    exit_code = ExitCode.NOT_CONFIGURED
