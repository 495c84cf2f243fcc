"""What a process is started with on Windows, how it is woken and ended: by a kernel that only notes what is asked."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from worker_core.sandbox import windows_job
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.processes.process import ProcessTree
from worker_core.sandbox.windows_job import Job, start_flags

CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, CREATE_NO_WINDOW = 0x200, 0x4, 0x0800_0000


class Library:
    """Notes calls, and answers 1; NtResumeProcess with a status of success."""

    def __init__(self, said: list[str], *, status: int = 0) -> None:
        self._said = said
        self._status = status

    def __getattr__(self, name: str) -> Any:
        def call(*_: object) -> int:
            self._said.append(name)
            return self._status if name == "NtResumeProcess" else 1

        self.__dict__[name] = call
        return call


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, **_: Library(said), raising=False)
    return said


PROCESS: Any = SimpleNamespace(_handle=4, kill=lambda: None)


def test_a_process_waits_until_it_is_in_its_job(asked: list[str]) -> None:
    job = Job(PROCESS, limits=Limits())
    job.resume()
    assert asked == ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject", "NtResumeProcess"]
    asked.clear()
    del job
    assert asked == ["CloseHandle"], "which ends what is left"


def test_a_process_that_is_not_woken_is_ended(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(PROCESS)
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, **_: Library(asked, status=-1073741790), raising=False)
    with pytest.raises(OSError, match="0xC0000022"):
        job.resume()
    assert asked[-2:] == ["NtResumeProcess", "TerminateJobObject"]


def test_without_a_console_a_process_opens_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Microsoft's "Process Creation Flags"."""
    assert start_flags() == CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED
    monkeypatch.setattr(windows_job, "window_flags", lambda: CREATE_NO_WINDOW)
    assert start_flags() == CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED | CREATE_NO_WINDOW


@pytest.mark.parametrize(("shares", "ended"), [(True, False), (False, True)])
def test_without_a_common_console_a_process_is_ended_at_once(
    monkeypatch: pytest.MonkeyPatch, shares: bool, ended: bool
) -> None:
    """`GenerateConsoleCtrlEvent` reaches the processes of the caller's console alone (Microsoft's documentation)."""
    said: list[str] = []

    def send_signal(number: int) -> None:
        if not shares:
            raise OSError(12, "The access code is invalid")

    tree = ProcessTree.__new__(ProcessTree)
    monkeypatch.setattr(tree, "_ended", SimpleNamespace(is_set=lambda: False), raising=False)
    tree.process = SimpleNamespace(send_signal=send_signal)  # type: ignore[assignment]
    monkeypatch.setattr(tree, "kill", lambda: said.append("kill"))
    monkeypatch.setattr(subprocess.signal, "CTRL_BREAK_EVENT", 1, raising=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "platform", "win32")
    try:
        tree.terminate()
    finally:
        monkeypatch.undo()
    assert bool(said) is ended
