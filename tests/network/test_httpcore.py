"""httpcore2 is loaded without what it needs for its own version alone, and nobody else notices."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from tests.support.imports import ROOT, loaded_by

LOAD = "import worker_core.network.httpcore"


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_nothing_is_loaded_that_reads_a_version() -> None:
    assert not loaded_by(LOAD) & {"csv", "email", "zipfile"}
    assert "httpcore2" in loaded_by(LOAD)


@pytest.mark.parametrize(
    "asked",
    [
        "importlib.metadata.version('click')",
        "importlib.metadata.metadata('click')['Name']",
        "importlib.metadata.entry_points(group='keyring.backends')",
        "importlib.import_module('importlib.metadata._meta').__name__",
        "importlib.util.find_spec('importlib.metadata').origin",
        "importlib.metadata.version('httpcore2') if hasattr(importlib.metadata, 'files') else None",
    ],
)
def test_whoever_asks_for_packages_is_answered(asked: str) -> None:
    assert printed(f"{LOAD}; import importlib.metadata, importlib.util; print({asked})") == printed(
        f"import importlib.metadata, importlib.util; print({asked})"
    )


def test_many_may_ask_at_the_same_time() -> None:
    program = (
        f"{LOAD}; import importlib.metadata, threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "gate = threading.Barrier(8)\ndef ask(_): gate.wait(); return importlib.metadata.version('click')\n"
        "print(len(set(ThreadPoolExecutor(8).map(ask, range(8)))))"
    )
    assert printed(program) == "1\n"


def test_one_that_is_there_stays() -> None:
    program = f"import importlib.metadata as known; {LOAD}; import importlib.metadata as now; assert known is now"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    assert importlib.metadata.version("httpcore2")
