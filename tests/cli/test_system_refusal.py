"""What the system refuses: files of another user's, and what is no folder. A sentence, and exit code 3."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.support.other_user import NOBODY, folder_for, needs_root, run_as_user
from worker_core.cli.system_refusal import refusal


@pytest.fixture
def of_root() -> Iterator[Path]:
    """A folder for another user, whose state belongs to root: as after `sudo kubiya-worker`."""
    with folder_for(NOBODY) as folder:
        state = folder / "home" / ".local" / "state" / "kubiya-worker"
        state.mkdir(parents=True)
        state.chmod(0o700)
        yield folder


@needs_root[0]
@needs_root[1]
@needs_root[2]
@pytest.mark.parametrize(
    "command", ["status", "logs", "executions", "approvals", "stop", "changes", "policy audit", "purge", "usage"]
)
def test_files_of_another_user_are_named_with_their_owner(of_root: Path, command: str) -> None:
    ended = run_as_user(of_root, sys.executable, "-m", "worker_core", *command.split())
    state = of_root / "home" / ".local" / "state" / "kubiya-worker"
    assert ended.stderr.startswith(f"error: {state}/")
    assert ended.stderr.endswith(
        f" cannot be used: Permission denied. The folder {state} belongs to root. Run the command as that user, or "
        "repair owner and permissions.\n"
    )
    assert ended.returncode == 3


@needs_root[0]
@needs_root[1]
@needs_root[2]
@pytest.mark.parametrize("command", ["status", "executions", "logs", "stop"])
def test_where_workers_cannot_be_looked_for_none_is_said_to_be_missing(command: str) -> None:
    """As where a service's folder is looked at without `sudo`."""
    with folder_for(NOBODY) as folder:
        run = folder / "home" / "run"
        run.mkdir(mode=0o700)
        ended = run_as_user(
            folder, "env", f"KUBIYA_WORKER_HOME={run.parent}", sys.executable, "-m", "worker_core", command
        )
    assert ended.stderr == (
        f"error: {run} cannot be used: Permission denied. It belongs to root. Run the command as that user, or repair "
        "owner and permissions.\n"
    )
    assert ended.returncode == 3


def test_a_folder_that_is_none(offline: CommandLine) -> None:
    offline.home.write_text("")
    answer = offline("policy", "audit")
    assert answer.code == 3
    assert answer.err.startswith(f"error: {offline.home}")
    assert answer.err.endswith(f"cannot be used: {os.strerror(errno.ENOTDIR)}. Repair its owner and permissions.\n")


def test_limits_of_the_system_are_said_without_a_file() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert refusal(full) == "The system refused it: No space left on device."
    resource = pytest.importorskip("resource")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert refusal(OSError(errno.EMFILE, "Too many open files", "/x/y")) == (
        f"/x/y cannot be used: Too many open files. This program has all the {files:,} files open that it may: raise "
        "its limit (`ulimit -n`, or LimitNOFILE= of its service) and start it again."
    )
    assert "`sysctl fs.file-max`" in str(refusal(OSError(errno.ENFILE, "Too many open files in system")))


@pytest.mark.parametrize("error", [ValueError(), FileNotFoundError(2, "No such file", "/x"), PermissionError(13, "no")])
def test_errors_of_the_program_are_none(error: Exception) -> None:
    assert refusal(error) is None
