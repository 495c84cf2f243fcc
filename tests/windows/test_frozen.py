"""The programs as PyInstaller freezes them on Windows: used where they were made, installed by setup and MSI, upgraded
while they work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.playground import Stage
from tests.support.scripts import set_up
from tests.support.tray_host import until
from tests.support.wine import LIMIT_SECONDS, Windows, windows_user
from tests.windows.desktop import a_tray, on_a_display
from tests.windows.installers import Release, build_installers, difference, files_below, state
from tests.windows.scenario import User
from tests.windows.test_msi import SUCCESS, msiexec
from tests.windows.test_setup import Machine
from worker_core import __version__

pytestmark = pytest.mark.timeout(1800)

CHECKS = ("modules", "keychain", "tls", "folders", "children", "sandbox", "temporal")


@pytest.fixture(scope="session")
def programs() -> Path:
    return set_up("windows_frozen", what="the frozen programs", by="make test-windows SUITE=--frozen")


@pytest.fixture(scope="session")
def real(programs: Path, icon: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """What installs them. The setup is not compressed, which would take minutes."""
    output = tmp_path_factory.mktemp("real")
    return build_installers(programs, version=__version__, output=output, icon=icon, fast=True)


@pytest.fixture
def user(windows_python: Path, tmp_path: Path) -> Iterator[Windows]:
    # The display comes first: what is started below wine takes the one that it finds.
    with on_a_display(), windows_user(windows_python, tmp_path) as user:
        yield user


@pytest.mark.parametrize(
    ("name", "checks"),
    [("kubiya-worker", (*CHECKS, "commands")), ("kubiya-worker-desktop", (*CHECKS, "window modules", "qt"))],
)
def test_each_says_its_version_and_has_what_it_needs(
    user: Windows, programs: Path, name: str, checks: tuple[str, ...]
) -> None:
    program = programs / f"{name}.exe"
    assert user.run("wine", program, "--version") == (0, f"{name} {__version__}\n")
    code, told = user.run("wine", program, "--self-test", "--json")
    results = json.loads(told)
    assert code == 0, results
    assert tuple(one["check"] for one in results) == checks


def test_the_msi_installs_them_and_removes_them(user: Windows, real: Release, tmp_path: Path) -> None:
    folder = user.drive / "Program Files" / "Kubiya Worker"
    before = state(user, folder=tmp_path)
    assert msiexec(user, "/i", real) == SUCCESS
    assert files_below(folder) == real.files
    assert user.run("wine", folder / "kubiya-worker.exe", "--version") == (0, f"kubiya-worker {__version__}\n")
    assert msiexec(user, "/x", real) == SUCCESS
    assert not folder.exists()
    left = difference(before, state(user, folder=tmp_path))
    assert {name: values for name, values in left.items() if "\\Installer" not in name or values != (None, "key")} == {}


def test_setup_upgrades_them_while_tray_and_worker_are_at_work(
    windows_python: Path, real: Release, releases: tuple[Release, Release], stage: Stage, tmp_path: Path
) -> None:
    """The new version is the stand-in: what leaves, and what is taken away, is the real one."""
    new = releases[1]
    with on_a_display() as display, windows_user(windows_python, tmp_path) as windows:
        machine = Machine(windows)
        machine.setup(real)
        assert files_below(machine.folder) == {*real.files, "uninstall.exe"}
        program = ["wine", machine.folder / "kubiya-worker.exe"]
        user = User(windows=windows, stage=stage, home=tmp_path / "home", program=program)
        with a_tray(user, "wine", machine.folder / "kubiya-worker-desktop.exe", display=display) as tray:
            user.a_task_is_executed()
            machine.setup(new, environment=user.environment)
            assert tray.wait(LIMIT_SECONDS) == 0
        assert files_below(machine.folder) == {*new.files, "uninstall.exe"}
        assert not (machine.folder / real.version).exists()
        until(lambda: (machine.local / "Temp" / "calls.txt").exists(), what="the new tray was started")
        assert machine.calls() == [f"tray {new.version} --at-login"]
        machine.uninstall()
