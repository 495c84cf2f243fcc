"""`make setup`, with stand-ins for what it starts: apt-get, and the pip of a virtual environment that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")

COMPLAINING = """echo "$0 $*" >>"{record}"
for number in 1 2 3; do echo "WARNING: Location '/a/simple/$number/' is ignored" >&2; done
echo "WARNING: of another kind" >&2
exit {code}
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder, self.programs, self.record = folder / "project", folder / "bin", folder / "record"
        for name in ("scripts/setup.py", "pyproject.toml"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.folder / name)
        (self.folder / "requirements").mkdir()
        (self.folder / "requirements/dev.txt").touch()
        (self.folder / "requirements/apt.txt").write_text("# --- what it is for\nneeded\nthere\nrenamed\n")
        self.programs.mkdir()
        self.stand_in(
            "bin/dpkg-query", 'case "$*" in *renamedt64*) printf installed ;; *) echo "there installed" ;; esac'
        )
        self.complaining("bin/apt-get")
        self.complaining("project/.venv/bin/python")
        self.made_with(".".join(map(str, sys.version_info[:3])))

    def stand_in(self, name: str, script: str) -> None:
        file = self.folder.parent / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def complaining(self, name: str, *, code: int = 0) -> None:
        self.stand_in(name, COMPLAINING.format(record=self.record, code=code))

    def made_with(self, version: str) -> None:
        (self.folder / ".venv/pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n")

    def setup(self, *options: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
        """Run it. `before`: statements that come first."""
        self.record.write_text("")
        program = f"import os, runpy, sys; {before}; runpy.run_path('scripts/setup.py', run_name='__main__')"
        return subprocess.run(
            [sys.executable, "-c", program, *options], cwd=self.folder, env={"PATH": str(self.programs)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    @property
    def started(self) -> list[str]:
        return [Path(line.partition(" --quiet")[0]).name for line in self.record.read_text().splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_each_kind_of_complaint_is_one_line(project: Project) -> None:
    done = project.setup("--without-system-packages")
    each = "WARNING: Location '/a/simple/1/' is ignored (and 2 like it)\nWARNING: of another kind\n"
    assert (done.returncode, done.stderr) == (0, 2 * each)


def test_what_fails_is_shown_whole(project: Project) -> None:
    project.complaining("project/.venv/bin/python", code=1)
    done = project.setup("--without-system-packages")
    assert done.returncode == 1
    assert done.stderr.count("Location") == 3
    assert done.stderr.splitlines()[-1].startswith("Set-up stopped: ")


def test_a_second_time_nothing_is_started(project: Project) -> None:
    project.setup("--without-system-packages")
    assert project.started == ["python -m pip --disable-pip-version-check install"] * 2
    done = project.setup("--without-system-packages")
    assert (done.returncode, done.stdout, done.stderr, project.started) == (0, "", "", [])
    (project.folder / "requirements/dev.txt").write_text("# changed")
    project.setup("--without-system-packages")
    assert len(project.started) == 2


def test_an_environment_of_another_python_is_made_anew(project: Project) -> None:
    project.made_with("3.10.0")
    (project.folder / ".venv/old").touch()
    project.stand_in("bin/python3", f'echo "$0 $*" >>"{project.record}"; exit 1')
    done = project.setup("--without-system-packages", before=f"sys.executable = '{project.programs}/python3'")
    assert done.stdout.startswith(f"Making .venv with Python {sys.version.split()[0]}\n")
    assert project.started == [".venv"]  # the path that it is asked for
    assert not (project.folder / ".venv/old").exists()
    assert "sudo apt-get install python3-venv" in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root installs without sudo")
def test_root_gets_the_packages_that_are_missing(project: Project) -> None:
    done = project.setup()
    assert "Installing system packages: needed\n" in done.stdout
    assert project.started[:2] == ["apt-get update -qq", "apt-get install -y --no-install-recommends needed"]
    project.complaining("bin/apt-get", code=100)
    assert "the tests that need them are skipped. Run: sudo apt-get update" in project.setup().stderr


def test_what_is_missing_and_cannot_be_installed_is_named_first(project: Project) -> None:
    first = project.setup(before="os.geteuid = lambda: 1000").stderr.splitlines()[0]  # and there is no sudo
    assert first.endswith("Run: sudo apt-get update && sudo apt-get install -y --no-install-recommends needed")
    assert "the tests that need them are skipped" in first


@pytest.mark.parametrize(("of_the_system", "asked"), [(True, True), (False, False)])
def test_the_library_of_the_systems_python_is_a_package(project: Project, of_the_system: bool, asked: bool) -> None:
    (project.folder / "requirements/apt.txt").write_text("needed\nlibpythonPYTHON\n")
    prefix = "/usr" if of_the_system else "/opt/another"
    said = project.setup(before=f"os.geteuid = lambda: 1000; sys.base_prefix = {prefix!r}").stderr.splitlines()[0]
    name = f" needed libpython{sys.version_info[0]}.{sys.version_info[1]}"
    assert (said.endswith(name), "PYTHON" in said) == (asked, False)


def test_without_dpkg_the_programs_are_looked_for(project: Project) -> None:
    (project.programs / "dpkg-query").unlink()
    project.stand_in("bin/Xvfb", "")
    done = project.setup()
    if sys.platform == "linux":
        assert done.stderr.startswith("Programs are missing: bwrap curl dbus-daemon dunst ")
    assert not [one for one in project.started if one.startswith("apt-get")]
