"""What a rig asks its user, what the audit log kept of the answer, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.engine import Rig, home
from worker_core.policy.audit import entries, verify
from worker_core.snapshot import ApprovalView


async def asked(rig: Rig) -> ApprovalView:
    await rig.until(lambda: rig.snapshot.approvals)
    return rig.snapshot.approvals[0]


def decided(folder: Path) -> list[tuple[str, str]]:
    found = verify(home(folder).audit_file)
    assert not found.problems
    return [(entry["kind"], entry.get("answer", "")) for entry in entries(home(folder).audit_file)]


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    """What it printed; with a code that is not 0, what it complained of."""
    done = subprocess.run(
        [sys.executable, "-m", "worker_core", *arguments],
        env={**os.environ, "KUBIYA_WORKER_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout
