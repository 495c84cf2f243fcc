"""What `doctor` says of the sandbox: whether tools are started, and what to do where they are not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.walls import needs_bubblewrap
from worker_core.checks.check import sandbox
from worker_core.paths import Paths
from worker_core.sandbox import landlock, linux
from worker_core.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for bubblewrap is for Linux")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(config=tmp_path / "config", state=tmp_path / "state", runtime=tmp_path / "run")


@pytest.fixture
def _failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(linux, "programs", lambda *_: iter((str(broken),)))
    monkeypatch.setattr(landlock, "version", lambda: 0)


@needs_bubblewrap
async def test_it_names_the_mechanism_and_its_version(paths: Paths, tmp_path: Path) -> None:
    found = await sandbox(paths, Settings(sandbox_readable=(tmp_path, tmp_path / "state" / "journal")))
    assert found.verdict == "ok"
    assert found.sentence.startswith("Tools run in bubblewrap ")
    assert found.sentence.split()[4][0].isdigit()
    assert found.sentence.endswith(f"{tmp_path}/state/journal is not shown: it is the worker's own.")
    assert not paths.state.exists()


@pytest.mark.usefixtures("_failing")
@pytest.mark.parametrize(
    ("require", "verdict", "repair"),
    [
        ("ask", "fail", 'set require_sandbox = "never"'),
        ("always", "fail", "Repair that"),
        ("never", "warn", "Repair that"),
    ],
)
async def test_one_that_fails(paths: Paths, require: Any, verdict: str, repair: str) -> None:
    found = await sandbox(paths, Settings(require_sandbox=require))
    assert found.verdict == verdict
    assert "No permissions to create new namespace" in found.sentence
    assert repair in found.repair
