from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.on_windows import why_it_fails
from tests.support.playground import Stage, running_playground
from tests.support.scheduling import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.secrets import Secret

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# Nor does it count how the suite was started: nohup and a shell's `&` have signals ignored, and children inherit that.
if sys.platform != "win32":
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(ignored) is signal.SIG_IGN:
            signal.signal(ignored, signal.default_int_handler if ignored is signal.SIGINT else signal.SIG_DFL)

TAKES_LONG = (
    "frozen/", "agents/workflows/test_growing_conversation.py", "agents/workflows/test_long_conversations.py",
    "bench/test_soak.py", "services/test_real_systemd.py", "engine/", "cli/", "desktop/test_program.py",
    "desktop/test_first_run_to_quit.py", "desktop/test_with_a_worker.py", "desktop/test_real_panels.py",
    "desktop/test_on_wayland.py", "playground/",
    "desktop/notices/test_popups.py", "gateways/", "claude/test_runtime.py", "sandbox/test_escapes_as_user.py",
    "sandbox/test_mounts.py", "mcp/test_elicitation.py", "mcp/test_servers.py", "daemon/", "hooks/", "tracing/",
    "logs/test_redaction.py", "sandbox/test_limits.py", "policy/test_audit.py", "test_expressions.py",
    "desktop/windows/test_main.py", "tools/test_terminal_text.py", "policy/test_shell_lines.py", "test_architecture.py",
    "sandbox/egress/", "sandbox/test_use.py", "sandbox/test_escapes.py", "sandbox/test_spares.py",
    "workspaces/test_anchored.py", "logs/test_shapes.py",
)  # fmt: skip
"""What `--quick` leaves out, for the second, third and fourth version of Python: whole programs, their ends and
crashes, and very large inputs. They take most of the time, and what they look at is seldom Python's. Where all tests
run, these begin, in this order, so that no file runs on alone at the end."""

STAYS = ("engine/test_executions.py", "engine/test_contract.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out what takes long (TAKES_LONG in tests/conftest.py)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    name = collection_path.relative_to(Path(__file__).parent).as_posix()
    long = config.getoption("quick") and name.startswith(TAKES_LONG) and name not in STAYS
    return True if long else None


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, and four at most: much of the suite waits for processes."""
    return min(4, (os.cpu_count() or 1) + 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.nodeid.removeprefix("tests/")
        return next((at for at, long in enumerate(TAKES_LONG) if name.startswith(long)), len(TAKES_LONG))

    items.sort(key=place)
    for item in items:
        if why := why_it_fails(item.nodeid):
            item.add_marker(pytest.mark.xfail(reason=why, strict=True))


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One playground for all tests that only need one: each uses agents, queues and prompts of its own."""
    with running_playground(tmp_path_factory.mktemp("playground")) as running:
        yield running


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[ControlPlaneClient]:
    made = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    yield made
    await made.aclose()


_status = 0


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    # The Temporal SDK's threads crash the interpreter now and then while it finalises; the worker leaves so as well.
    # Of pytest-xdist's own processes each has said all when its interpreter ends; what is registered last runs first,
    # before Qt takes down what tests left.
    if hasattr(config, "workerinput"):
        atexit.register(os._exit, 0)
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_status)
