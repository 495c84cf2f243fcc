"""What the exit code of a process means, in words for the model."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from typing import Final

_SIGNAL_REASONS: Final = {
    "SIGKILL": "out of memory, or killed by somebody",
    "SIGXCPU": "it used up its processor time",
    "SIGXFSZ": "it wrote a file larger than is allowed",
    "SIGSYS": "it made a system call that is not allowed",
}

_NT_CODES: Final[Mapping[int, str]] = {
    0x80000003: "a breakpoint",
    0xC0000005: "it used memory that is not its own",
    0xC0000017: "out of memory",
    0xC000001D: "an instruction that this processor does not know",
    0xC0000094: "it divided by zero",
    0xC00000FD: "its stack overflowed",
    0xC0000135: "a DLL was not found",
    0xC0000139: "a DLL lacks a function that it needs",
    0xC000013A: "ended by Ctrl-C, or with its console",
    0xC0000142: "a DLL could not be initialised",
    0xC0000374: "its heap was corrupted",
    0xC0000409: "it found itself damaged, and gave up",
    0xE0434352: "an exception of .NET that nobody caught",
    0xE06D7363: "an exception of C++ that nobody caught",
}
"""Of Microsoft's "NTSTATUS Values"; the last two are those of .NET and of Visual C++."""

_FIRST_NT_CODE: Final = 0x8000_0000
"""NTSTATUS: the two highest bits say that it is a warning or an error."""


def how_it_ended(exit_code: int, *, platform: str = sys.platform) -> str | None:
    """A sentence; None for success.

    Args:
        exit_code: negative for a signal (POSIX).
        platform: as `sys.platform`. Windows knows no signals, and crashes end there with an NTSTATUS.
    """
    if exit_code == 0:
        return None
    if exit_code < 0:
        return f"It was ended by signal {signal_name(-exit_code)}."
    if platform == "win32":
        if exit_code < _FIRST_NT_CODE:
            return f"It exited with code {exit_code}."
        why = _NT_CODES.get(exit_code)
        return f"It crashed with code 0x{exit_code:08X}{f' ({why})' if why else ''}."
    if exit_code > 128 and (name := signal_name(exit_code - 128)).startswith("SIG"):
        return f"It exited with code {exit_code}: that is how shells report {name}."
    return f"It exited with code {exit_code}."


def signal_name(number: int) -> str:
    """With what it usually means, where that helps."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return str(number)
    return f"{name} ({_SIGNAL_REASONS[name]})" if name in _SIGNAL_REASONS else name
