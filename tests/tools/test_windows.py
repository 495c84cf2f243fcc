"""What tools do on Windows, by functions that are told of the system: the tests run there too."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.conftest import Call
from worker_core.sandbox import files_child
from worker_core.sandbox.environment import tool_environment
from worker_core.tools import powershell, report, shell
from worker_core.tools.code_page import in_utf8
from worker_core.tools.exit_codes import how_it_ended
from worker_core.tools.files import FileTool
from worker_core.tools.powershell import default_powershell, framed, is_powershell
from worker_core.tools.python import PythonTool
from worker_core.tools.report import not_started
from worker_core.tools.shell import LONGEST_LINE_OF_WINDOWS, ShellTool

POSIX = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell stands in, or signals have names")
POWERSHELL = ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command"]


# --- output


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("gr\u00fcn \u20ac\n".encode(), "gr\u00fcn \u20ac\n"),
        ("gr\u00fcn\n".encode("cp850"), "gr\u00fcn\n"),
        ("\u20ac\n".encode() + "\u00fc\n".encode("cp850") + b"end", "\u20ac\n\u00fc\nend"),
        (b"", ""),
    ],
)
def test_output_in_the_code_page_is_text(output: bytes, text: str) -> None:
    assert b"".join(in_utf8([output], code_page="cp850")).decode() == text


def test_what_holds_a_nul_is_no_text_and_stays_as_it_is() -> None:
    assert (
        b"".join(in_utf8([b"\x00\xfc\xff\n", b"\xfc\n"], code_page="cp850")) == b"\x00\xfc\xff\n" + "\u00b3\n".encode()
    )


@given(st.lists(st.text(st.sampled_from("a\u00fc\u20ac\U0001f600\n")), max_size=20), st.data())
def test_pieces_of_any_size_say_the_same(lines: list[str], data: st.DataObject) -> None:
    whole = "".join(lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in itertools.pairwise([0, *cuts, len(whole)])]
    assert b"".join(in_utf8(pieces, code_page="cp850")) == whole


def test_a_line_that_never_ends_is_held_in_part() -> None:
    line = "\u20ac" * 100_000
    given_ = [line.encode()[at : at + 1000] for at in range(0, 300_000, 1000)]
    taken = 0

    def pieces() -> Any:
        nonlocal taken
        for taken, piece in enumerate(given_, 1):  # noqa: B007
            yield piece

    said = in_utf8(pieces(), code_page="cp850")
    first = next(said)
    assert taken <= 80
    assert (first + b"".join(said)).decode() == line


@POSIX
async def test_the_model_reads_and_finds_it_as_text(call: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "CODE_PAGE", "cp850")
    (here / "out").write_bytes("gr\u00fcn\r\n".encode("cp850") * 400)
    result = await call(ShellTool(), {"command": "cat out"}, output_limit_bytes=100)
    assert result.output.startswith("gr\u00fcn\ngr\u00fcn\n"), "and its lines end as everywhere"
    assert result.saved_to is not None
    assert (here / result.saved_to).read_text(encoding="utf-8").startswith("gr\u00fcn\n")


def test_python_in_a_tool_speaks_utf8_there() -> None:
    """Python's documentation of `PYTHONUTF8`: into a pipe it would else be the ANSI code page."""
    assert tool_environment({}, call_mark="c", inherited={}, platform="linux").keys() == {"KUBIYA_TOOL_CALL"}
    given_ = tool_environment({"PYTHONUTF8": "0"}, call_mark="c", inherited={}, platform="win32")
    assert (given_["PYTHONUTF8"], given_["PYTHONIOENCODING"]) == ("0", "utf-8"), "what is declared wins"


# --- PowerShell


def test_a_line_of_powershell_is_framed_and_nothing_else() -> None:
    [*before, line] = framed([*POWERSHELL, "echo 'x' # said"])
    assert before == POWERSHELL
    first, last = line.split("\n")
    assert first.startswith("[Console]::OutputEncoding=[Text.UTF8Encoding]::new();")
    assert first.endswith(";echo 'x' # said")
    assert last == "exit $(if ($?) {0} elseif ($LASTEXITCODE) {$LASTEXITCODE} else {1})"
    for argv in (["bash", "-c", "x"], [sys.executable, "-c", "x"], ["pwsh", "-File", "x.ps1"], ["pwsh"]):
        assert framed(argv) == argv
    assert is_powershell([r"C:\Program Files\PowerShell\7\pwsh.exe", "-c", "x"])


def test_powershell_7_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(powershell.shutil, "which", lambda name: None)
    assert default_powershell() == tuple(POWERSHELL)
    monkeypatch.setattr(powershell.shutil, "which", lambda name: rf"C:\P\{name}.exe")
    assert default_powershell() == (r"C:\P\pwsh.exe", *POWERSHELL[1:])


