"""The shell of Windows: which one, and what stands around a line so that its output and its exit code arrive."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Final

from worker_core.policy.subjects import is_powershell

_BEFORE: Final = "[Console]::OutputEncoding=[Text.UTF8Encoding]::new();$OutputEncoding=[Console]::OutputEncoding;"
"""What it and its programs write into a pipe is else in the code page of the console, which lacks most characters
(Microsoft's documentation of `about_Character_Encoding`)."""

_BEHIND: Final = "\nexit $(if ($?) {0} elseif ($LASTEXITCODE) {$LASTEXITCODE} else {1})"
"""Of a program that failed, `-Command` says no more than 1 (Microsoft's documentation of `about_PowerShell_exe`)."""


def default_powershell() -> tuple[str, ...]:
    """PowerShell 7 where it is, else the one that Windows has; up to the line."""
    return (shutil.which("pwsh") or "powershell.exe", "-NoProfile", "-NonInteractive", "-Command")


def framed(argv: Sequence[str]) -> list[str]:
    """The command as it is started: of a PowerShell, with what stands around its line; others as they are."""
    return [*argv[:-1], f"{_BEFORE}{argv[-1]}{_BEHIND}"] if is_powershell(argv) else [*argv]
