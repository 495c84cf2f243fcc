"""What the end of a worker means: whether another one is started, and how it is told."""

from __future__ import annotations

import signal
from typing import Final

FINAL_CODES: Final = frozenset({0, 2, 3, 4, 5, 7, 8, 9, 130})
"""Exit codes (`worker_core.errors.ExitCode`) that another worker would end with as well: it has left as it was asked
to, what it serves or how it signs in is refused, or its one execution is over. All others are crashes, and so is an end
by a signal."""

REPLACED: Final = 12
"""Another version of the program was installed, and the worker made room for it: no crash, and the next one goes on."""

_OFFSET: Final = 128
"""What a shell adds to a signal's number."""


def is_final(code: int) -> bool:
    """Whether nothing would change with another worker.

    Args:
        code: an exit code; negative: minus the signal that ended it, as `subprocess` has it.

    """
    return code in FINAL_CODES


def as_exit_code(code: int) -> int:
    """The same as a shell would say it."""
    return _OFFSET - code if code < 0 else code


def told(code: int) -> str:
    """In words that go on from "The worker ended with"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