@POSIX
async def test_what_is_decided_about_is_the_line_alone(call: Call, here: Path) -> None:
    program = here / "pwsh"
    program.write_text('#!/bin/sh\nprintf "%s" "$4"\n')
    program.chmod(0o755)
    tool = ShellTool(shell=(str(program), *POWERSHELL[1:]))
    assert tool._argv(shell.ShellArguments(command="dir"))[-1] == "dir"
    assert "dir\nexit $(" in (await call(tool, {"command": "dir"})).output


def test_a_line_that_windows_cannot_start_is_named_before() -> None:
    """Of `CreateProcess`: 32 767 characters, with the quotes that Python puts around words."""
    said = shell._too_long([*POWERSHELL, "x" * (LONGEST_LINE_OF_WINDOWS + 1)], platform="win32")
    assert said == "30719 characters"
    assert not shell._too_long([*POWERSHELL, "x" * 30_000], platform="win32")
    assert shell._too_long([*POWERSHELL, '"' * 16_000], platform="win32"), "each of them is written as two"
    error = OSError(2, "The filename or extension is too long")
    error.winerror = 206  # type: ignore[attr-defined, unused-ignore]
    assert "too long for the system" in not_started(error)


# --- exit codes


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (0, None),
        (3, "It exited with code 3."),
        (130, "It exited with code 130."),
        (0xC0000005, "It crashed with code 0xC0000005 (it used memory that is not its own)."),
        (0xC0000022, "It crashed with code 0xC0000022."),
    ],
)
def test_exit_codes_of_windows(code: int, sentence: str | None) -> None:
    """Of Microsoft's "NTSTATUS Values"; there are no signals."""
    assert how_it_ended(code, platform="win32") == sentence


@POSIX
def test_exit_codes_elsewhere() -> None:
    assert how_it_ended(130, platform="linux") == "It exited with code 130: that is how shells report SIGINT."
    assert (
        how_it_ended(-9, platform="linux") == "It was ended by signal SIGKILL (out of memory, or killed by somebody)."
    )


# --- files


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
async def test_a_file_in_utf_16_is_text(call: Call, here: Path, coding: str) -> None:
    """What `>` of PowerShell 5.1 writes (Microsoft's documentation of `about_Character_Encoding`)."""
    (here / "out.txt").write_bytes("\ufeffgr\u00fcn\r\nrot\r\n".encode(coding))
    assert (await call(FileTool(name="read_file"), {"path": "out.txt"})).output == "gr\u00fcn\r\nrot\r\n"
    found = await call(FileTool(name="search_files"), {"pattern": "\u00fcn$"})
    assert found.output == "out.txt:1: gr\u00fcn"
    edited = await call(FileTool(name="edit_file"), {"path": "out.txt", "old_text": "rot\n", "new_text": "\u20ac\n"})
    assert edited.succeeded, edited
    assert (here / "out.txt").read_bytes() == "\ufeffgr\u00fcn\r\n\u20ac\r\n".encode(coding)


async def test_what_only_begins_like_utf_16_is_binary(call: Call, here: Path) -> None:
    for content in (b"\xff\xfe\x00\xd8", b"\xff\xfea\x00\x00\x00", b"\xff\xfe\x00"):
        (here / "x").write_bytes(content)
        assert "is a binary file" in ((await call(FileTool(name="read_file"), {"path": "x"})).error or "")


def asked(operation: str, root: Path, **arguments: Any) -> dict[str, Any]:
    request = {"root": str(root), "roots": [[str(root), True]], "operation": operation, "arguments": arguments}
    return files_child.answer({**request, "seconds": 5})


def test_a_folder_is_called_one_where_it_cannot_be_opened(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, `_wopen` of a folder fails with EACCES (Microsoft's documentation of `_open`)."""
    (here / "sub").mkdir()
    real = os.open

    def refuses_folders(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if path == "sub":
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", refuses_folders)
    assert asked("read_file", here, path="sub")["error"] == "'sub' is a folder."


def test_a_name_that_is_too_long_is_not_said_to_be_missing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ERROR_PATH_NOT_FOUND and ERROR_INVALID_NAME of Windows are ENOENT for Python."""

    def refuses(*_: Any, **__: Any) -> int:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(files_child, "open_text", refuses)
    assert "a name in it is too long" in asked("read_file", here, path="n" * 256)["error"]
    assert asked("read_file", here, path="n")["error"] == "There is no 'n' in the workspace."


def test_names_that_windows_keeps_for_itself_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_child.os, "name", "nt")
    try:
        said = asked("write_file", here, path="sub/aux.txt", content="x")["error"]
    finally:
        monkeypatch.undo()
    assert "holds a name that Windows keeps for itself" in said
    assert list(here.iterdir()) == []


async def test_the_python_tool_needs_no_variable_for_it(call: Call) -> None:
    result = await call(PythonTool(), {"code": "print('\u20ac \U0001f600')"})
    assert result.output == "\u20ac \U0001f600\n"
