from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.tools.conftest import Call
from worker_core.tools.python import PythonTool

PYTHON = PythonTool()


async def test_a_program(call: Call, here: Path) -> None:
    (here / "mine.py").write_text("answer = 42")
    code = "import os, mine\nprint(os.getcwd(), mine.answer, __name__, 'ü€')"
    result = await call(PYTHON, {"code": code})
    assert (result.succeeded, result.output) == (True, f"{here} 42 __main__ ü€\n")


async def test_an_exception_shows_the_programs_lines_and_only_them(call: Call) -> None:
    result = await call(PYTHON, {"code": "def f():\n    return 1 / 0\n\nf()"})
    assert result.error == "It exited with code 1."
    lines = [line for line in result.output.splitlines() if line.strip("~^ ")]  # 3.13 marks more of a line than 3.11
    assert lines[:4] == [
        "Traceback (most recent call last):",
        '  File "<program>", line 4, in <module>',
        "    f()",
        '  File "<program>", line 2, in f',
    ]
    assert result.output.endswith("ZeroDivisionError: division by zero\n")


async def test_a_program_that_does_not_compile(call: Call) -> None:
    result = await call(PYTHON, {"code": "print(1"})
    assert result.output.startswith('  File "<program>", line 1\n    print(1\n')
    assert result.output.endswith("SyntaxError: '(' was never closed\n")


@pytest.mark.parametrize(
    ("code", "output", "exit_code"),
    [
        ("import sys; sys.exit(3)", "", 3),
        ("raise SystemExit('said')", "said\n", 1),
        ("print(input())", "EOFError", 1),
        ("import sys; print(repr(sys.stdin.read()))", "''\n", 0),
        ("import pickle\ndef f(): return 1\nprint(pickle.loads(pickle.dumps(f))())", "1\n", 0),
        ("import typing\nclass A: b: 'A'\nprint(typing.get_type_hints(A))", "{'b': <class '__main__.A'>}\n", 0),
        ("try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e", "direct cause", 1),
        ("raise ExceptionGroup('g', [ValueError('x')])", "ExceptionGroup: g", 1),
        ("print('x' * 5, flush=True); import os; os._exit(7)", "xxxxx\n", 7),
    ],
)
async def test_programs(call: Call, code: str, output: str, exit_code: int) -> None:
    result = await call(PYTHON, {"code": code})
    assert output in result.output
    assert result.metadata["exit_code"] == exit_code
    assert result.succeeded == (exit_code == 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "missing required field `code`"),
        ({"code": ""}, "length >= 1"),
        ({"code": 1}, "Expected `str`"),
        ({"code": "1", "file": "x"}, "unknown field `file`"),
        ({"code": "1", "timeout_seconds": 0}, "more than 0"),
        ({"code": "'\ud800'"}, "half of a character"),
    ],
)
async def test_wrong_arguments(call: Call, arguments: dict[str, Any], says: str) -> None:
    effects: list[int] = []
    result = await call(PYTHON, arguments, before_effect=lambda: effects.append(1))
    assert says in (result.error or "")
    assert not effects


async def test_a_nul_is_python_s_to_refuse(call: Call) -> None:
    result = await call(PYTHON, {"code": "print(1)\0"})
    assert not result.succeeded
    assert "null bytes" in result.output


async def test_a_long_program(call: Call) -> None:
    result = await call(PYTHON, {"code": f"x = '{'y' * 1_000_000}'\nprint(len(x))"})
    assert result.output == "1000000\n"


async def test_a_time_limit(call: Call) -> None:
    result = await call(PYTHON, {"code": "print(1)\nwhile True: pass", "timeout_seconds": 0.5})
    assert "It did not end within 0.5 s" in (result.error or "")
    assert result.output in ("1\n", "")


async def test_output_that_is_cut(call: Call, here: Path) -> None:
    result = await call(PYTHON, {"code": "print('x' * 100_000)"}, output_limit_bytes=1000)
    assert result.saved_to is not None
    assert (here / result.saved_to).stat().st_size == 100_001


async def test_the_environment(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_API_KEY", "canary-value")
    code = "import os; print(os.environ)"
    result = await call(PYTHON, {"code": code}, environment={"DECLARED": "seen", "PYTHONPATH": "/canary-value"})
    assert "'DECLARED': 'seen'" in result.output
    assert "canary-value" not in result.output


async def test_imports_that_are_not_allowed(call: Call) -> None:
    only = PythonTool(allowed_imports=("json", "os"))
    assert (await call(only, {"code": "import json, os.path; from json import dumps; print(dumps(1))"})).succeeded
    # What an allowed module needs itself is not looked at.
    assert (await call(PythonTool(allowed_imports=("csv",)), {"code": "import csv"})).succeeded
    for code in ("import socket", "from socket import socket", "def f():\n    import socket\nf()"):
        result = await call(only, {"code": code})
        assert "ImportError: the skill's configuration does not allow to import socket" in result.output
    blocked = PythonTool(blocked_imports=("socket",))
    assert "does not allow" in (await call(blocked, {"code": "import socket"})).output
    assert (await call(blocked, {"code": "import json"})).succeeded


def test_what_the_model_is_told() -> None:
    tool = PythonTool(timeout=timedelta(seconds=7), allowed_imports=("json",), blocked_imports=("os",))
    for part in ("after 7 s", "It may import: json.", "It may not import: os."):
        assert part in tool.spec.description


async def test_no_interpreter(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = await call(PYTHON, {"code": "1"})
    assert result.error == "There is no Python interpreter on this machine."
