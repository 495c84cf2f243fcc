"""`desktop` draws what `worker_core` publishes; `worker_core` knows no window."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imports import ROOT, loaded_by

WINDOWS = {"PySide6", "shiboken6", "qasync", "desktop"}
HEAVY = {
    "anthropic",
    "click",
    "email",
    "http",
    "httpx2",
    "keyring",
    "mcp",
    "openai",
    "pydantic",
    "PySide6",
    "rich",
    "sqlite3",
    "starlette",
    "urllib.request",
    "uvicorn",
    "zipfile",
}
"""Nothing of this is needed before polling begins (`worker_core.engine.engine` is what a start imports)."""

LATE = {
    "agents.activities.steps",
    "checks",
    "claude.program",
    "mcp.configuration",
    "mcp.offering",
    "mcp.session",
    "model.gateway",
    "playground",
    "policy.lines",
    "policy.subjects",
    "sandbox.call",
    "sandbox.processes.process",
    "sandbox.spares",
    "tools.registry",
}
"""Rooms and files that come with the first execution, of what is heavy in them."""

FILES_AT_START = 200
"""Of ours, so that a worker which waits stays small: whoever needs more looks first whether it is needed so early."""

MODULES_AT_START = 510
"""Of ours and of all packages, without Python's own; 540 before httpx2 was left to its first client."""

METHODS_AT_START = 140
"""Written and compiled while modules are imported; 1931 where the standard library makes all dataclasses."""

STATEMENT = "`desktop` draws what `worker_core` publishes; `worker_core` knows no window."


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("file", sorted((ROOT / "worker_core").rglob("*.py")), ids=lambda file: file.stem)
def test_worker_core_knows_no_window(file: Path) -> None:
    assert not imports_of(file) & WINDOWS


def test_the_architecture_is_said_where_people_look() -> None:
    assert STATEMENT in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").replace("\n", " ")


def test_nothing_heavy_is_imported_before_polling_begins() -> None:
    assert loaded_by("import worker_core.engine.engine") & HEAVY == set()


def test_settings_are_read_without_what_only_a_running_worker_needs() -> None:
    """Each command reads them."""
    assert not loaded_by("import worker_core.settings") & {"msgspec", "email", "httpx2", "psutil", "temporalio"}


def test_what_executions_need_comes_with_the_first_one() -> None:
    loaded = loaded_by("import worker_core.cli.start, worker_core.cli.foreground")
    ours = {name.removeprefix("worker_core.") for name in loaded if name.startswith("worker_core.")}
    assert ours & LATE == set()
    assert len(ours) <= FILES_AT_START
    assert sum(name.partition(".")[0] not in sys.stdlib_module_names for name in loaded) <= MODULES_AT_START


