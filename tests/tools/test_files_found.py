"""Files that are listed and searched."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.tools.conftest import Call
from worker_core.sandbox import files_child
from worker_core.tools.files import FileTool

LIST, SEARCH = (FileTool(name=name) for name in ("list_files", "search_files"))
posix = pytest.mark.skipif(os.name == "nt", reason="links, modes or devices of POSIX")


async def test_list(call: Call, here: Path) -> None:
    for name in ("b/c.py", "a.py", "b/d.txt", ".git/config", "node_modules/x"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(b"12345")
    assert (await call(LIST, {})).output == ".git/\na.py (5 bytes)\nb/\nnode_modules/"
    assert (await call(LIST, {"recursive": True})).output == (
        ".git/\na.py (5 bytes)\nb/\nnode_modules/\nb/c.py (5 bytes)\nb/d.txt (5 bytes)"
    )
    assert (await call(LIST, {"recursive": True, "pattern": "*.py"})).output == "a.py (5 bytes)\nb/c.py (5 bytes)"
    assert (await call(LIST, {"path": "b", "pattern": "b/d*"})).output == "b/d.txt (5 bytes)"
    assert (await call(LIST, {"pattern": "nothing"})).output == "(nothing)"
    assert (await call(LIST, {"path": "a.py"})).error == "'a.py' is not a folder."
    assert (await call(LIST, {"path": "none"})).error == "There is no 'none' in the workspace."


async def test_a_folder_of_very_many_files(call: Call, here: Path) -> None:
    for number in range(2100):
        (here / f"{number:04}").touch()
    result = await call(LIST, {})
    assert result.output.startswith("0000 (0 bytes)\n")
    assert "0999 (0 bytes)" in result.output or result.saved_to
    assert result.output.endswith("[... more than 2000 entries; ask for a folder or a pattern ...]")


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows have no such names")
async def test_names_that_are_no_text(call: Call, here: Path) -> None:
    (here / os.fsdecode(b"bad-\xff")).write_bytes(b"find me")
    assert (await call(LIST, {})).output == "bad-? (7 bytes)"
    assert (await call(SEARCH, {"pattern": "find"})).output == "bad-?:1: find me"


async def test_search(call: Call, here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub/a.py").write_bytes(b"one\r\ntwo Two\x0cx\nthree")
    (here / "b.txt").write_bytes(b"two")
    (here / "binary").write_bytes(b"two\0")
    assert (await call(SEARCH, {"pattern": "two"})).output == "b.txt:1: two\nsub/a.py:2: two Two\ufffdx".replace(
        "\ufffd", "\x0c"
    )
    assert (await call(SEARCH, {"pattern": "(?i)TWO$"})).output == "b.txt:1: two"
    assert (await call(SEARCH, {"pattern": "^one$", "glob": "*.py"})).output == "sub/a.py:1: one"
    assert (await call(SEARCH, {"pattern": "two", "path": "sub"})).output.startswith("sub/a.py:2:")
    assert (await call(SEARCH, {"pattern": "three", "path": "sub/a.py"})).output == "sub/a.py:3: three"
    assert (await call(SEARCH, {"pattern": "zzz"})).output == "(no match)"
    assert (await call(SEARCH, {"pattern": "x", "path": "none"})).error == "There is no 'none' in the workspace."
    assert "binary file" in ((await call(SEARCH, {"pattern": "x", "path": "binary"})).error or "")


@pytest.mark.parametrize("pattern", ["(", "[", "*", "a{99999999999999}", "(?P<", "\\"])
async def test_patterns_that_are_none(call: Call, pattern: str) -> None:
    result = await call(SEARCH, {"pattern": pattern})
    assert "not a valid regular expression" in (result.error or "")


async def test_a_warning_about_a_pattern_is_no_trouble(call: Call, here: Path) -> None:
    (here / "f").write_bytes(b"[a]")
    assert (await call(SEARCH, {"pattern": "[[a]"})).output == "f:1: [a]"


async def test_a_pattern_that_never_ends_is_stopped(call: Call, here: Path) -> None:
    (here / "f").write_bytes(("a" * 60).encode())
    result = await call(SEARCH, {"pattern": "(a+)+$b"}, timeout=timedelta(seconds=0.5))
    assert result.error == (
        "It did not end within 0.5 s and was stopped. Use a simpler pattern, or search in fewer files."
    )


def test_a_search_that_takes_too_long_answers_with_what_it_has(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "f").write_bytes(("x\n" * 10).encode())
    clock = iter(range(100))
    monkeypatch.setattr("worker_core.sandbox.files_child.time.monotonic", lambda: next(clock))
    arguments = {"pattern": "x", "path": "."}
    request = {"root": str(here), "roots": [[str(here), True]], "operation": "search_files", "arguments": arguments}
    answer = files_child.answer({**request, "seconds": 3})
    assert len(answer["matches"]) == 4  # type: ignore[arg-type]
    assert answer["output"] == "[... stopped at f, time is over; narrow the search ...]"


async def test_very_many_matches(call: Call, here: Path) -> None:
    (here / "f").write_bytes(("x\n" * 10_000).encode())
    result = await call(SEARCH, {"pattern": "x"})
    assert result.output.count("\n") == 500
    assert result.output.endswith("f:500: x\n[... there are more matches; narrow the search ...]")


async def test_of_a_long_line_the_part_with_the_match_is_shown(call: Call, here: Path) -> None:
    (here / "f").write_bytes((f"{'x' * 200_000} needle {'y' * 200_000}").encode())
    (here / "g").write_bytes((f"{'z' * 1000} needle").encode())
    (here / "h").write_bytes((f"needle {'z' * 1000}").encode())
    output = (await call(SEARCH, {"pattern": "needle"})).output.splitlines()
    assert len(output) == 3
    for line in output:
        assert "needle" in line
        assert len(line) < 520
    assert output[0].startswith("f:1: ...xx")
    assert output[0].endswith("yy...")
    assert output[1].endswith(" needle")
    assert output[2].startswith("h:1: needle")


async def test_many_long_lines_are_bounded(call: Call, here: Path) -> None:
    (here / "f").write_bytes((f"{'é' * 40_000}needle{'é' * 40_000}\n" * 200).encode())
    result = await call(SEARCH, {"pattern": "needle"})
    assert result.succeeded
    assert "there are more matches" in result.output
