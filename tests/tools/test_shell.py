from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.worker_like import start_worker_like
from tests.tools.conftest import Call
from worker_core.logs.redaction import Redactor
from worker_core.sandbox import call as calls
from worker_core.tools import report
from worker_core.tools.report import not_started
from worker_core.tools.shell import ShellTool, default_shell
from worker_core.workspaces.workspace import Workspace

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are those of a POSIX shell")

SHELL = ShellTool()


async def test_a_command(call: Call, here: Path) -> None:
    result = await call(SHELL, {"command": "pwd; echo out; echo err >&2"})
    assert result.succeeded
    assert result.output == f"{here}\nout\nerr\n"
    assert (result.error, result.saved_to, result.output_bytes) == (None, None, len(result.output))
    assert result.metadata["exit_code"] == 0
    assert result.metadata["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("exit 3", "It exited with code 3."),
        ("no-such-command-here", "It exited with code 127."),
        ("kill -KILL $$", "It was ended by signal SIGKILL (out of memory, or killed by somebody)."),
        ("kill -SEGV $$", "It was ended by signal SIGSEGV."),
    ],
)
async def test_a_command_that_fails(call: Call, command: str, error: str) -> None:
    result = await call(SHELL, {"command": command})
    assert not result.succeeded
    assert result.error == error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "missing required field `command`"),
        ({"command": 5}, "Expected `str`, got `int` - at `$.command`"),
        ({"command": None}, "got `null`"),
        ({"command": ""}, "length >= 1"),
        ({"command": ["ls"]}, "got `array`"),
        ({"command": "ls", "cmd": 1}, "unknown field `cmd`. The tool takes: command, timeout_seconds"),
        ({"command": "ls", "timeout_seconds": "soon"}, "timeout_seconds"),
        ({"command": "ls", "timeout_seconds": 0}, "it must be more than 0"),
        ({"command": "ls", "timeout_seconds": -1}, "it must be more than 0"),
        ({"command": "ls", "timeout_seconds": float("nan")}, "it must be more than 0"),
        ({"command": "ls", "timeout_seconds": True}, "got `bool`"),
        ({"command": "ls", "timeout_seconds": 10**400}, "out of range"),
        ({"command": "a\0b"}, "NUL"),
        ({"command": "echo \ud800"}, "half of a character"),
        ({"command": "ls", "working_directory": ".."}, "leads out of the workspace"),
        ({"command": "ls", "working_directory": "/"}, "leads out of the workspace"),
        ({"command": "ls", "working_directory": "a\0"}, "cannot be used"),
        ({"command": "ls", "working_directory": "nowhere"}, "There is no folder 'nowhere' in the workspace"),
        ({"command": "ls", "working_directory": "file"}, "There is no folder 'file'"),
        ({"command": "ls", "working_directory": "x" * 10_000}, "There is no folder"),
        ({"command": "ls", "working_directory": "out"}, "leads out of the workspace"),
        ({"command": "ls", "working_directory": "circle"}, "circle"),
    ],
)
async def test_wrong_arguments_have_no_effect(call: Call, here: Path, arguments: dict[str, Any], says: str) -> None:
    (here / "file").touch()
    (here / "out").symlink_to("/")
    (here / "circle").symlink_to("circle")
    effects: list[int] = []
    result = await call(SHELL, arguments, before_effect=lambda: effects.append(1))
    assert not result.succeeded
    assert not effects
    assert says in (result.error or "")
    assert len(result.error or "") < 600


