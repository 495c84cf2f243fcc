"""The tools inside the real sandbox. All of their tests run there with KUBIYA_TEST_SANDBOX=1."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.walls import bubblewrap, needs_bubblewrap, needs_landlock, without_namespaces
from tests.tools.conftest import Call
from worker_core.sandbox.launcher import Launcher
from worker_core.sandbox.limits import Limits
from worker_core.tools.files import FileTool
from worker_core.tools.python import PythonTool
from worker_core.tools.shell import ShellTool


@pytest.fixture(
    params=[pytest.param("bubblewrap", marks=needs_bubblewrap), pytest.param("landlock", marks=needs_landlock)]
)
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Launcher:
    make = bubblewrap if request.param == "bubblewrap" else without_namespaces
    return make(tmp_path / "walls", limits=Limits(file_bytes=1024 * 1024))


async def test_shell(call: Call, here: Path) -> None:
    result = await call(ShellTool(), {"command": "pwd; echo text >file; ls -A ~ | wc -l"})
    assert result.output == f"{here}\n0\n"
    assert (here / "file").read_text() == "text\n"


async def test_python(call: Call, here: Path) -> None:
    result = await call(
        PythonTool(), {"code": "import msgspec, pathlib; pathlib.Path('x').write_text('y'); print(6 * 7)"}
    )
    assert (result.succeeded, result.output) == (True, "42\n")
    assert (here / "x").read_text() == "y"


async def test_files(call: Call, here: Path) -> None:
    assert (await call(FileTool(name="write_file"), {"path": "a/b.txt", "content": "one\ntwo\n"})).succeeded
    edit = {"path": "a/b.txt", "old_text": "two", "new_text": "three"}
    assert (await call(FileTool(name="edit_file"), edit)).succeeded
    assert "three" in (await call(FileTool(name="read_file"), {"path": "a/b.txt"})).output
    assert "b.txt" in (await call(FileTool(name="list_files"), {"path": "a"})).output
    assert "b.txt:2" in (await call(FileTool(name="search_files"), {"pattern": "thr.e"})).output


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("exit 3", "It exited with code 3."),
        ("kill -SEGV $$", "It exited with code 139: that is how shells report SIGSEGV."),
        (
            "head -c 5M /dev/zero >big",
            "It exited with code 153: that is how shells report SIGXFSZ (it wrote a file larger than is allowed).",
        ),
    ],
)
async def test_what_the_model_reads(call: Call, command: str, error: str) -> None:
    assert (await call(ShellTool(), {"command": command})).error == error
