"""The setup for one user, below wine: installed, upgraded while it runs, removed; files and registry are compared."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.tray_host import until
from tests.support.wine import LIMIT_SECONDS, Windows, windows_path, windows_user
from tests.windows.installers import Release, difference, files_below, local_data, state

pytestmark = pytest.mark.timeout(900)

UNINSTALL = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\ai.kubiya.worker"
RUN = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"
APP_PATHS = r"HKCU\Software\Microsoft\Windows\CurrentVersion\App Paths"


class Machine:
    """A user who has nothing installed, and what the stand-in was called with."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.local = local_data(windows)
        self.folder = self.local / "Programs" / "Kubiya Worker"
        self.named = f"C:\\users\\{self.local.parents[1].name}\\AppData\\Local\\Programs\\Kubiya Worker"
        self.shortcut = self.local.parent / "Roaming/Microsoft/Windows/Start Menu/Programs/Kubiya Worker.lnk"

    def setup(self, release: Release, *options: str, environment: Mapping[str, str] | None = None) -> None:
        code, said = self.windows.run("wine", release.setup, "/S", *options, environment=environment)
        assert code == 0, said

    def line(self, line: str) -> None:
        """Run a line as cmd reads it: NSIS wants folders with blanks last and without quotes."""
        batch = self.windows.drive / "line.bat"
        batch.write_text(f"{line}\r\n")
        code, said = self.windows.run("wine", "cmd", "/c", "C:\\line.bat")
        assert code == 0, said
        batch.unlink()

    def uninstall(self, *options: str) -> None:
        """The uninstaller goes on as a copy of itself, which can remove it."""
        self.line(" ".join([f'"{self.named}\\uninstall.exe"', "/S", *options]))
        until(lambda: not self.folder.exists(), what="the folder is gone")
        until(lambda: not self.windows.registry(UNINSTALL), what="the last entry is gone")

    def calls(self) -> list[str]:
        """Since they were asked for last."""
        file = self.local / "Temp" / "calls.txt"
        said = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return said

    def start(self, *words: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.windows.command("wine", *words), env=self.windows.environment(environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture(scope="module")
def machine(windows_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with windows_user(windows_python, tmp_path_factory.mktemp("setup")) as user:
        yield Machine(user)


def test_it_is_installed_upgraded_while_it_runs_and_removed(
    machine: Machine, releases: tuple[Release, Release], tmp_path: Path
) -> None:
    old, new = releases
    machine.line("exit /b 0")  # what wine writes with the first one
    before = state(machine.windows, folder=tmp_path)

    machine.setup(old)
    assert files_below(machine.folder) == {*old.files, "uninstall.exe"}
    assert machine.calls() == []
    known = machine.windows.registry(UNINSTALL)
    assert known["DisplayName"] == "Kubiya Worker"
    assert known["DisplayVersion"] == old.version
    assert known["InstallLocation"] == machine.named
    assert known["QuietUninstallString"] == f'"{machine.named}\\uninstall.exe" /S'
    assert int(known["EstimatedSize"], 16) > 0
    assert f"{machine.named}\\kubiya-worker.exe" in machine.windows.registry(rf"{APP_PATHS}\kubiya-worker.exe").values()
    assert "KubiyaWorker" not in machine.windows.registry(RUN)
    assert machine.shortcut.is_file()

    with machine.start(machine.folder / "kubiya-worker-desktop.exe") as tray:
        until(lambda: (machine.local / "Temp" / "calls.txt").exists())
        machine.setup(new, "/AUTOSTART")
        assert tray.wait(LIMIT_SECONDS) == 0
    until(lambda: "at-login" in (machine.local / "Temp" / "calls.txt").read_text())
    assert machine.calls() == [
        f"tray {old.version}",
        f"tray {old.version} --quit",
        f"worker {old.version} stop --all",
        f"tray {new.version} --at-login",
    ]
    assert files_below(machine.folder) == {*new.files, "uninstall.exe"}
    assert not (machine.folder / old.version).exists()
    assert machine.windows.registry(UNINSTALL)["DisplayVersion"] == new.version
    assert machine.windows.registry(RUN)["KubiyaWorker"] == f'"{machine.named}\\kubiya-worker-desktop.exe" --at-login'

    data = machine.local / "kubiya-worker" / "config.toml"
    data.parent.mkdir()
    data.write_text("queue_ids = []")
    machine.uninstall()
    assert machine.calls() == [f"tray {new.version} --quit", f"worker {new.version} stop --all"]
    assert data.exists()

    machine.setup(new, "/NORESTART")
    machine.uninstall("/PURGE")
    assert machine.calls()[-1] == f"worker {new.version} purge --yes"
    assert not data.exists()
    data.parent.rmdir()
    assert difference(before, state(machine.windows, folder=tmp_path)) == {}


def test_what_does_not_leave_runs_on_and_goes_later(machine: Machine, releases: tuple[Release, Release]) -> None:
    old, new = releases
    machine.setup(old)
    machine.calls()
    with machine.start(machine.folder / "kubiya-worker.exe", "start") as worker:
        try:
            until(lambda: (machine.local / "Temp" / "calls.txt").exists())
            machine.setup(new)
            assert worker.poll() is None
            present = files_below(machine.folder)
            assert {one for one in old.files if "/" in one} <= present
            assert {*new.files} <= present
            (left,) = machine.folder.glob("kubiya-worker.exe.*.replaced")
        finally:
            worker.kill()
    machine.windows.run("wine", "taskkill", "/F", "/IM", left.name)
    machine.setup(new)
    assert files_below(machine.folder) == {*new.files, "uninstall.exe"}
    machine.uninstall()
    assert not machine.folder.exists()


def test_what_somebody_else_holds_of_an_old_version_goes_later(
    machine: Machine, releases: tuple[Release, Release]
) -> None:
    """As a virus scanner does, while setup removes it."""
    old, new = releases
    machine.setup(old)
    held = max((machine.folder / old.version).rglob("only of *.txt"))
    hold = "import sys; held = open(sys.argv[1]); print('held', flush=True); input()"
    with subprocess.Popen(
        machine.windows.command("wine", machine.windows.python / "python.exe", "-c", hold, windows_path(held)),
        env=machine.windows.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as holder:  # fmt: skip
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        machine.setup(new)
        assert files_below(machine.folder) > {*new.files, "uninstall.exe"}
        holder.stdin.write(b"\n")
        holder.stdin.close()
        assert holder.wait(LIMIT_SECONDS) == 0
    machine.setup(new)
    assert files_below(machine.folder) == {*new.files, "uninstall.exe"}
    assert {one.name for one in machine.folder.iterdir() if one.is_dir()} == {new.version}
    machine.uninstall()


def test_it_goes_into_a_folder_that_has_other_things_and_leaves_them(
    machine: Machine, releases: tuple[Release, Release]
) -> None:
    release = releases[0]
    folder = machine.windows.drive / "tools of mine"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    (folder / "other").mkdir()
    machine.line(f'"{windows_path(release.setup)}" /S /D=C:\\tools of mine')
    assert files_below(folder) == {*release.files, "uninstall.exe", "mine.txt"}
    machine.line('"C:\\tools of mine\\uninstall.exe" /S _?=C:\\tools of mine')  # with _? it waits, and stays itself
    assert {one.name for one in folder.iterdir()} == {"mine.txt", "other", "uninstall.exe"}
    assert machine.windows.registry(UNINSTALL) == {}


def test_two_builds_are_the_same_bytes(releases: tuple[Release, Release], tmp_path: Path, icon: Path) -> None:
    from installers.windows import build

    again = tmp_path / "again"
    build.build(releases[0].folder, output=again, version=releases[0].version, icon=icon)
    for file in (releases[0].setup, releases[0].msi):
        assert (again / file.name).read_bytes() == file.read_bytes()


def test_the_shortcut_s_identity_reaches_a_property_store(machine: Machine, tmp_path: Path) -> None:
    from installers.windows import build
    from tests.windows.installers import SOURCE

    shortcut = Path(build.__file__).with_name("shortcut.nsh")
    program = tmp_path / "identity.exe"
    code, said = machine.windows.run(
        "makensis", "-V2", "-WX", f"-DSHORTCUT={shortcut}", f"-DOUTPUT={program}", SOURCE.with_name("identity.nsi")
    )
    assert code == 0, said
    machine.windows.run("wine", program)
    found = machine.local / "Temp" / "identity.txt"
    assert found.read_text().splitlines() == ["store 0", "set 0 commit 0", "type 31 value ai.kubiya.worker"]
