"""What is mounted where on this machine, as Linux tells it (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TABLE: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def mounted() -> Iterator[tuple[Path, str]]:
    """Where a file system is mounted, and of what kind it is. Of several at one place the last is seen."""
    try:
        lines = os.fsdecode(_TABLE.read_bytes()).splitlines() if sys.platform == "linux" else []
    except OSError:
        return
    for line in lines:
        before, _, behind = line.partition(" - ")
        if len(words := before.split(" ")) > 4:
            place = _OCTAL.sub(lambda found: chr(int(found[1], 8)), words[4])
            yield Path(place), behind.partition(" ")[0]
