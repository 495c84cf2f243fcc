from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.conftest import Call
from worker_core.tools.files import FileTool
from worker_core.tools.python import PythonTool
from worker_core.tools.registry import OfferedTools, SkillDefinition, offer
from worker_core.tools.shell import ShellTool


def offered(*skills: dict[str, Any]) -> OfferedTools:
    return offer([SkillDefinition.from_wire(skill) for skill in skills])


EVERY_SWITCH = [
    {"type": "shell"},
    {"type": "python"},
    {"type": "file_system"},
    {"type": "sleep"},
    {"type": "docker", "configuration": {f"enable_{one}_management": True for one in ("image", "volume", "network")}},
    {"type": "file_generation"},
    {"type": "data_visualization"},
    {
        "type": "workflow_executor",
        "configuration": {"workflow_definition": {"name": "w", "steps": [{"command": "true"}]}},
    },
    {"type": "slack", "configuration": {"enable_write": True}},
    {"type": "contextual_awareness"},
    {"type": "cognitive_memory"},
    {"type": "web_fetch"},
]


def test_all_tools() -> None:
    given = offered({"type": "shell"}, {"type": "python"}, {"type": "file_system"})
    assert list(given.tools) == [
        "shell", "python", "read_file", "write_file", "edit_file", "list_files", "search_files",
    ]  # fmt: skip
    assert not given.unknown
    assert {spec.name for spec in given.specs if spec.read_only} == {"read_file", "list_files", "search_files"}


@pytest.mark.parametrize("spec", offered(*EVERY_SWITCH).specs, ids=lambda spec: spec.name)
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
    assert offered() == OfferedTools(tools={})
    assert offered({"type": "shell", "enabled": False}) == OfferedTools(tools={})


def test_unknown_skills_are_named() -> None:
    assert offered({"type": "teleport", "name": "T"}).unknown == (
        "The skill 'T' of type 'teleport' is not available on this worker.",
    )
    for kind in ("agent_communication", "code_ingestion", "remote_filesystem", "custom"):
        [sentence] = offered({"type": kind, "name": "X"}).unknown
        assert sentence.startswith(f"The skill 'X' of type {kind!r} is not available on this worker: ")
        assert sentence.endswith(".")


def test_a_custom_skill_may_name_a_kind_that_the_api_cannot_make() -> None:
    given = offered({"type": "custom", "name": "web_fetch", "configuration": {"custom_config": {"timeout": 5}}})
    assert not given.unknown
    assert given.tools["web_fetch"].timeout == timedelta(seconds=5)  # type: ignore[attr-defined]


def test_every_family_has_tools_and_their_names_do_not_clash() -> None:
    given = offered(*EVERY_SWITCH)
    assert not given.unknown
    assert len(given.tools) == sum(len(offered(skill).tools) for skill in EVERY_SWITCH) == 34
    reading = {spec.name for spec in given.specs if spec.read_only}
    assert reading == {
        "read_file", "list_files", "search_files", "sleep", "docker_list", "docker_inspect", "docker_logs",
        "slack_channels", "slack_users", "slack_history", "context_graph_overview", "context_graph_search",
        "context_graph_node", "context_graph_query", "recall_memory", "web_fetch",
    }  # fmt: skip


def test_a_worker_starts_without_the_tools() -> None:
    code = (
        "import sys, worker_core.engine.engine; print([m for m in sys.modules if m.startswith('worker_core.tools.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for family in ("docker", "slack", "web", "workflows", "documents", "diagrams", "knowledge", "memory", "pdf"):
        assert f"worker_core.tools.{family}'" not in loaded
    assert "reportlab" not in loaded


def test_settings_that_are_not_honoured_are_named() -> None:
    given = offered(
        {"type": "knowledge_api", "configuration": {"stream": True, "auto_inject": True, "timeout": 5}},
        {"type": "slack", "configuration": {"enable_reactions": True, "enable_files": False, "enable_read": "maybe"}},
        {"type": "docker", "configuration": {"docker_host": "somewhere"}},
        {"type": "workflow_executor", "configuration": {"default_runner": "k8s", "workflow_definition": "{}"}},
    )
    said = "\n".join(given.unknown)
    for word in ("stream", "auto_inject", "enable_reactions", "'maybe'", "docker_host", "default_runner", "no steps"):
        assert word in said
    assert "enable_files" not in said
    assert all(sentence.endswith(".") for sentence in given.unknown)
    assert given.tools["context_graph_search"].timeout == timedelta(seconds=10)  # type: ignore[attr-defined]


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
    ["docker_host", "enable_container_management", "output_directory", "enable_pdf_generation", "max_diagram_size",
     "enable_gantt", "workflows", "workflow_definition", "python_dsl_code", "workflow_type", "default_runner",
     "max_results", "cache_ttl", "stream", "search_type", "enable_read", "custom_config", "allowed_hosts",
     "timeout", "allowed_commands", "blocked_commands", "working_directory", "shell_binary", "shell_args", "base_dir",
     "usage_guidelines", "enable_save_file", "allowed_imports", "enable_code_execution"]
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from([skill["type"] for skill in EVERY_SWITCH] + ["custom", "knowledge_api"]) | JSON},
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