def test_methods_are_not_written_while_modules_are_imported() -> None:
    program = (
        "import sys; texts = []\n"
        "sys.addaudithook(lambda event, said: texts.append(said) if event == 'compile' else None)\n"
        "import worker_core.cli.start, worker_core.cli.foreground\n"
        # Since 3.13 the standard library compiles a frame around its methods even where it writes none.
        "methods = [text.replace(b'def __create_fn__', b'') for text, file in texts if file == '<string>']\n"
        "print(sum(b'def ' in text for text in methods))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) <= METHODS_AT_START


def test_what_the_sdk_has_and_a_worker_never_sends_is_read_when_somebody_looks() -> None:
    unused = "import worker_core.engine.engine"
    assert not {name for name in loaded_by(unused) if name.startswith("temporalio.api.cloud.usage")}
    looked = "import temporalio.api.cloud.cloudservice.v1 as cloud; assert cloud.GetUsersRequest"
    assert "temporalio.api.cloud.usage" in loaded_by(f"{unused}; {looked}")
    assert {f"worker_core.{name}" for name in LATE} <= modules().keys(), "a file of the list is gone"


@pytest.mark.parametrize("package", ["worker_core.tools.registry", "worker_core.sandbox.call"])
def test_tools_and_sandbox_know_nothing_of_temporal(package: str) -> None:
    assert not {name for name in loaded_by(f"import {package}") if name.startswith("temporalio")}


def modules() -> dict[str, Path]:
    found = {}
    for package in ("worker_core", "desktop"):
        for file in (ROOT / package).rglob("*.py"):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Packages too, late imports too, those for types too."""
    files = modules()
    graph: dict[str, set[str]] = {name: set() for name in files}
    for name, file in files.items():
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.ImportFrom) and node.module:
                wanted = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= {one if one in files else node.module for one in wanted} & files.keys()
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & files.keys()
    assert tuple(graphlib.TopologicalSorter(graph).static_order())


def test_layers_have_no_exceptions() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert {one["id"] for one in contracts} >= {"worker-rooms", "worker-files", "workflows", "desktop-rooms"}
    assert not [one["id"] for one in contracts if any(name.startswith("ignore") for name in one)]


def test_the_architecture_names_every_room_with_its_layer() -> None:
    rows = re.findall(
        r"^\| (\w+) \| `worker_core/([a-z_]+)/", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    rooms = {folder.name for folder in (ROOT / "worker_core").iterdir() if (folder / "__init__.py").exists()}
    assert {room for _, room in rows} == rooms
    layers = ["face", "assembly", "meaning", "mechanism", "leaf"]
    assert [layers.index(layer) for layer, _ in rows] == sorted(layers.index(layer) for layer, _ in rows)


REPLAYED = sorted((ROOT / "worker_core/agents").glob("*.py")) + sorted(
    (ROOT / "worker_core/agents/workflows").glob("*.py")
)
REPLAYABLE = {"CancelledError", "Task", "create_task", "current_task", "gather", "shield"}
"""Of asyncio: what does the same at each replay on Temporal's loop."""


@pytest.mark.parametrize("file", REPLAYED, ids=lambda file: file.stem)
def test_what_is_replayed_asks_nothing_of_this_machine(file: Path) -> None:
    """Beside the contract of its imports: no subprocess of asyncio, no clock, no file."""
    tree = parsed(file)
    used = {(ast.unparse(node.value), node.attr) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for of, name in used if of == "asyncio"} <= REPLAYABLE
    assert not {(of, name) for of, name in used if of == "datetime" and name in {"now", "utcnow", "today"}}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"open", "input", "print"}


@pytest.mark.parametrize("package", ["worker_core", "desktop"])
def test_values_of_a_type_are_made_in_one_place(package: str) -> None:
    """`basics/typed_json.py` says what happens otherwise."""
    asking = {
        str(file.relative_to(ROOT))
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call)
        and re.search(r"\bmsgspec\.(\w+\.)?(convert|decode|Decoder)$", ast.unparse(node.func))
        and (ast.unparse(node.func).endswith(("convert", "Decoder")) or len(node.args) + len(node.keywords) > 1)
    }
    assert asking <= {"worker_core/basics/typed_json.py"}


def test_files_end_where_the_idea_ends() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for package in ("worker_core", "desktop")
        for file in (ROOT / package).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 500} == {}


NESTING = {"exec", "exec_", "getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"} | {
    f"QMessageBox.{name}" for name in ("information", "warning", "critical", "question", "about")
}
"""Calls that run an event loop inside the event loop: tasks that should run meanwhile never run again."""


