"""mypy --strict as each of the three systems sees the sources, side by side, each with a cache of its own.

Usage: python scripts/check_types.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent

SYSTEMS: Final = {
    "linux": [],
    # What is unreachable on one system is not dead: the pass for Linux looks for dead code.
    "darwin": ["--no-warn-unreachable"],
    "win32": ["--no-warn-unreachable"],
}


def main() -> int:
    """Non-zero where one of them finds something; each says its own."""
    running = {
        system: subprocess.Popen(
            [sys.executable, "-m", "mypy", "--platform", system, "--cache-dir", f".mypy_cache/{system}", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for system, options in SYSTEMS.items()
    }
    failed = 0
    for system, process in running.items():
        said, _ = process.communicate()
        print(f"mypy, {system}: {said.strip()}")
        failed |= process.returncode
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
