"""The MSI below wine: installed for all users, upgraded, an older one refused, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.wine import Windows, windows_path, windows_user
from tests.windows.installers import Release, difference, files_below, state

pytestmark = pytest.mark.timeout(900)

ENVIRONMENT = r"HKLM\System\CurrentControlSet\Control\Session Manager\Environment"
SUCCESS, FATAL = 0, 1603 % 256  # wine hands on one byte of an exit code


@pytest.fixture
def machine(windows_python: Path, tmp_path: Path) -> Iterator[Windows]:
    with windows_user(windows_python, tmp_path) as user:
        yield user


def msiexec(windows: Windows, option: str, release: Release) -> int:
    return windows.run("wine", "msiexec", option, windows_path(release.msi), "/qn")[0]


def test_it_is_installed_upgraded_and_removed(
    machine: Windows, releases: tuple[Release, Release], tmp_path: Path
) -> None:
    old, new = releases
    folder = machine.drive / "Program Files" / "Kubiya Worker"
    before = state(machine, folder=tmp_path)

    assert msiexec(machine, "/i", old) == SUCCESS
    assert files_below(folder) == old.files
    (shortcut,) = machine.drive.rglob("Kubiya Worker.lnk")  # wine knows no Start menu of all users
    assert "Start Menu" in shortcut.parts
    assert "C:\\Program Files\\Kubiya Worker" in machine.registry(ENVIRONMENT)["PATH"]

    assert msiexec(machine, "/i", new) == SUCCESS
    assert files_below(folder) == new.files
    assert machine.registry(ENVIRONMENT)["PATH"].count("Kubiya Worker") == 1

    assert msiexec(machine, "/i", old) == FATAL
    assert files_below(folder) == new.files

    assert msiexec(machine, "/x", new) == SUCCESS
    assert not folder.exists()
    left = difference(before, state(machine, folder=tmp_path))
    # Windows Installer's own keys, which it makes with the first package, and empty ones.
    assert {name: values for name, values in left.items() if "\\Installer" not in name or values != (None, "key")} == {}
