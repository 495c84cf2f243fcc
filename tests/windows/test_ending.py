"""What `scripts/windows.py` starts below wine ends with it, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.imports import ROOT
from tests.support.tray_host import until

pytestmark = pytest.mark.timeout(600)

WAITS = """
import threading

def test_it_waits():
    print("it waits", flush=True)
    threading.Event().wait()
"""


def below_wine(folder: Path) -> list[str]:
    """Programs of users of Windows whose drive C is below a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("WINEPREFIX", "").startswith(str(folder)):
                found.append(" ".join(process.cmdline()))
    return found


@pytest.mark.usefixtures("windows_python")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_suite_that_is_ended_leaves_nothing_running(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "test_waits.py").write_text(WAITS)
    command = [sys.executable, ROOT / "scripts" / "windows.py", "--suite", "-s", tmp_path / "test_waits.py"]
    with subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            if b"it waits" in line:
                break
        assert below_wine(tmp_path), b"".join(said)
        running.send_signal(how)
    until(lambda: not below_wine(tmp_path), limit=60, what="all of it has ended")
    if how == signal.SIGTERM:
        assert [*tmp_path.glob("kubiya-wine-*")] == []
