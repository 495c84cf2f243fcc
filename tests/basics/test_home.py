"""A user without a home folder: no entry in passwd, no HOME. So run pods of OpenShift, cron jobs and dynamic users."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.basics.home import expanded, home_folder
from worker_core.errors import ConfigurationError
from worker_core.mcp import program
from worker_core.paths import Paths
from worker_core.sandbox.interpreter import interpreter_folders
from worker_core.sandbox.launcher import Command
from worker_core.settings import load

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a profile is always there")


@pytest.fixture(autouse=True)
def _homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sys.platform != "win32"
    import pwd

    def nobody(_: int) -> None:
        raise KeyError

    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(RuntimeError):
        Path.home()


def test_what_needs_none_works(tmp_path: Path) -> None:
    assert home_folder() is None
    assert Path(sys.prefix) in interpreter_folders()
    assert expanded(tmp_path) == tmp_path
    found = program.find("sh", search_path=os.defpath)
    assert found is not None
    assert Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path)}).state == tmp_path / "state"


def test_what_needs_one_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"no home folder.*KUBIYA_WORKER_HOME"):
        Paths.from_environment({})
    with pytest.raises(ConfigurationError, match="write the whole path"):
        Paths.from_environment({"KUBIYA_WORKER_HOME": "~/worker"})
    with pytest.raises(ConfigurationError, match=r"KUBIYA_WORKER_CA_FILE is '~/ca\.pem'; there is no home folder ~"):
        load(environ={"KUBIYA_WORKER_CA_FILE": "~/ca.pem"})
    with pytest.raises(ConfigurationError, match="there is no home folder"):
        load(environ={"KUBIYA_WORKER_SANDBOX_READABLE": "~/tools"})


@needs_bubblewrap
async def test_a_tool_runs(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    command = Command(argv=["/bin/sh", "-c", "cd && pwd"], cwd=own, environment={"PATH": os.environ["PATH"]})
    result = await run(bubblewrap(tmp_path / "walls").wrap(command, workspace=own))
    assert b"".join(result.output.ends()) == b"/tmp/home\n"
    result.output.close()


def test_a_command_ends_with_a_sentence() -> None:
    program = (
        "import pwd, sys\ndef nobody(_): raise KeyError\npwd.getpwuid = nobody\n"
        "from worker_core.cli.root import command\nsys.argv[1:] = ['status']\ncommand()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: This user has no home folder")
