"""Tools say themselves what a call of theirs starts and touches, from what they really start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.policy.calls import policy
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.tool import ServerToolCall
from worker_core.policy.rules import Action, Decision, Subject
from worker_core.policy.subjects import Reader, subjects_of
from worker_core.sandbox.direct import DirectLauncher
from worker_core.tools.base import Tool, ToolContext
from worker_core.tools.registry import OfferedTools, SkillDefinition, offer
from worker_core.tools.shell import default_shell
from worker_core.workspaces.workspace import Workspace


def offered(kind: str, **configuration: Any) -> OfferedTools:
    return offer([SkillDefinition(name=kind, type=kind, configuration=configuration)])


def of_a_server() -> Tool:
    def say(progress: str) -> None:
        raise AssertionError(progress)

    config = ServerConfig(alias="notes", transport="http", url="https://notes.example/")
    return ServerToolCall(None, config, tool="add", say_progress=say)  # type: ignore[arg-type]


def read(tool: Tool, arguments: Mapping[str, Any], workspace: Path, rules: str = "") -> tuple[Subject, ...]:
    reader = Reader(workspace, denied=policy(rules).denied_words(str(workspace)))
    return subjects_of(tool.spec.name, tool.subjects(arguments, reader))


def decided(tool: Tool, arguments: Mapping[str, Any], workspace: Path, rules: str = "") -> Decision:
    subjects = read(tool, arguments, workspace, rules)
    return policy(rules).decide(subjects, tool=tool.spec.name, workspace=str(workspace))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    workspace = tmp_path / "workspaces" / "e"
    (workspace / "sub").mkdir(parents=True)
    (workspace / "top.txt").touch()
    return workspace


NO_FORCE = '[[deny]]\ncommand = "git push --force*"\n'


@pytest.mark.parametrize(
    "configuration",
    [
        {"shell_args": ["-c", "git push --force; #"]},
        {"shell_binary": "/bin/bash", "shell_args": ["-c", "git push --force; #"]},
        {"shell_binary": "bash", "shell_args": ["-c", "git push --force", "-c"]},
        {"shell_binary": "bash", "shell_args": ["--rcfile", "x", "-c"]},
        {"shell_binary": "bash", "shell_args": ["-s"]},
        {"shell_binary": "/tmp/bash"},
        {"shell_binary": "./sub/bash"},
        {"shell_binary": "/usr/bin/python3", "shell_args": ["-c"]},
        {"shell_binary": "env", "shell_args": ["bash", "-c"]},
    ],
)
def test_a_skill_brings_no_shell_that_rules_cannot_read(configuration: dict[str, Any]) -> None:
    found = offered("shell", **configuration)
    assert found.unknown
    assert found.tools["shell"].shell == default_shell()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("binary", "options"),
    [
        ("/bin/sh", ["-c"]),
        ("bash", ["-ec"]),
        ("dash", ["-e", "-u", "-c"]),
        ("zsh", []),
        ("bash", ["-o", "pipefail", "-lc"]),
    ],
)
def test_known_shells_are_used_and_their_lines_read(here: Path, binary: str, options: list[str]) -> None:
    found = offered("shell", shell_binary=binary, shell_args=options)
    assert not found.unknown
    shell = found.tools["shell"]
    assert shell.shell == (binary, *(options or ["-c"]))  # type: ignore[attr-defined]
    assert decided(shell, {"command": "ls; git push --force"}, here, NO_FORCE).action is Action.DENY
    assert decided(shell, {"command": "ls"}, here, NO_FORCE).action is Action.ALLOW


def test_a_shells_folder_counts(here: Path) -> None:
    shell = offered("shell").tools["shell"]
    assert decided(shell, {"command": "cat ../top.txt"}, here).action is Action.ASK
    assert decided(shell, {"command": "cat ../top.txt", "working_directory": "sub"}, here).action is Action.ALLOW
    assert decided(shell, {"command": "cat ../../x", "working_directory": "sub"}, here).action is Action.ASK
    assert decided(shell, {"command": "ls", "working_directory": ".."}, here).action is Action.ASK
    there = offered("shell", working_directory="sub").tools["shell"]
    assert decided(there, {"command": "cat ../top.txt"}, here).action is Action.ALLOW


STEPS = {
    "name": "release",
    "steps": [
        {"name": "build", "command": "make", "dir": "sub"},
        {"name": "push", "command": "git push --force", "depends": ["build"]},
        {"name": "look", "command": "cat ../top.txt", "dir": "sub"},
    ],
}


def test_every_step_of_a_workflow_is_decided(here: Path) -> None:
    tool = offered("workflow_executor", workflow_definition=STEPS).tools["run_workflow"]
    call = {"workflow": "release"}
    assert decided(tool, call, here).action is Action.ALLOW
    found = decided(tool, call, here, NO_FORCE)
    assert found.action is Action.DENY
    assert found.finding.subject.text == "git push --force"
    subjects = read(tool, call, here)
    assert {"make", "git push --force"} <= {one.text for one in subjects if one.kind == "command"}
    assert decided(tool, call, here, '[[ask]]\ncommand = "make *"\n').action is Action.ASK


async def test_the_steps_that_a_program_makes_are_decided_before_they_run(here: Path) -> None:
    code = f"workflow = {STEPS!r}"
    tool = offered("workflow_executor", workflow_type="python_dsl", python_dsl_code=code).tools["run_workflow"]
    asked: list[str] = []

    async def refuse(touched: Callable[[Reader], Iterable[Subject]]) -> str:
        asked.extend(one.text for one in touched(Reader(here)) if one.kind == "command")
        return "No rule allows it."

    async def allow(touched: Callable[[Reader], Iterable[Subject]]) -> str:
        return ""

    context = ToolContext(
        execution_id="e",
        call_id="c",
        workspace=Workspace(path=here),
        launcher=DirectLauncher(),
        may_touch=refuse,
    )
    result = await tool.run({"workflow": "workflow-1"}, context)
    assert not result.succeeded
    assert "No rule allows it." in str(result.error)
    assert {"make", "git push --force"} <= set(asked)
    asked.clear()
    allowed = await tool.run({"workflow": "workflow-1"}, replace(context, may_touch=allow))
    assert "No rule allows it." not in str(allowed.error)


def test_docker_tools_are_under_the_rules_about_commands(here: Path) -> None:
    tools = offered("docker", enable_image_management=True).tools
    run = {"image": "alpine", "command": ["rm", "-rf", "/etc/x"], "mount_workspace": True}
    assert decided(tools["docker_run"], run, here).action is Action.ALLOW
    assert decided(tools["docker_run"], run, here, '[[deny]]\ncommand = "docker run *"\n').action is Action.DENY
    assert decided(tools["docker_run"], run, here, '[[deny]]\ncommand = "rm *"\n').action is Action.DENY
    exec_ = {"container": "c", "command": ["sh", "-c", "rm -rf /"]}
    assert decided(tools["docker_exec"], exec_, here, '[[deny]]\ncommand = "rm *"\n').action is Action.DENY
    assert (
        decided(tools["docker_list"], {"what": "container"}, here, '[[ask]]\ncommand = "docker *"\n').action
        is Action.ASK
    )


def test_files_are_seen_from_the_tools_own_folder(here: Path) -> None:
    tools = offered("file_system", base_dir="sub").tools
    rules = '[[deny]]\npath = "sub/secret.txt"\n'
    assert decided(tools["read_file"], {"path": "secret.txt"}, here, rules).action is Action.DENY
    assert decided(tools["read_file"], {"path": "../secret.txt"}, here, rules).action is Action.ALLOW
    assert decided(tools["read_file"], {"path": "/etc/hosts"}, here).action is Action.ASK
    assert decided(tools["list_files"], {}, here).action is Action.ALLOW


def test_a_text_that_is_written_is_no_access(here: Path) -> None:
    """Imports of the folder beside are no attack on the worker's folders, which lie beside the workspace."""
    write = offered("file_system").tools["write_file"]
    call = {"path": "a.js", "content": "import x from '../lib/x'\nimport y from '../../y'\n"}
    assert decided(write, call, here).action is Action.ALLOW
    call = {"path": "b.sh", "content": "cat ~/.ssh/id_rsa"}
    assert decided(write, call, here).action is Action.DENY
    code = offered("python").tools["python"]
    assert decided(code, {"code": "open('/home/me/.ssh/id_rsa')"}, here).action is Action.DENY
    outside = f"[[deny]]\npath = '{here.parent}/other/**'\n"
    assert decided(code, {"code": "open('../other/x')"}, here, outside).action is Action.DENY
    assert decided(write, {"path": "c.py", "content": "open('../other/x')"}, here, outside).action is Action.ALLOW


