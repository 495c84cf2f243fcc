"""The errors that reach a person. Each carries one sentence: what happened, what was done, what can be done."""

from __future__ import annotations

import enum
from typing import Self

from worker_core.basics.sentences import Worded, joined, without
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
    REPLACED = 12
    LEFT_AT_ONCE = 130


class KubiyaError(Exception):
    """Base of all errors whose text is written for the user.

    The text is the same sentence in the tray, in the terminal and in the log; only what a terminal repairs with is
    left to the terminal and the log.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED

    repair: str = ""
    """The end of the sentence that says what can be done in a terminal. A window has fields and buttons for that."""

    def with_repair(self, repair: str) -> Self:
        """The same error, whose sentence goes on with what can be done in a terminal."""
        self.args = (joined(self._made or str(self), repair),)
        self.repair = repair
        return self

    @property
    def sentence(self) -> str:
        return whole(str(self))

    @property
    def said(self) -> str:
        """The sentence for a view: with what it is made of, where that is known."""
        return self._made or self.sentence

    @property
    def fact(self) -> str:
        """The sentence without its repair: for a place where the person has other means than a terminal's."""
        return without(self.said, whole(self.repair))

    @property
    def _made(self) -> Worded | None:
        made = self.args[0] if self.args else None
        return made if isinstance(made, Worded) else None


class ConfigurationError(KubiyaError):
    """A setting is missing or not valid."""

    exit_code = ExitCode.NOT_CONFIGURED
