"""Which modules a statement brings into memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


OF_THE_SYSTEM = {"sitecustomize", "usercustomize"}
"""Debian's Python has the first one, whatever it runs."""


def loaded_by(statement: str) -> set[str]:
    """Modules in memory after a statement, in an interpreter of its own."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(answer.stdout.splitlines()[-1])) - OF_THE_SYSTEM
