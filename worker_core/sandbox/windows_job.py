"""Windows: a job object that ends every process in it when it is closed, and so when the worker dies."""

from __future__ import annotations

import contextlib
import errno
import subprocess
from typing import TYPE_CHECKING, Any

from worker_core.basics.console import CREATE_NEW_PROCESS_GROUP, window_flags

if TYPE_CHECKING:
    from worker_core.sandbox.limits import Limits

_KILL_ON_JOB_CLOSE = 0x2000
_ACTIVE_PROCESSES, _JOB_MEMORY, _JOB_TIME = 0x8, 0x200, 0x4
_PER_SECOND = 10_000_000
"""Windows counts time in units of 100 ns."""
_EXTENDED_LIMIT_INFORMATION = 9


_SUSPENDED = 0x4


def start_flags() -> int:
    """For the `creationflags` of a process that a job is to hold: it waits for `Job.resume`, since what it started
    before it is in the job would stay out (Microsoft's documentation of `AssignProcessToJobObject`). A virtual
    environment's python.exe does so at once: it only starts the real one.
    """
    return CREATE_NEW_PROCESS_GROUP | _SUSPENDED | window_flags()


class Job:
    """Holds one process tree. Microsoft's documentation of `JOBOBJECT_EXTENDED_LIMIT_INFORMATION` gives the layout.

    Args:
        process: the tree's root, just started.
        limits: what the whole tree may use up; None: everything.

    """

    def __init__(self, process: subprocess.Popen[bytes], *, limits: Limits | None = None) -> None:
        import ctypes
        from ctypes import wintypes

        windows: Any = ctypes  # its Windows part is unknown to type checkers elsewhere
        self._process = process

        class Basic(ctypes.Structure):
            _fields_ = [
                ("PerProcessUserTimeLimit", ctypes.c_int64),
                ("PerJobUserTimeLimit", ctypes.c_int64),
                ("LimitFlags", wintypes.DWORD),
                ("MinimumWorkingSetSize", ctypes.c_size_t),
                ("MaximumWorkingSetSize", ctypes.c_size_t),
                ("ActiveProcessLimit", wintypes.DWORD),
                ("Affinity", ctypes.c_size_t),
                ("PriorityClass", wintypes.DWORD),
                ("SchedulingClass", wintypes.DWORD),
            ]

        class Extended(ctypes.Structure):
            _fields_ = [
                ("Basic", Basic),
                ("IoInfo", ctypes.c_uint64 * 6),
                ("ProcessMemoryLimit", ctypes.c_size_t),
                ("JobMemoryLimit", ctypes.c_size_t),
                ("PeakProcessMemoryUsed", ctypes.c_size_t),
                ("PeakJobMemoryUsed", ctypes.c_size_t),
            ]

        self._kernel: Any = windows.WinDLL("kernel32", use_last_error=True)
        self._kernel.CreateJobObjectW.restype = wintypes.HANDLE
        self._handle: int | None = self._kernel.CreateJobObjectW(None, None)
        told = Extended()
        told.Basic.LimitFlags = _KILL_ON_JOB_CLOSE
        if limits is not None:
            told.Basic.LimitFlags |= _ACTIVE_PROCESSES | _JOB_MEMORY | _JOB_TIME
            told.Basic.ActiveProcessLimit = limits.processes
            told.Basic.PerJobUserTimeLimit = round(limits.cpu_time.total_seconds() * _PER_SECOND)
            told.JobMemoryLimit = limits.memory_bytes
        made = self._handle and self._kernel.SetInformationJobObject(
            wintypes.HANDLE(self._handle), _EXTENDED_LIMIT_INFORMATION, ctypes.byref(told), ctypes.sizeof(told)
        )
        owned = wintypes.HANDLE(int(process._handle))  # type: ignore[attr-defined]
        if not made or not self._kernel.AssignProcessToJobObject(wintypes.HANDLE(self._handle), owned):
            process.kill()
            raise OSError(windows.get_last_error(), "The process could not be put into a job object; it was ended.")

    def resume(self) -> None:
        """Let a process that was started with `start_flags` run: all that it starts is in the job, too.

        Raises:
            OSError: it cannot be woken; it was ended.
        """
        import ctypes
        from ctypes import wintypes

        windows: Any = ctypes
        status = windows.WinDLL("ntdll").NtResumeProcess(wintypes.HANDLE(int(self._process._handle)))  # type: ignore[attr-defined]
        if status != 0:
            self.terminate()
            raise OSError(errno.EAGAIN, f"The process could not be woken (0x{status & 0xFFFFFFFF:08X}); it was ended.")

    def terminate(self) -> None:
        """End all processes of the job."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._kernel.TerminateJobObject(self._handle, 1)

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._kernel.CloseHandle(self._handle)
            self._handle = None
