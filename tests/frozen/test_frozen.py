"""The frozen programs, as an installer puts them on a machine: away from the sources and from Python."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from worker_core import __version__

if TYPE_CHECKING:
    from tests.desktop.session import Session

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 120

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("PyInstaller") is None, reason="PyInstaller is not installed"),
    pytest.mark.skipif(
        sys.platform == "linux" and shutil.which("objdump") is None,
        reason="PyInstaller needs objdump, of the Debian package binutils",
    ),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, moved: nothing may depend on where it was made."""
    subprocess.run([sys.executable, ROOT / "scripts" / "freeze.py"], check=True, stdout=subprocess.DEVNULL)
    moved = tmp_path_factory.mktemp("installed here") / "kubiya worker"
    shutil.copytree(ROOT / "dist" / "kubiya-worker", moved, symlinks=True)
    return moved


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Without a Python, and without anything of this one."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "bash", "cat", "echo", "env", "ls", "bwrap", "sleep", "tr", "perl", "mkdir", "rm"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    return {
        "PATH": str(tools),
        "HOME": str(tmp_path),
        "KUBIYA_WORKER_HOME": str(tmp_path / "worker"),
        "KUBIYA_WORKER_REQUIRE_SANDBOX": "never",  # where the machine has walls, they are used all the same
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "LD_LIBRARY_PATH": "/no/such/libraries",
    }


def run(programs: Path, name: str, *arguments: str, environment: dict[str, str], given: str = "") -> tuple[int, str]:
    suffix = ".exe" if os.name == "nt" else ""
    done = subprocess.run(
        [programs / f"{name}{suffix}", *arguments],
        cwd=environment["HOME"],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["kubiya-worker", "kubiya-worker-desktop"])
def test_they_say_their_version(programs: Path, environment: dict[str, str], name: str) -> None:
    assert run(programs, name, "--version", environment=environment) == (0, f"{name} {__version__}\n")


@pytest.mark.parametrize("name", ["kubiya-worker", "kubiya-worker-desktop"])
def test_they_have_what_they_need(programs: Path, environment: dict[str, str], name: str) -> None:
    code, said = run(programs, name, "--self-test", "--json", environment=environment)
    results: list[dict[str, Any]] = json.loads(said)
    assert code == 0, results
    found = {one["check"]: one["said"] for one in results}
    assert found["children"].startswith("Python 3.")
    assert found["temporal"].startswith("temporal version")


def test_children_get_a_python_of_their_own(programs: Path, environment: dict[str, str]) -> None:
    script = Path(environment["HOME"], "given.py")
    script.write_text("import sys; print(sys.argv[1:], __name__, open(0).read())")
    asked = ["-I", "-S", str(script), "one", "two"]
    assert run(programs, "kubiya-python", *asked, environment=environment, given="in") == (
        0,
        "['one', 'two'] __main__ in\n",
    )
    code, said = run(programs, "kubiya-python", "-c", "raise SystemExit(3)", environment=environment)
    assert (code, said) == (3, "")


def test_a_task_from_start_to_end(programs: Path, environment: dict[str, str]) -> None:
    code, said = run(programs, "kubiya-worker", "playground", "--demo", "--data-dir", "play", environment=environment)
    assert code == 0, said
    assert "Hello from the Kubiya playground" in said
    assert "playground-1.txt" in said


@pytest.fixture
def session(programs: Path, tmp_path: Path) -> Iterator[Session]:
    if not sys.platform.startswith("linux"):
        pytest.skip("Xvfb and D-Bus are Linux's")
    from tests.desktop.session import Session
    from tests.support.tray_host import desktop_environment, private_bus, private_display

    with private_display() as display, private_bus() as bus:
        environment = desktop_environment(tmp_path, display=display, bus=bus)
        yield Session(bus, tmp_path, environment, command=(str(programs / "kubiya-worker-desktop"),))


def test_the_tray_from_start_to_an_executed_task_to_quit(session: Session) -> None:
    from tests.desktop.test_program import test_from_start_to_an_executed_task_to_quit

    test_from_start_to_an_executed_task_to_quit(session)
