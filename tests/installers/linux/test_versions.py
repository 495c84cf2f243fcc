"""How what is packaged for Linux comes and goes: versions beside each other, and one user's own, without root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.system.platforms.ports import APP_ID
from installers.linux import tree
from tests.installers.linux.stand_in import FILES, RELEASE, built, said, stand_in

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's packages are built on Linux")


class Installed:
    """A folder as a package manager fills it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        tree.write(root / "versions", (FILES / "versions").read_bytes(), mode=0o755)

    def unpack(self, version: str, *parts: str) -> None:
        """As dpkg does: what is new first, what is old goes then."""
        folder = self.root.parent / f"parts-{version}"
        shutil.rmtree(folder, ignore_errors=True)
        made = stand_in(folder, version)
        for part in parts or ("worker", "desktop"):
            tree.copy_tree(made[part].tree, self.root / "packaged" / version)
        for other in (self.root / "packaged").iterdir():
            if other.name != version:
                shutil.rmtree(other)

    def versions(self, *arguments: str, code: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [self.root / "versions", *arguments], capture_output=True, text=True, env={**os.environ, **environment}
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def folders(self) -> set[str]:
        return {one.name for one in self.root.iterdir() if one.is_dir()} - {"packaged"}


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    one = Installed(tmp_path / "lib" / "kubiya worker")
    one.unpack("1.0.0")
    one.versions("use", "1.0.0")
    return one


@pytest.fixture
def running(installed: Installed) -> Iterator[subprocess.Popen[str]]:
    """A worker of the version that is installed."""
    process = subprocess.Popen(
        [installed.root / "kubiya-worker", "stay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1.0.0\n"
    yield process
    process.kill()
    process.communicate()


def test_an_upgrade_leaves_what_runs_its_files(installed: Installed, running: subprocess.Popen[str]) -> None:
    installed.unpack("2.0.0")
    installed.versions("use", "2.0.0")
    assert installed.folders() == {"1.0.0", "2.0.0"}
    assert (installed.root / "1.0.0" / "library.so.1").read_text().startswith("a library")
    assert said(installed.root / "kubiya-worker") == "2.0.0\n"
    installed.versions("sweep", code=3)
    assert installed.folders() == {"1.0.0", "2.0.0"}
    running.communicate()
    installed.versions("sweep")
    assert installed.folders() == {"2.0.0"}


def test_the_same_version_once_more_and_an_older_one(installed: Installed) -> None:
    installed.versions("use", "1.0.0")
    installed.unpack("2.0.0")
    installed.versions("use", "2.0.0")
    installed.unpack("1.0.0")
    installed.versions("use", "1.0.0")
    assert installed.folders() == {"1.0.0"}
    assert said(installed.root / "kubiya-worker") == "1.0.0\n"
    assert {one.name for one in installed.root.iterdir() if one.is_file()} == {
        "kubiya-worker", "kubiya-worker-desktop", "version", "versions",
    }  # fmt: skip


def test_files_are_there_once_on_the_disk(installed: Installed) -> None:
    for inside in ("kubiya-worker", "1.0.0/library.so"):
        assert (installed.root / inside).samefile(installed.root / "packaged" / "1.0.0" / inside)


def test_a_package_that_goes_takes_its_files_along(installed: Installed) -> None:
    shutil.rmtree(installed.root / "packaged" / "1.0.0" / "1.0.0" / "desktop")
    (installed.root / "packaged" / "1.0.0" / "kubiya-worker-desktop").unlink()
    installed.versions("use", "1.0.0")
    assert not (installed.root / "1.0.0" / "desktop").exists()
    assert not (installed.root / "kubiya-worker-desktop").exists()
    assert said(installed.root / "kubiya-worker") == "1.0.0\n"


def test_a_version_that_is_not_there_changes_nothing(installed: Installed) -> None:
    assert "no version 3.0.0" in installed.versions("use", "3.0.0", code=3)
    assert said(installed.root / "kubiya-worker") == "1.0.0\n"
    assert "versions use VERSION" in installed.versions(code=2)


def test_removal_leaves_nothing_of_its_own(installed: Installed) -> None:
    installed.versions("remove")
    assert {one.name for one in installed.root.iterdir()} == {"packaged", "versions"}


# --- one user, without root -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return built("tar", tmp_path_factory.mktemp("tar"))


def install(folder: Path, *arguments: str, home: Path, code: int = 0) -> str:
    done = subprocess.run(
        [folder / "install.sh", *arguments],
        capture_output=True,
        text=True,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=home,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def unpacked(archive: Path, target: Path) -> Path:
    with tarfile.open(archive) as opened:
        assert {(one.uid, one.uname, one.mtime) for one in opened} == {(0, "root", RELEASE.epoch)}
    target.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", archive, "-C", target], check=True)
    [folder] = target.iterdir()
    return folder


def test_an_archive_runs_where_it_is_unpacked(archives: dict[str, Path], tmp_path: Path) -> None:
    folder = unpacked(archives["kubiya-worker"], tmp_path)
    assert said(folder / "programs" / "kubiya-worker") == "1.2.3\n"
    assert not (folder / "programs" / "kubiya-worker-desktop").exists()


def test_an_archive_is_installed_and_removed_without_a_trace(archives: dict[str, Path], tmp_path: Path) -> None:
    home = tmp_path / "home of somebody"
    tree.write(home / ".local" / "share" / "icons" / "another.svg", "kept")
    before = {str(one) for one in home.rglob("*")}
    folder = unpacked(archives["kubiya-worker-desktop"], tmp_path / "unpacked")
    told = install(folder, home=home)
    assert "1.2.3 is installed" in told
    assert "to PATH" in told
    program = home / ".local" / "bin" / "kubiya-worker-desktop"
    assert said(program) == "1.2.3\n"
    entry = (home / ".local/share/applications" / f"{APP_ID}.desktop").read_text()
    assert f'\nExec="{program}"\n' in entry
    assert f"\nTryExec={program}\n" in entry
    assert (home / ".local/share/man/man1/kubiya-worker.1.gz").is_file()
    shutil.rmtree(tmp_path / "unpacked")
    told = install(home / ".local" / "lib" / "kubiya-worker", "--uninstall", home=home)
    assert "still there" in told
    assert {str(one) for one in home.rglob("*")} == before


def test_an_archive_over_an_older_one_that_runs(archives: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    folder = unpacked(archives["kubiya-worker"], tmp_path / "unpacked")
    made = folder / "programs"
    shutil.rmtree(made)
    tree.copy_tree(stand_in(tmp_path / "older", "1.0.0")["worker"].tree, made)
    (folder / "VERSION").write_text("1.0.0\n")
    tree.write(folder / "share" / "man" / "man1" / "kubiya-worker-gone.1.gz", "a command that was")
    install(folder, "--prefix", "there", home=tmp_path / "home")
    prefix = tmp_path / "home" / "there"
    with subprocess.Popen([prefix / "bin/kubiya-worker", "stay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as old:
        assert old.stdout is not None
        assert old.stdout.readline() == b"1.0.0\n"
        told = install(
            unpacked(archives["kubiya-worker"], tmp_path / "newer"), "--prefix=there", home=tmp_path / "home"
        )
        assert "Version 1.0.0 still runs" in told
        assert said(prefix / "bin" / "kubiya-worker") == "1.2.3\n"
        assert (prefix / "lib" / "kubiya-worker" / "1.0.0" / "library.so").is_file()
        assert not (prefix / "share/man/man1/kubiya-worker-gone.1.gz").exists()
        old.communicate()
    said(prefix / "lib" / "kubiya-worker" / "versions", "sweep")
    assert not (prefix / "lib" / "kubiya-worker" / "1.0.0").exists()
    install(prefix / "lib" / "kubiya-worker", "--uninstall", home=tmp_path / "home")
    assert list((tmp_path / "home").iterdir()) == []


def test_what_cannot_be_installed_is_said(archives: dict[str, Path], tmp_path: Path) -> None:
    folder = unpacked(archives["kubiya-worker"], tmp_path / "unpacked")
    assert "not installed in" in install(folder, "--uninstall", home=tmp_path, code=3)
    assert "cannot be used" in install(folder, "--prefix", "/a$b", home=tmp_path, code=2)
    assert "--uninstall" in install(folder, "--help", home=tmp_path)
    shutil.rmtree(folder / "programs")
    assert "nothing to install" in install(folder, home=tmp_path, code=3)