COMPANY = '[[deny]]\npath = "~/company/**"\n[[deny]]\ncommand = "rm *"\n[[deny]]\nhost = "evil.example"\n'


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "~/company/x"}, {"file_to_read": "~/company/x"}, {"options": {"deep": [{"path": "~/company/x"}]}},
        {"uri": f"file://{Path.home()}/company/x"}, {"what": f"file:{Path.home()}/company/x"},
        {"query": f"please read {Path.home()}/company/x"}, {f"{Path.home()}/company/x": True},
        {"command": "rm -rf x"}, {"opts": {"cmd": "ls; rm x"}}, {"command": "rm", "args": ["-rf", "x"]},
        {"argv": ["rm", "x"]}, {"tasks": [{"command": "sh", "args": ["-c", "rm x"]}]}, {"script": "ls\nrm x"},
        {"url": "https://evil.example/x"}, {"link": "see https://evil.example"}, {"endpoint": "evil.example/x"},
        {"url": "https://\uff45vil.example/"}, {"urls": ["https://good.example", "https://ev\til.example/"]},
    ],
)  # fmt: skip
def test_arguments_of_servers_are_read_by_their_form_wherever_they_stand(here: Path, arguments: dict[str, Any]) -> None:
    found = decided(of_a_server(), arguments, here, COMPANY)
    assert found.action is Action.DENY, found.sentence


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        ({"target_file": "/etc/hosts"}, Action.ASK),
        ({"anything": "/etc/hosts"}, Action.ASK),
        ({"uri": "file:///etc/hosts"}, Action.ASK),
        ({"a": {"b": ["../x"]}}, Action.ASK),
        ({"endpoint": "/api/v1/users"}, Action.ALLOW),
        ({"text": "and/or, 1/2, a / b, see /etc/hosts."}, Action.ALLOW),
        ({"title": "hello", "count": 3, "tags": ["a", None, True]}, Action.ALLOW),
    ],
)
def test_what_is_a_path_is_asked_about_and_what_only_looks_like_one_is_not(
    here: Path, arguments: dict[str, Any], action: Action
) -> None:
    found = decided(of_a_server(), arguments, here)
    assert found.action is action, found.sentence


def test_arguments_deeper_than_is_looked_at_are_denied(here: Path) -> None:
    deep: Any = "~/company/x"
    for _ in range(30):
        deep = {"a": deep}
    assert decided(of_a_server(), {"x": deep}, here, COMPANY).action is Action.DENY
    assert decided(of_a_server(), {"x": ["a"] * 10_000}, here, COMPANY).action is Action.DENY
