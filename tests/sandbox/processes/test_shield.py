from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.worker_like import ROOT, start_worker_like

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc shows processes to each other on Linux only")

CANARY = "canary-7f3a9c"
READ_PARENT = "tr '\\0' '\\n' </proc/$PPID/environ; tr '\\0' '\\n' </proc/self/environ; env"

# The worker of a user that is not root. Everything is imported before the change of user: the interpreter may lie
# where that user cannot look. Such a change closes a process by itself; it is opened again, as it normally is.
AS_NOBODY = """
import asyncio, ctypes, encodings.idna, os, sys
from concurrent.futures import thread
from tests.support import worker_like
from worker_core.sandbox.processes import shield
import tempfile, ctypes.util
os.setgroups([]); os.setgid(65534); os.setuid(65534)
libc = ctypes.CDLL(None)
assert libc.prctl(4, 1, 0, 0, 0) == 0
if sys.argv[3] == "bare":
    from worker_core.sandbox.processes import process
    process.shield_worker = lambda: None
asyncio.run(worker_like.main(sys.argv[1], sys.argv[2]))
"""


def test_keys_in_the_workers_environment_are_not_in_a_tools(tmp_path: Path) -> None:
    command = "tr '\\0' '\\n' </proc/self/environ; env; set"
    with start_worker_like(tmp_path, command, KUBIYA_API_KEY=CANARY, LITELLM_API_KEY=CANARY, RANDOM_X=CANARY) as worker:
        said, _ = worker.communicate(timeout=60)
    result = json.loads(said)
    assert "KUBIYA_TOOL_CALL=execution/call/" in result["output"]
    assert CANARY not in result["output"]


@pytest.mark.parametrize("shield", ["shield", "bare"])
def test_a_tool_cannot_read_the_workers_own_environment(shield: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    import os

    if os.getuid() != 0:
        pytest.skip("needs root, to become somebody whom the kernel does not let read everything")
    folder = Path("/tmp") / f"shield-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(folder), READ_PARENT, shield],
            cwd=ROOT,
            env={**os.environ, "KUBIYA_API_KEY": CANARY},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        # Without the shield it is readable: the test looks at what it means to look at.
        assert (CANARY in json.loads(done.stdout)["output"]) == (shield == "bare")
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
