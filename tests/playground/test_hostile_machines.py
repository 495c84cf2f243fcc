"""A whole worker on machines whose folders for temporary files are missing, read-only or full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME = "/mnt"
"""A file system of the namespace's own: nothing of it stays."""

LIMIT_SECONDS = 280


def may_mount() -> bool:
    """Whether this is a root that may: in containers it often is none."""
    words = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", HOME]
    try:
        return subprocess.run(words, capture_output=True, check=False, timeout=LIMIT_SECONDS).returncode == 0
    except OSError:
        return False


pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's"),
    pytest.mark.skipif(not may_mount(), reason="only root mounts, outside of most containers"),
    pytest.mark.skipif(not Path(HOME).is_dir(), reason=f"there is no {HOME}"),
    pytest.mark.skipif(
        any(Path(one).is_relative_to(Path(tmp)) for one in (ROOT, sys.prefix, sys.base_prefix) for tmp in
            ("/tmp", "/var/tmp", HOME)),
        reason="this program lies where the tests put empty folders",
    ),
]  # fmt: skip

MACHINES = {
    "read-only": "for one in /tmp /var/tmp; do mount -t tmpfs -o ro,mode=1777 none $one; done",
    "full": (
        "for one in /tmp /var/tmp; do mount -t tmpfs -o size=4k,mode=1777 none $one;"
        " head -c 4096 /dev/zero > $one/filling; done"
    ),
    "missing": ("export TMPDIR=/nowhere; for one in /tmp /var/tmp; do mount -t tmpfs -o ro,mode=1777 none $one; done"),
    "no shared memory": (
        "mount -t tmpfs -o ro none /dev/shm; mkdir /mnt/tmp; export XDG_RUNTIME_DIR=/nowhere TMPDIR=/mnt/tmp"
    ),
}


def run(machine: str, *command: str) -> subprocess.CompletedProcess[str]:
    """In somebody's project; what lies there afterwards is on the last line."""
    script = (
        f"set -e; mount -t tmpfs none {HOME}; mkdir {HOME}/project; {MACHINES[machine]}; cd {HOME}/project; set +e\n"
        '"$@"; ended=$?; ls -A; exit $ended'
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("KUBIYA_", "XDG_", "TMP"))}
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", "-c", script, "machine", *command],
        env={**environ, "PYTHONPATH": str(ROOT), "KUBIYA_WORKER_HOME": f"{HOME}/home", "HOME": HOME, "NO_COLOR": "1",
             "KUBIYA_PLAYGROUND_SCRIPTED": "1", "CONTROL_PLANE_URL": "http://127.0.0.1:1"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES)
def test_a_task_with_tools_is_done(machine: str) -> None:
    ended = run(machine, sys.executable, "-m", "worker_core", "playground", "--demo")
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    assert "Nothing is left running." in ended.stdout
    assert ended.stdout.rstrip().endswith("Next: kubiya-worker playground"), "nothing lies in its user's project"
    assert "Traceback" not in ended.stdout + ended.stderr
    if machine != "no shared memory":
        assert f"Temporary files are kept in {HOME}/home/state/tmp: none of " in ended.stderr


@pytest.mark.parametrize("machine", MACHINES)
def test_doctor_says_which_folder_it_is_and_what_to_do(machine: str) -> None:
    ended = run(machine, sys.executable, "-m", "worker_core", "doctor", "--json", "temporary-folder", "sandbox")
    said = json.loads(ended.stdout)
    found = {one["id"]: one for one in said["checks"]}
    assert found["sandbox"]["sentence"].startswith("Tools run in "), found
    folder = found["temporary-folder"]
    if machine == "no shared memory":
        assert folder["status"] == "ok"
    else:
        assert (folder["status"], f"{HOME}/home/state/tmp" in folder["sentence"]) == ("warn", True)
        assert "TMPDIR" in folder["repair"]