@pytest.mark.parametrize("file", sorted((ROOT / "desktop").rglob("*.py")), ids=lambda file: file.stem)
def test_no_dialog_nests_the_event_loop(file: Path) -> None:
    called = {
        ast.unparse(node.func)
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not {name for name in called if name in NESTING or name.rpartition(".")[2] in NESTING}


def _tooltips(tree: ast.AST) -> Iterator[ast.expr]:
    """What tooltips are made of: given to widgets, and answered by models."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setToolTip":
            yield node.args[0]
        elif isinstance(node, ast.If) and "ToolTipRole" in ast.unparse(node.test):
            yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None)


def test_tooltips_are_plain_text() -> None:
    """Qt takes a tooltip that looks like HTML for HTML, and reads the files that it names."""
    found = {
        f"{file.relative_to(ROOT)}: {ast.unparse(text)}"
        for file in (ROOT / "desktop").rglob("*.py")
        for text in _tooltips(parsed(file))
        for part in ([text.body, text.orelse] if isinstance(text, ast.IfExp) else [text])
        if not (isinstance(part, ast.Call) and ast.unparse(part.func) == "tooltip_text")
        and not (isinstance(part, ast.Constant) and part.value == "")
    }
    of_the_tray = {"desktop/tray/view.py: tooltip(self._facts)", "desktop/tray/view.py: said"}
    assert found == of_the_tray, "the tray's own has no `<`: tests/desktop/tray/test_words.py"


def test_commands_print_through_the_one_function_that_filters() -> None:
    """A server's words must not move the cursor: `terminal.say`, or a console of `screen`."""
    ways_out = {"click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write", "Console"}
    found = {
        f"{file.name}: {ast.unparse(node.func)}"
        for file in (ROOT / "worker_core" / "cli").glob("*.py")
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ways_out
    }
    assert found == {"terminal.py: click.echo", "root.py: click.echo"}, "root.py: an empty line"


def test_the_worker_says_in_one_module_where_its_files_are() -> None:
    spelled = re.compile(r"\b_?(?:paths|where)\.(?:config|state|runtime|logs) / ")
    found = {
        str(file.relative_to(ROOT))
        for package in ("worker_core", "desktop")
        for file in (ROOT / package).rglob("*.py")
        if spelled.search(file.read_text(encoding="utf-8"))
    }
    assert found == set()


SHARED_NAMES = {
    "Action": "of the policy's rules; what a click in the window or the tray asks for",
    "Answer": "a model's; an MCP server's",
    "ListArguments": "arguments of a tool, as each family of tools declares them",
    "Message": "of a conversation: as it is kept, and as it is shown",
    "Notice": "in a conversation; of the program",
    "Program": "one of Claude Code's; one of an MCP server's",
    "ReadArguments": "arguments of a tool",
    "Reader": "of a call's subjects; of an MCP server's results",
    "RunArguments": "arguments of a tool",
    "SearchArguments": "arguments of a tool",
    "ServerTrouble": "of the control plane; of an MCP server",
    "Step": "of a workflow tool; a widget",
    "ToolCall": "as a model made it, and as it is shown",
    "Line": "of a shell; a widget",
    "Watched": "a call's processes; the event loop",
}
"""Two classes of one name, each in a room of its own that calls it so. The list only gets shorter."""


def test_a_class_name_is_one_thing() -> None:
    """Private names aside, and the playground's wire: two ends of one wire share names, and no code."""
    found: dict[str, set[str]] = {}
    for package in ("worker_core", "desktop"):
        for file in (ROOT / package).rglob("*.py"):
            if file.relative_to(ROOT).as_posix() == "worker_core/playground/wire.py":
                continue
            for node in ast.walk(parsed(file)):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found.setdefault(node.name, set()).add(str(file.relative_to(ROOT)))
    several = {name: files for name, files in found.items() if len(files) > 1}
    assert several.keys() <= SHARED_NAMES.keys(), several
    assert not SHARED_NAMES.keys() - several.keys(), "they are one thing now: take them off the list"


OF_THE_WHOLE_PROGRAM = {".", "bench", "desktop", "frozen", "gateways", "installers", "replay", "support"}
OF_THE_WHOLE_PROGRAM |= {"installers/linux", "installers/macos", "installers/windows", "windows"}


def _folders(root: Path, pattern: str) -> set[str]:
    return {file.parent.relative_to(root).as_posix() for file in root.rglob(pattern) if file.name != "__init__.py"}


def test_tests_mirror_the_rooms() -> None:
    """What is in `worker_core/a/b` is tested in `tests/a/b`, what is in `desktop/a` in `tests/desktop/a`."""
    rooms = _folders(ROOT / "worker_core", "*.py") | {f"desktop/{name}" for name in _folders(ROOT / "desktop", "*.py")}
    rooms -= {".", "desktop/."}
    tests = _folders(ROOT / "tests", "test_*.py") - OF_THE_WHOLE_PROGRAM

    assert tests == rooms


def test_the_glossary_stays_short_and_in_order() -> None:
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    words = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]
    assert len(words) <= 40
    assert words == sorted(set(words), key=str.lower)


def test_every_place_that_contributors_are_sent_to_is_there() -> None:
    named = re.findall(
        r"`((?:worker_core|desktop|tests|scripts|docs)/[\w/.]+)`",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    )
    assert not [
        name
        for name in named
        if not (ROOT / name).exists() and name not in {"worker_core/a/b", "desktop/a", "tests/a/b", "tests/desktop/a"}
    ]


def test_hooks_fetch_nothing() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (.*)", hooks) == ["local"]
    assert "://" not in hooks


def test_what_pytest_imports_first_needs_nothing_of_one_system() -> None:
    """Where a conftest.py skips, whatever lies beside it is not even collected."""
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in (ROOT / "tests").rglob("conftest.py")]
    assert "tests.desktop.notices.conftest" in names
    code = (
        "import importlib, sys; sys.modules['jeepney'] = None; [importlib.import_module(one) for one in sys.argv[1:]]"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
