"""A worker may open as many files as its system lets it, and never fewer than before."""

from __future__ import annotations

import subprocess
import sys

import pytest

from worker_core.basics.own_process import OPEN_FILES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")

PROGRAM = """
import resource, sys
from worker_core.basics.own_process import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
allow_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "then"),
    [
        (256, 4096, 4096),
        (256, OPEN_FILES, OPEN_FILES),
        (256, OPEN_FILES + 1, OPEN_FILES),
        (OPEN_FILES + 1, OPEN_FILES + 1, OPEN_FILES + 1),
        (100, 100, 100),
    ],
)
def test_the_soft_limit_is_raised_to_what_is_wanted_or_allowed(soft: int, hard: int, then: int) -> None:
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.split() == [str(then), str(hard)]
