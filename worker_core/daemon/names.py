"""What workers are called, so that their user can tell one from another."""

from __future__ import annotations

import re
from typing import Final

from worker_core.errors import ConfigurationError

DEFAULT_NAME: Final = "worker"
"""Of a daemon."""

_NAME: Final = re.compile(r"(?!\d+$)(?!desktop$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """A name for a worker.

    Raises:
        ConfigurationError: it cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"A worker cannot be called {name[:80]!r}: a name has up to 64 letters, digits, dots, dashes and "
            "underscores, begins with a letter or digit, is no number (that is a pid), and `desktop` is the tray."
        )
    return name