async def test_a_folder_that_no_process_can_begin_in_is_said(
    call: Call, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, where nothing of the system would say why (Microsoft's `SetCurrentDirectory`)."""
    (here / "deep").mkdir()
    monkeypatch.setattr(report, "is_too_long_to_begin_in", lambda folder: folder.endswith("deep"))
    result = await call(SHELL, {"command": "echo x", "working_directory": "deep"})
    assert "more than the 258 characters" in (result.error or "")
    assert (await call(SHELL, {"command": "echo x"})).succeeded


async def test_numbers_may_be_text(call: Call) -> None:
    assert (await call(SHELL, {"command": "true", "timeout_seconds": "5"})).succeeded


async def test_the_effect_is_announced_once(call: Call) -> None:
    effects: list[int] = []
    await call(SHELL, {"command": "true"}, before_effect=lambda: effects.append(1))
    assert effects == [1]


async def test_working_directories(call: Call, here: Path) -> None:
    (here / "sub").mkdir()
    assert (await call(SHELL, {"command": "pwd", "working_directory": "sub"})).output == f"{here}/sub\n"
    configured = ShellTool(working_directory="made/for/it")
    assert (await call(configured, {"command": "pwd"})).output == f"{here}/made/for/it\n"
    assert (await call(configured, {"command": "pwd", "working_directory": "sub"})).output == f"{here}/sub\n"


async def test_a_command_that_waits_for_input_ends(call: Call) -> None:
    result = await call(SHELL, {"command": 'read answer; echo "[$answer]"; cat'})
    assert result.output == "[]\n"


async def test_a_time_limit(call: Call) -> None:
    result = await call(SHELL, {"command": "echo begun; sleep 1000", "timeout_seconds": 0.3})
    assert result.output == "begun\n"
    assert result.error == "It did not end within 0.3 s and was stopped, with all that it had started."
    result = await call(SHELL, {"command": "sleep 1000"}, timeout=timedelta(seconds=0.2))
    assert "within 0.2 s" in (result.error or "")


async def test_a_shell_that_is_not_there(call: Call) -> None:
    result = await call(ShellTool(shell=("/no/such/shell", "-c")), {"command": "ls"})
    assert result.error == (
        "The command could not be started, nothing was run: No such file or directory (/no/such/shell)."
    )


def test_where_there_are_no_files_to_open_the_limit_is_named() -> None:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    said = not_started(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    assert said.startswith("The command could not be started, nothing was run: Too many open files. This program has")
    assert f"all the {files:,} files open" in said
    assert "`ulimit -n`" in said


async def test_a_command_that_is_too_long(call: Call) -> None:
    longest = "x" * (128 * 1024 - 6)
    assert (await call(SHELL, {"command": f"echo {longest}"})).output_bytes == len(longest) + 1
    result = await call(SHELL, {"command": f"echo {longest}y"})
    assert "Write the long part to a file first." in (result.error or "")
    result = await call(SHELL, {"command": "true"}, environment={"LONG": "x" * 3_000_000})
    assert "too long for the system" in (result.error or "")


# Output


async def test_cut_output_names_where_the_whole_is(call: Call, here: Path) -> None:
    result = await call(SHELL, {"command": "seq 1 20000"}, output_limit_bytes=1000)
    assert result.succeeded
    assert result.saved_to == ".kubiya/outputs/call-1.txt"
    assert (here / result.saved_to).read_text() == "".join(f"{number}\n" for number in range(1, 20001))
    assert result.output.startswith("1\n2\n3\n")
    assert result.output.endswith("\n19999\n20000\n")
    assert (
        "\n[... the middle of 108894 bytes is left out; the whole output is in .kubiya/outputs/call-1.txt ...]\n"
        in (result.output)
    )
    assert len(result.output.encode()) < 1000 + 150
    assert result.output_bytes == 108894


async def test_invalid_utf8_is_readable_and_kept_as_it_is(call: Call, here: Path) -> None:
    result = await call(SHELL, {"command": "printf 'a\\xff\\x00b\\xc3'"})
    assert result.output == "a\ufffd\ufffdb\ufffd"
    raw = bytes(range(256)) * 200
    (here / "raw").write_bytes(raw)
    result = await call(SHELL, {"command": "cat raw"}, output_limit_bytes=1000)
    assert result.saved_to is not None
    assert (here / result.saved_to).read_bytes() == raw
    assert len(result.output.encode()) < 1150
    assert "\0" not in result.output


async def test_binary_output_that_grows_by_being_made_readable_is_cut(call: Call) -> None:
    result = await call(SHELL, {"command": "head -c 900 /dev/zero"}, output_limit_bytes=1000)
    assert len(result.output.encode()) < 1150
    assert result.saved_to is not None


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_tiny_limits(call: Call, limit: int) -> None:
    result = await call(SHELL, {"command": "seq 1 1000"}, output_limit_bytes=limit)
    assert "left out" in result.output
    assert len(result.output) < limit + 200


@pytest.mark.parametrize("trap", ["ln -s / .kubiya", "touch .kubiya", "mkdir .kubiya; ln -s /tmp .kubiya/outputs",
                                  "mkdir -p .kubiya/outputs/call-1.txt/x"])  # fmt: skip
async def test_output_that_cannot_be_kept_is_still_shown(call: Call, trap: str) -> None:
    result = await call(SHELL, {"command": f"{trap}; seq 1 20000"}, output_limit_bytes=1000)
    assert result.succeeded
    assert result.saved_to is None
    assert "the whole could not be kept: " in result.output
    assert result.output.startswith("1\n")
    assert result.output.endswith("20000\n")


async def test_too_much_output_is_stopped(call: Call, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setattr(calls, "WHOLE_OUTPUT_LIMIT_BYTES", 200_000)
    result = await call(SHELL, {"command": "yes"})
    assert not result.succeeded
    assert "was stopped" in (result.error or "")
    assert "the beginning of it is in .kubiya/outputs/call-1.txt" in result.output
    assert (here / ".kubiya/outputs/call-1.txt").stat().st_size == 200_000


@pytest.mark.parametrize("command", ["yes", "head -c 1000000000 /dev/zero | tr '\\0' x"])
def test_a_flood_of_output_is_bounded_in_memory(tmp_path: Path, command: str) -> None:
    with start_worker_like(tmp_path, command) as worker:
        said, _ = worker.communicate(timeout=60)
    result = json.loads(said)
    assert "It printed more than 50 MB and was stopped." in result["error"]
    assert (tmp_path / "execution" / result["saved_to"]).stat().st_size == 50 * 1024 * 1024
    assert len(result["output"]) < 30_200
    assert result["peak_grown_kb"] < 20_000


# Secrets

SECRET = "s3cr3t-Zx81-canary"


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add(SECRET)
    return redactor


async def test_a_secret_in_pieces_is_masked(call: Call, redactor: Redactor) -> None:
    slowly = f"for x in $(echo '{SECRET}' | sed 's/./& /g'); do printf %s $x; sleep 0.01; done"
    result = await call(SHELL, {"command": slowly}, mask=redactor.mask)
    assert result.output == "***"


@pytest.mark.parametrize("line_end", ["\n", " "])
async def test_no_secret_is_left_in_long_output(
    call: Call, here: Path, redactor: Redactor, line_end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every distance from the reads' and the pieces' edges, at the cuts, and in the saved file."""
    (here / "many").write_text("".join(f"{'.' * (number % 97)}{SECRET}{line_end}" for number in range(12_000)))
    result = await call(SHELL, {"command": "cat many"}, mask=redactor.mask, output_limit_bytes=2000)
    assert result.saved_to is not None
    saved = (here / result.saved_to).read_text()
    assert saved.count("***") == 12_000
    for text in (saved, result.output):
        assert "canary" not in text
        assert "s3cr3t" not in text


async def test_error_texts_are_free_of_secrets(call: Call, redactor: Redactor) -> None:
    result = await call(SHELL, {"command": f"echo {SECRET} >&2; exit 1"}, mask=redactor.mask)
    assert SECRET not in result.output + (result.error or "")


# Environment


async def test_the_environment_holds_what_was_declared_and_none_of_the_workers_keys(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KUBIYA_API_KEY", "LITELLM_API_KEY", "SOME_OTHER_THING"):
        monkeypatch.setenv(name, "canary-value")
    command = "env; set; export -p; tr '\\0' '\\n' </proc/self/environ 2>/dev/null; true"
    declared = {"DECLARED": "seen", "KUBIYA_API_KEY": "canary-value", "LD_PRELOAD": "canary-value"}
    result = await call(SHELL, {"command": command}, environment=declared, output_limit_bytes=10**6)
    assert "DECLARED=seen" in result.output
    assert "canary-value" not in result.output


@pytest.mark.parametrize("declared", [{"A\0": "x"}, {"A": "\0"}, {"": "x"}, {"A=": "x"}, {"A": "\ud800"}])
async def test_impossible_variables_do_no_harm(call: Call, declared: dict[str, str]) -> None:
    assert (await call(SHELL, {"command": "true"}, environment=declared)).succeeded


@pytest.mark.parametrize("identifier", ["a\0b", "\ud800", "../../x", "", "x" * 10_000, "a b;c"])
async def test_ids_come_from_strangers(call: Call, here: Path, tmp_path: Path, identifier: str) -> None:
    workspace = Workspace.open(tmp_path / "workspaces", identifier)
    assert workspace.path.parent == here.parent
    result = await call(
        SHELL,
        {"command": "seq 1 10000"},
        execution_id=identifier,
        call_id=identifier,
        workspace=workspace,
        output_limit_bytes=100,
    )
    assert result.succeeded
    assert result.saved_to is not None
    assert (workspace.path / result.saved_to).is_file()


# The guard rail


async def test_commands_that_are_not_allowed(call: Call, here: Path) -> None:
    only = ShellTool(allowed_commands=frozenset({"ls", "echo", "wc"}))
    assert (await call(only, {"command": "ls -la 2>&1 | wc -l; echo ${HOME} >/dev/null"})).succeeded
    result = await call(only, {"command": "echo $(touch x)"})
    assert result.error == "The command 'touch' is not among those that the skill allows: echo, ls, wc."
    blocked = ShellTool(blocked_commands=frozenset({"touch"}))
    result = await call(blocked, {"command": "true && /usr/bin/touch x"})
    assert result.error == "The command 'touch' is blocked by the skill's configuration."
    assert not list(here.iterdir())


def test_what_the_model_is_told() -> None:
    told = ShellTool(
        timeout=timedelta(seconds=90),
        allowed_commands=frozenset({"b", "a"}),
        blocked_commands=frozenset({"c"}),
        guidelines="Be kind.",
        shell=("/usr/bin/zsh", "-c"),
    ).spec.description
    for part in ("with zsh", "after 90 s", "Allowed commands: a, b.", "Blocked commands: c.", "Be kind."):
        assert part in told
    assert default_shell()[0] in {"/bin/sh", *subprocess.getoutput("which -a bash").split()}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_no_descriptor_of_the_worker_is_inherited(call: Call, here: Path) -> None:
    with (here / "held").open("w") as held:
        os.set_inheritable(held.fileno(), True)  # even so
        result = await call(SHELL, {"command": "ls -l /proc/self/fd"})
    assert "held" not in result.output
