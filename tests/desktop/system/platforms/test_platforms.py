"""What each system is told; the files of all three are written and read here, whatever this system is."""

from __future__ import annotations

import contextlib
import plistlib
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.system.platforms import AT_LOGIN, PROGRAM, is_ours, own_command
from desktop.system.platforms.macos import Caffeinate, LaunchAgent
from desktop.system.platforms.ports import Autostart, AutostartEntry, autostart_state, repair_autostart
from desktop.system.platforms.windows import (
    PBT_APMRESUMEAUTOMATIC,
    PBT_APMSUSPEND,
    PowerBroadcast,
    RunKey,
    is_vetoed,
    words_of,
)

HERE = (sys.executable, "-m", "desktop", AT_LOGIN)
GONE = ("/nowhere/Kubiya Worker %1/app", AT_LOGIN)


class Registry:
    """As much of `winreg` as the Run key needs."""

    HKEY_CURRENT_USER, KEY_SET_VALUE, REG_SZ = "HKCU", 2, 1

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Any] = {}

    @contextlib.contextmanager
    def OpenKey(self, root: str, path: str, *rights: int) -> Iterator[str]:  # noqa: N802
        yield path

    CreateKey = OpenKey

    def QueryValueEx(self, path: str, name: str) -> tuple[Any, int]:  # noqa: N802
        if (path, name) not in self.values:
            raise FileNotFoundError
        return self.values[path, name], 1

    def SetValueEx(self, path: str, name: str, zero: int, kind: int, value: str) -> None:  # noqa: N802
        self.values[path, name] = value

    def DeleteValue(self, path: str, name: str) -> None:  # noqa: N802
        if self.values.pop((path, name), None) is None:
            raise FileNotFoundError


