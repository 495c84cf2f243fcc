"""Standard streams that are closed, full, or read by nobody: a sentence, an exit code, nothing written elsewhere."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.test_machine_commands import line
from tests.support.playground import Stage
from tests.support.worker_process import LIMIT_SECONDS, worker_process
from worker_core.logs.sinks import FileSink

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="redirections of a POSIX shell")


def in_shell(commands: CommandLine, redirected: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`kubiya-worker ARGUMENTS REDIRECTED`, as its user types it."""
    program = shlex.join([sys.executable, "-m", "worker_core", *arguments])
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{program} {redirected}"],
        env={**os.environ, **commands.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def test_a_closed_input_holds_nothing(offline: CommandLine, keychain: object) -> None:
    offline.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    assert "No key was given" in in_shell(offline, "<&-", "login").stderr
    assert "There is no prompt" in in_shell(offline, "<&-", "execute", "-").stderr
    (offline.home / "state").mkdir(parents=True)
    (offline.home / "state" / "host-id").write_text("x")
    assert "nobody to ask" in in_shell(offline, "<&-", "purge").stderr
    assert not (offline.home / "state" / "logs").exists(), "nothing unexpected went wrong"


def test_what_is_closed_goes_nowhere(offline: CommandLine) -> None:
    write_log(offline, "first", "second")
    for redirected in (">&-", "2>&-", "<&- >&- 2>&-"):
        assert in_shell(offline, redirected, "logs").returncode == 0, redirected
        assert in_shell(offline, redirected, "config", "path").returncode == 0, redirected
        assert in_shell(offline, redirected, "bogus").returncode == 2, redirected


def test_no_file_gets_the_place_of_a_stream_that_is_closed() -> None:
    """What prints to descriptor 2 without asking (a library, the kernel's loader in a child) would write into it."""
    code = (
        "import os; from worker_core.basics import streams; streams.give();"
        "opened = os.open('/', os.O_RDONLY);"
        "os.write(9, repr((opened > 2, [os.get_inheritable(one) for one in range(3)])).encode())"
    )
    program = shlex.join([sys.executable, "-c", code])
    found = subprocess.run(
        ["bash", "-c", f"{program} 9>&1 <&- >&- 2>&-"], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    assert found.stdout == "(True, [True, True, True])"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["config", "path"], ["config", "show"], ["status", "--json"], ["logs"]]
)
def test_a_full_disk_is_said(offline: CommandLine, arguments: Sequence[str]) -> None:
    write_log(offline, "first", "second")
    before = logged(offline)
    ended = in_shell(offline, ">/dev/full", *arguments)
    assert ended.stderr == "error: What this command prints cannot be written (No space left on device).\n"
    assert ended.returncode == 1
    assert logged(offline) == before, "it is no error of the program's"


@pytest.mark.parametrize("arguments", [["--help"], ["config", "show"], ["logs"], ["logs", "--json"]])
def test_a_reader_that_has_enough_ends_it_without_a_word(offline: CommandLine, arguments: Sequence[str]) -> None:
    write_log(offline, *map(str, range(50)))
    before = logged(offline)
    ended = in_shell(offline, "| true", *arguments)
    assert (ended.stderr, ended.returncode) == ("", 1)
    assert logged(offline) == before


def test_what_follows_the_log_ends_with_its_reader(online: CommandLine, stage: Stage) -> None:
    """Also where the worker logs nothing more."""
    with worker_process(stage, online.home, stage.info.queue_id) as worker:
        worker.wait_ready()
        ended = in_shell(online, "| grep -m1 -o Registering", "logs", "-f")
        assert (ended.stdout, ended.stderr, ended.returncode) == ("Registering\n", "", 1)
        assert worker.terminate() == 0


def write_log(commands: CommandLine, *messages: str) -> None:
    sink = FileSink(commands.home / "state" / "logs" / "worker.log")
    for message in messages:
        sink.write(line(message))
    sink.close()


def logged(commands: CommandLine) -> bytes:
    return (commands.home / "state" / "logs" / "worker.log").read_bytes()
