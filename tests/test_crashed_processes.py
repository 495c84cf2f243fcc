"""What a test that crashes its process does to the run: it fails, and all others are run, once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = """
import os
import pytest

@pytest.mark.parametrize("test", range({tests}))
def test_it(test: int) -> None:
    if test == {crashes}:
        os.kill(os.getpid(), 9)
    with open({began!r}, "a") as file:
        file.write(f"{name} {{test}}\\n")
"""


def run(folder: Path, files: list[tuple[int, int | None]], *, processes: int) -> tuple[str, Counter[str]]:
    """Runs files of so many tests, of which one may crash; what pytest said last, and how often each test ran."""
    began = folder / "began"
    for at, (tests, crashes) in enumerate(files):
        text = FILE.format(tests=tests, crashes=crashes, began=str(began), name=at)
        (folder / f"test_{at}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist.plugin", "-p", "tests.support.scheduling"]
    command += ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder), str(folder)]
    command += [f"--numprocesses={processes}", "--dist=loadfile", "--no-loadscope-reorder"]
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=folder, env=environ)
    return ended.stdout.strip().splitlines()[-1], Counter(began.read_text(encoding="utf-8").splitlines())


def test_a_crash_fails_its_test_alone(tmp_path: Path) -> None:
    """In the middle of a file, in a file of one test among others of one, and in the very last test of all."""
    files = [(3, None), (6, 3), (1, None), (1, 0), (1, None), (4, 3)]
    said, ran = run(tmp_path, files, processes=2)
    assert said.startswith("3 failed, 13 passed in ")
    assert sorted(ran.values()) == [1] * 13
