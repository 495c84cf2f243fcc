"""What systemd says of a unit."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterable
from typing import Final

_LIMIT_SECONDS: Final = 5.0


def shown(unit: str, properties: Iterable[str], *, scope: str) -> dict[str, str]:
    """Properties of a unit by their names; empty where systemd is not here, or does not answer in time.

    Args:
        unit: its name. Of one that is not there, systemd tells what would be the case.
        properties: by systemd's names.
        scope: `--user` or `--system`.
    """
    program = shutil.which("systemctl")
    if program is None:
        return {}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(
            [program, scope, "show", unit, "-p", ",".join(properties)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_SECONDS,
            check=True,
        ).stdout
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return {}
