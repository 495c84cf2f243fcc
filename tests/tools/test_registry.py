from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.conftest import Call
from worker_core.tools.files import FileTool
from worker_core.tools.python import PythonTool
from worker_core.tools.registry import Offer, SkillDefinition, offer
from worker_core.tools.shell import ShellTool


def offered(*skills: dict[str, Any]) -> Offer:
    return offer([SkillDefinition.from_wire(skill) for skill in skills])


def test_all_tools() -> None:
    given = offered({"type": "shell"}, {"type": "python"}, {"type": "file_system"})
    assert list(given.tools) == [
        "shell", "python", "read_file", "write_file", "edit_file", "list_files", "search_files",
    ]  # fmt: skip
    assert not given.unknown
    assert {spec.name for spec in given.specs if spec.read_only} == {"read_file", "list_files", "search_files"}


@pytest.mark.parametrize("spec", offered({"type": "shell"}, {"type": "python"}, {"type": "file_system"}).specs,
                         ids=lambda spec: spec.name)  # fmt: skip
def test_specs_are_what_models_and_histories_take(spec: Any) -> None:
    parameters = msgspec.json.decode(msgspec.json.encode(spec.parameters))
    assert parameters["type"] == "object"
    assert parameters["additionalProperties"] is False
    assert set(parameters["required"]) <= set(parameters["properties"])
    assert "$ref" not in str(parameters)
    for described in parameters["properties"].values():
        assert described["description"].endswith((".", "*.py"))
    assert spec.description.endswith(".")
    assert "  " not in spec.description


def test_an_agent_without_skills_has_no_tools() -> None:
    assert offered() == Offer(tools={})
    assert offered({"type": "shell", "enabled": False}) == Offer(tools={})


def test_unknown_skills_are_named() -> None:
    assert offered({"type": "docker", "name": "D"}).unknown == (
        "The skill 'D' of type 'docker' is not available on this worker.",
    )


def test_of_two_that_clash_the_first_wins_and_it_is_said() -> None:
    first, second = {"type": "shell", "configuration": {"timeout": 5}}, {"type": "shell"}
    given = offered(first, second)
    assert isinstance(given.tools["shell"], ShellTool)
    assert given.tools["shell"].timeout == timedelta(seconds=5)
    assert given.unknown == ("Several skills offer 'shell' with different settings; the first of them is used.",)
    assert not offered(first, first).unknown


def test_shell_settings() -> None:
    configuration = {
        "timeout": 900, "allowed_commands": "ls, cat", "blocked_commands": ["rm"], "working_directory": "sub",
        "shell_binary": "/bin/dash", "shell_args": ["-e", "-c"],
        "usage_guidelines": "One.", "environment_context": "Two.",
    }  # fmt: skip
    tool = offered({"type": "shell", "configuration": configuration}).tools["shell"]
    assert tool == ShellTool(
        timeout=timedelta(seconds=600),
        allowed_commands=frozenset({"ls", "cat"}),
        blocked_commands=frozenset({"rm"}),
        working_directory="sub",
        shell=("/bin/dash", "-e", "-c"),
        guidelines="One. Two.",
    )


def test_python_settings() -> None:
    configuration = {"timeout": 5, "allowed_imports": ["json"], "blocked_imports": "os,sys"}
    assert offered({"type": "python", "configuration": configuration}).tools["python"] == PythonTool(
        timeout=timedelta(seconds=5), allowed_imports=("json",), blocked_imports=("os", "sys")
    )
    assert not offered({"type": "python", "configuration": {"enable_code_execution": False}}).tools


def test_file_settings() -> None:
    given = offered({"type": "file_system", "configuration": {"enable_save_file": False, "base_dir": "sub"}})
    assert list(given.tools) == ["read_file", "list_files", "search_files"]
    assert given.tools["read_file"] == FileTool(name="read_file", base="sub")
    assert "'sub'" in given.tools["read_file"].spec.description


@pytest.mark.parametrize("folder", ["/etc", "~/x", "..", "a/../..", "C:\\x", "\\\\server", "a\\..\\..\\b"])
@pytest.mark.parametrize(("kind", "key"), [("shell", "working_directory"), ("file_system", "base_dir")])
def test_folders_outside_are_not_used(kind: str, key: str, folder: str) -> None:
    given = offered({"type": kind, "configuration": {key: folder}})
    assert given.unknown == (f"The folder {folder!r} of a skill is outside the workspace; the workspace is used.",)
    assert given.tools == offered({"type": kind}).tools


@pytest.mark.parametrize("timeout", [0, -1, "5", True, float("nan"), [], {}])
def test_time_limits_that_are_none(timeout: object) -> None:
    given = offered({"type": "shell", "configuration": {"timeout": timeout}})
    assert given.tools == offered({"type": "shell"}).tools
    assert "is not a number of seconds" in given.unknown[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["timeout", "allowed_commands", "blocked_commands", "working_directory", "shell_binary", "shell_args", "base_dir",
     "usage_guidelines", "enable_save_file", "allowed_imports", "enable_code_execution"]
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["shell", "python", "file_system"]) | JSON},
        optional={"name": JSON, "enabled": JSON, "configuration": st.dictionaries(KEYS, JSON) | JSON},
    )
)
def test_whatever_the_server_sends_there_is_an_offer(skill: dict[str, Any]) -> None:
    for spec in offered(skill).specs:
        assert spec.name
        assert spec.description


async def test_a_configured_folder_that_became_a_trap(call: Call, here: Any) -> None:
    (here / "sub").symlink_to("/")
    given = offered(
        {"type": "shell", "configuration": {"working_directory": "sub"}},
        {"type": "file_system", "configuration": {"base_dir": "sub"}},
    )
    for name, arguments in {"shell": {"command": "ls"}, "read_file": {"path": "etc/passwd"}}.items():
        result = await call(given.tools[name], arguments)
        assert "leads out of the workspace" in (result.error or "")
    (here / "sub").unlink()
    (here / "sub").touch()
    for name, arguments in {"shell": {"command": "ls"}, "read_file": {"path": "x"}}.items():
        result = await call(given.tools[name], arguments)
        assert "File exists" in (result.error or "")
