from __future__ import annotations

import ast
import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import worker_core
from worker_core.basics.console import CREATE_NO_WINDOW, background_flags, has_console, window_flags


@pytest.mark.skipif(sys.platform == "win32", reason="there it depends on who started the tests")
def test_elsewhere_nothing_is_asked_for() -> None:
    assert has_console()
    assert window_flags() == background_flags() == 0


@pytest.mark.parametrize(("code_page", "flags"), [(437, 0), (0, CREATE_NO_WINDOW)])
def test_without_a_console_none_is_opened(monkeypatch: pytest.MonkeyPatch, code_page: int, flags: int) -> None:
    """`GetConsoleCP` gives 0 where there is no console (Microsoft's documentation)."""
    kernel: Any = SimpleNamespace(GetConsoleCP=lambda: code_page)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert window_flags() == flags


def test_what_goes_on_without_us_has_a_group_of_its_own_and_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers are those of Microsoft's "Process Creation Flags"."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert background_flags() == 0x0000_0200 | 0x0800_0000


NOT_ON_WINDOWS = {
    "checks/confinement.py": "bubblewrap's namespaces",
    "checks/systemd.py": "systemd",
    "playground/private_network.py": "namespaces",
    "sandbox/container.py": "its sandbox is for Linux and macOS",
    "sandbox/landlock_sandbox.py": "Landlock",
    "sandbox/linux.py": "bubblewrap",
    "sandbox/processes/warden.py": "the job object does its work there",
}
OF_A_CONSOLE = {
    "checks/self_test.py": "a command of the terminal's",
    "daemon/supervisor.py": "started without a window, it has a console that nobody sees",
    "sandbox/windows_child.py": "started by us, with a console of its own where we have none",
}


def test_flags_of_windows_are_numbers_in_one_place() -> None:
    root = Path(worker_core.__file__).parent
    flags = {0x200, 0x0800_0000}
    found = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "creationflags"
        for inner in ast.walk(node.value)
        if isinstance(inner, ast.Constant) and inner.value in flags
    }
    assert found == set()


def test_whatever_is_started_opens_no_window() -> None:
    """A console program that a windowed one starts would get a window of its own (Microsoft's "Creation of a
    Console")."""
    root = Path(worker_core.__file__).parent
    found = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"subprocess.run", "subprocess.Popen"}
        and not any(one.arg in {"creationflags", None} for one in node.keywords)
    }
    assert found == NOT_ON_WINDOWS.keys() | OF_A_CONSOLE.keys()
