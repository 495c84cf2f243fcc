"""What is different in a frozen program."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.imports import loaded_by
from worker_core import bundle
from worker_core.sandbox.interpreter import interpreter_folders, interpreter_path


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path / "_internal"), raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "kubiya-worker"))
    return tmp_path


def test_the_users_environment_is_given_back(frozen: Path) -> None:
    environment = {
        "LD_LIBRARY_PATH": f"{frozen}/_internal:/users",
        "LD_LIBRARY_PATH_ORIG": "/users",
        "DYLD_LIBRARY_PATH": f"{frozen}/_internal",
        "_PYI_APPLICATION_HOME_DIR": str(frozen),
        "PATH": "/usr/bin",
    }
    bundle.restore_environment(environment)
    assert environment == {"LD_LIBRARY_PATH": "/users", "PATH": "/usr/bin"}


def test_a_frozen_program_notices_that_another_stands_in_its_place(tmp_path: Path) -> None:
    """As an installer does it: the new file is made beside the old one, and takes its name."""
    program = tmp_path / "kubiya-worker"
    program.write_text("old")
    code = """
import os, sys
sys.frozen, sys.executable = True, sys.argv[1]
from worker_core import bundle
print(bundle.was_replaced())
with open(sys.argv[1] + ".new", "w") as file:
    file.write("new")
os.replace(sys.argv[1] + ".new", sys.argv[1])
print(bundle.was_replaced())
os.unlink(sys.argv[1])
print(bundle.was_replaced())
"""
    done = subprocess.run([sys.executable, "-c", code, program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


def test_unfrozen_nothing_is_touched() -> None:
    environment = {"LD_LIBRARY_PATH": "/users", "LD_LIBRARY_PATH_ORIG": "/other"}
    bundle.restore_environment(environment)
    assert environment == {"LD_LIBRARY_PATH": "/users", "LD_LIBRARY_PATH_ORIG": "/other"}


def test_children_run_in_the_bundles_python(frozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert interpreter_path() is None
    bundle.python().write_text("")
    assert interpreter_path() == str(bundle.python())
    assert interpreter_folders() == [frozen.resolve()], "the sandbox shows it"


def test_of_a_program_that_is_there_several_times_the_nearest_is_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("beside", "scripts", "path")]
    monkeypatch.setattr(sys, "executable", str(folders[0] / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name, scheme: str(folders[1]))
    monkeypatch.setenv("PATH", str(folders[2]))
    assert bundle.program("tray") is None
    for folder in reversed(folders):
        folder.mkdir()
        (folder / "tray").touch(mode=0o755)
        assert bundle.program("tray") == folder / "tray"


def python(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from worker_core.frozen_python import main; main()", *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)


def test_it_understands_what_the_worker_asks(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint(sys.argv, __name__, __file__ == sys.argv[0])", encoding="utf-8")
    assert python("-I", "-S", str(script), "-x").stdout == f"['{script}', '-x'] __main__ True\n"
    code = "import sys; print(sys.argv, sys.stdin.read(), 'ü')"
    assert python("-I", "-u", "-X", "utf8", "-c", code, "a", given="in").stdout == "['-c', 'a'] in ü\n"
    assert "NameError: name 'main' is not defined" in python("-c", "main").stderr
    assert python("-c", "raise SystemExit(4)").returncode == 4


def _asked() -> set[tuple[str, ...]]:
    """The options with which the source starts an interpreter: what stands behind it and before its program."""
    found = set()
    for file in (Path(bundle.__file__).parent).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            words = [getattr(one, "value", None) for one in node.elts] if isinstance(node, ast.List) else []
            if "-I" in words[1:]:
                options = list(itertools.takewhile(lambda one: isinstance(one, str), words[words.index("-I") :]))
                found.add(tuple(options[: options.index("-c")] if "-c" in options else options))
    return found


def test_it_understands_every_option_that_the_source_gives_it() -> None:
    asked = _asked()
    assert len(asked) >= 4
    for options in asked:
        done = python(*options, "-c", "import warnings; warnings.warn('x'); print('ran')")
        assert done.stdout == "ran\n", (options, done.stderr)
        assert ("UserWarning" in done.stderr) is not ("ignore" in options)


@pytest.mark.parametrize("arguments", [(), ("-c",), ("-m", "json"), ("--help",)])
def test_it_says_what_it_does_not_understand(arguments: tuple[str, ...]) -> None:
    done = python(*arguments)
    assert done.returncode == 1
    assert "usage: kubiya-python" in done.stderr


def test_a_program_beside_this_python_is_found_without_asking_what_this_python_is_made_of() -> None:
    own = Path(sys.executable).name.removesuffix(".exe")
    asked = f"from worker_core import bundle; assert bundle.program({own!r}) is not None"
    assert not (loaded_by(asked) - loaded_by("pass")) & {"sysconfig"}