@pytest.fixture(params=["linux", "macos", "windows"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    registry = Registry()

    def entry(command: tuple[str, ...]) -> AutostartEntry:
        match request.param:
            case "linux":
                from desktop.system.platforms.linux import XdgAutostart

                return XdgAutostart(command, {"XDG_CONFIG_HOME": str(tmp_path)})
            case "macos":
                return LaunchAgent(command, tmp_path)
            case _:
                return RunKey(command, registry)

    return entry


@pytest.mark.parametrize("command", [HERE, GONE, ('/opt/with "quotes" and $x`y`\\z/app', AT_LOGIN)])
def test_what_is_written_is_read_back(make: Any, command: tuple[str, ...]) -> None:
    entry = make(command)
    assert (autostart_state(entry), entry.configured()) == (Autostart.OFF, None)
    entry.write()
    assert (autostart_state(entry), entry.configured()) == (Autostart.ON, command)
    entry.remove()
    entry.remove()
    assert autostart_state(entry) is Autostart.OFF


def test_an_entry_of_another_copy_is_foreign_and_repaired_only_where_it_leads_nowhere(make: Any) -> None:
    make(GONE).write()
    here = make(HERE)
    assert autostart_state(here) is Autostart.FOREIGN
    assert not repair_autostart(here, is_ours=lambda _: False)
    assert repair_autostart(here, is_ours=lambda _: True)
    assert autostart_state(here) is Autostart.ON
    assert not repair_autostart(here, is_ours=lambda _: True)
    assert not repair_autostart(None, is_ours=lambda _: True)


def test_only_a_program_that_is_gone_is_stale() -> None:
    assert is_ours(GONE)
    assert not is_ours(HERE)
    assert not is_ours(("/nowhere/other",))


def test_the_command_starts_this_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unfrozen = own_command()
    assert unfrozen[-1] == AT_LOGIN
    image, mount = tmp_path / "Kubiya.AppImage", tmp_path / "mount"
    image.touch()
    (mount / "usr").mkdir(parents=True)
    monkeypatch.setenv("APPIMAGE", str(image))
    monkeypatch.setenv("APPDIR", str(mount))
    assert own_command() == unfrozen, "of whatever started us"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/kubiya-worker/kubiya-worker-desktop")
    assert own_command() == ("/opt/kubiya-worker/kubiya-worker-desktop", AT_LOGIN), "still of whatever started us"
    monkeypatch.setattr(sys, "executable", str(mount / "usr" / "kubiya-worker-desktop"))
    assert own_command() == (str(image), AT_LOGIN)
    image.unlink()
    assert own_command() == (sys.executable, AT_LOGIN)


@pytest.mark.parametrize("program", ["/opt/kubiya/app", "/opt/with space\\and more%/app"])
def test_a_login_entry_is_passed_over_once_its_program_is_gone(tmp_path: Path, program: str) -> None:
    """Packages that are removed do not look into homes; desktops look at TryExec (Desktop Entry Specification 1.5)."""
    from desktop.system.platforms.linux import XdgAutostart
    from desktop.system.platforms.ports import APP_ID

    entry = XdgAutostart((program, AT_LOGIN), {"XDG_CONFIG_HOME": str(tmp_path)})
    entry.write()
    lines = entry.file.read_text(encoding="utf-8").splitlines()
    [tried] = [line.removeprefix("TryExec=") for line in lines if line.startswith("TryExec=")]
    assert tried.replace("\\\\", "\\") == program
    assert f"Icon={APP_ID}" in lines


@pytest.mark.parametrize("command", ["/opt/x\nExec=/bin/true", "/opt/\r", "/opt/\x1b", "/opt/\u2028x"])
def test_no_command_writes_a_second_line_into_a_login_entry(tmp_path: Path, command: str) -> None:
    from desktop.system.platforms.linux import XdgAutostart

    entry = XdgAutostart((command, AT_LOGIN), {"XDG_CONFIG_HOME": str(tmp_path)})
    with pytest.raises(OSError, match="cannot name the program"):
        entry.write()
    assert list(tmp_path.iterdir()) == []


def test_what_a_desktop_switched_off_is_blocked(tmp_path: Path) -> None:
    from desktop.system.platforms.linux import XdgAutostart

    entry = XdgAutostart(HERE, {"XDG_CONFIG_HOME": str(tmp_path)})
    for line in ("Hidden=true", "X-GNOME-Autostart-enabled=false"):
        entry.write()
        text = entry.file.read_text(encoding="utf-8").replace("X-GNOME-Autostart-enabled=true\n", "")
        entry.file.write_text(f"{text}{line}\n", encoding="utf-8")
        assert autostart_state(entry) is Autostart.BLOCKED


def test_task_managers_veto_and_launchds_are_blocked(tmp_path: Path) -> None:
    from desktop.system.platforms.windows import APPROVED, VALUE

    registry = Registry()
    entry = RunKey(HERE, registry)
    entry.write()
    registry.values[APPROVED, VALUE] = bytes([3, 0, 0, 0])
    assert autostart_state(entry) is Autostart.BLOCKED
    assert not is_vetoed(bytes([2, 0, 0, 0]))
    agent = LaunchAgent(HERE, tmp_path)
    agent.write()
    said = plistlib.loads(agent.file.read_bytes())
    assert said["AssociatedBundleIdentifiers"] == ["ai.kubiya.worker"]
    agent.file.write_bytes(plistlib.dumps({**said, "Disabled": True}))
    assert autostart_state(agent) is Autostart.BLOCKED


def test_an_entry_that_is_removed_takes_task_managers_word_with_it() -> None:
    from desktop.system.platforms.windows import APPROVED, VALUE

    registry = Registry()
    entry = RunKey(HERE, registry)
    entry.write()
    registry.values[APPROVED, VALUE] = bytes([3, 0, 0, 0])
    entry.remove()
    assert registry.values == {}
    registry.values[APPROVED, VALUE] = bytes([2])
    entry.remove()
    assert registry.values == {}, "where the entry is gone already"


LINES = {
    # Of the table in "Parsing C++ command-line arguments".
    r'x "a b c" d e': ("x", "a b c", "d", "e"),
    r'x "ab\"c" "\\\\" d': ("x", 'ab"c', "\\\\", "d"),
    r'x a\\\b d"e f"g h': ("x", r"a\\\b", "de fg", "h"),
    r"x a\\\"b c d": ("x", 'a\\"b', "c", "d"),
    r'x a\\\\"b c" d e': ("x", r"a\\b c", "d", "e"),
    r'"C:\Program Files\K\tray.exe" --at-login': (r"C:\Program Files\K\tray.exe", "--at-login"),
    r"C:\K\tray.exe --at-login": (r"C:\K\tray.exe", "--at-login"),
    r'x "" y': ("x", "", "y"),
    "x": ("x",),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_run_key_is_read_as_windows_reads_it(line: str) -> None:
    assert words_of(line) == LINES[line]


@given(st.lists(st.text(st.sampled_from('a" \\\t'), max_size=8), max_size=4))
def test_what_python_writes_into_a_command_line_is_read_back(words: list[str]) -> None:
    assert words_of(subprocess.list2cmdline(["x", *words])) == ("x", *words)


@pytest.mark.parametrize("line", [r'"C:\gone\tray.exe" --at-login', r"C:\gone\tray.exe --at-login"])
def test_a_run_key_of_a_program_that_moved_is_repaired(line: str) -> None:
    from desktop.system.platforms.windows import RUN, VALUE

    registry = Registry()
    registry.values[RUN, VALUE] = line
    entry = RunKey(HERE, registry)
    assert entry.configured() == (r"C:\gone\tray.exe", AT_LOGIN)
    assert repair_autostart(entry, is_ours=is_ours)
    assert registry.values[RUN, VALUE] == subprocess.list2cmdline(HERE)


def test_outside_of_a_virtual_environment_the_program_is_among_the_scripts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on Windows, where python.exe has a folder `Scripts` below its own (Python's documentation of `sysconfig`)."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python.exe"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name, scheme: str(tmp_path / "Scripts"))
    assert own_command() == (str(tmp_path / "python.exe"), "-m", "desktop", AT_LOGIN)
    (tmp_path / "pythonw.exe").touch()
    assert own_command() == (str(tmp_path / "pythonw.exe"), "-m", "desktop", AT_LOGIN)
    (tmp_path / "Scripts").mkdir()
    (tmp_path / "Scripts" / PROGRAM).touch()
    assert own_command() == (str(tmp_path / "Scripts" / PROGRAM), AT_LOGIN)


def test_caffeinate_runs_while_it_is_held() -> None:
    awake = Caffeinate((sys.executable, "-c", "import time; time.sleep(600)"))
    awake.release()
    awake.hold("An agent is working")
    first = awake._running
    awake.hold("An agent is working")
    assert first is not None
    assert awake._running is first
    assert first.poll() is None
    awake.release()
    assert first.poll() is not None


def test_windows_tells_of_sleep() -> None:
    said: list[str] = []
    power = PowerBroadcast()
    power._on_sleep, power._on_wake = lambda: said.append("sleep"), lambda: said.append("wake")
    for event in (PBT_APMSUSPEND, 0x0007, PBT_APMRESUMEAUTOMATIC):
        power.heard(event)
    assert said == ["sleep", "wake"]
