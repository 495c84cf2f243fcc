"""A worker on a machine that forbids namespaces. Run as a restricted pod's user by test_escapes_as_user.py."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.sandbox.test_landlock import bash, service
from tests.support.other_user import OF_A_POD
from worker_core.checks.check import sandbox
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.reach import Reach
from worker_core.mcp.session import ServerSession
from worker_core.paths import Paths
from worker_core.sandbox.call import run_process
from worker_core.sandbox.choice import SandboxChoice, choose
from worker_core.settings import Settings

pytestmark = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != OF_A_POD, reason="run by test_escapes_as_user.py, as a pod's user"
)


@pytest.fixture
def paths() -> Iterator[Paths]:
    with tempfile.TemporaryDirectory(prefix="kb-") as folder:
        base = Path(folder)
        yield Paths(config=base / "config", state=base / "state", runtime=base / "run")


@pytest.fixture
def chosen(paths: Paths) -> Iterator[SandboxChoice]:
    found = choose(Settings(require_sandbox="always"), paths)
    yield found
    found.close()


async def test_landlock_is_found_and_doctor_says_why_not_bubblewrap(paths: Paths, chosen: SandboxChoice) -> None:
    assert "HOME" not in os.environ
    assert chosen.view.name == "landlock"
    assert {"files", "network", "privileges", "kernel"} <= set(chosen.view.enforces)
    assert "processes" not in chosen.view.enforces
    found = await sandbox(paths, Settings())
    assert found.verdict == "ok"
    assert found.sentence.startswith("Tools run in Landlock (version ")
    assert "bubblewrap (" in found.sentence or "user namespaces" in found.sentence


async def test_a_call_comes_to_the_worker_and_to_nothing_else(paths: Paths, chosen: SandboxChoice) -> None:
    workspace = paths.workspaces / "one"
    workspace.mkdir(parents=True)
    launcher = chosen.launcher
    assert launcher is not None
    with service() as port:
        script = f"curl -sS {launcher.door(port)}; curl -sS -x '' http://127.0.0.1:{port}; id -u; touch /tmp/x"
        command = launcher.wrap(bash(workspace, script, doors=frozenset({port})), workspace=workspace)
        result = await run_process(command, timeout=timedelta(seconds=60), output_limit_bytes=10_000)
    output = b"".join(result.output.ends()).decode()
    result.output.close()
    first, second, *rest = output.splitlines()
    assert first == "from the service"
    assert second == "This is a proxy for HTTP and HTTPS."
    assert rest[0] == str(OF_A_POD)
    assert "Permission denied" in rest[1] or "Read-only" in rest[1]


async def test_an_mcp_server_over_stdio(paths: Paths, chosen: SandboxChoice) -> None:
    workspace = paths.workspaces / "one"
    workspace.mkdir(parents=True)
    server = Path(__file__).parents[1] / "mcp" / "least_server.py"
    code = f"import runpy; runpy.run_path({str(workspace / 'server.py')!r}, run_name='__main__')"
    (workspace / "server.py").write_text(server.read_text())
    assert chosen.launcher is not None
    session = ServerSession(
        ServerConfig(alias="least", transport="stdio", command=(sys.executable, "-u", "-c", code)),
        launcher=chosen.launcher, workspace=workspace, reach=Reach(), ca_file=None, mask=str, call_mark="pod",
    )  # fmt: skip
    try:
        assert (await session.tools()).tools == ()
    finally:
        await session.close()
