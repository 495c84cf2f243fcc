"""What the tools bring into a process: little, and nothing of Temporal, so that they can be used anywhere."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import worker_core

PACKAGE = Path(worker_core.__file__).parent
HEAVY = {
    "openai", "temporalio", "httpx2", "rich", "click", "keyring", "starlette", "uvicorn", "sqlite3", "psutil", "ctypes",
    "PySide6", "qasync", "multiprocessing", "pydantic",
}  # fmt: skip

IN_THE_WORKER = {
    "web.py": {"worker_core.network.http"},
    "slack.py": {"worker_core.network.http", "worker_core.control_plane.errors"},
    "knowledge.py": {"worker_core.control_plane.errors"},
}
"""Tools that start no process; they talk HTTP themselves, or ask the control plane through their context."""


def test_tools_and_sandbox_know_nothing_of_temporal_or_windows() -> None:
    for file in [*(PACKAGE / "tools").rglob("*.py"), *(PACKAGE / "sandbox").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom)
                else []
            )  # fmt: skip
            for name in names:
                assert name.partition(".")[0] not in {"temporalio", "PySide6", "qasync"}, file
                if name not in IN_THE_WORKER.get(file.name, ()):
                    assert not name.startswith(("worker_core.agents", "worker_core.control_plane")), file


def test_the_registry_is_cheap_to_import() -> None:
    code = "import json, sys, worker_core.tools.registry; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert not {name.partition(".")[0] for name in modules} & HEAVY


def test_the_file_program_needs_next_to_nothing() -> None:
    code = "import sys, files_child; print(len(sys.modules), *sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=PACKAGE / "sandbox", capture_output=True, text=True, check=True
    )
    count, *names = done.stdout.split()
    assert int(count) < 80
    assert not {"asyncio", "subprocess", "pathlib", "typing", "worker_core", "msgspec"} & set(names)
