from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.conftest import Call
from worker_core.tools import workflow_steps
from worker_core.tools.registry import OfferedTools, SkillDefinition, offer
from worker_core.tools.workflow_steps import WrongWorkflow

posix = pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a POSIX shell")


def offered(**configuration: Any) -> OfferedTools:
    return offer([SkillDefinition.from_wire({"type": "workflow_executor", "configuration": configuration})])


def workflow(*steps: dict[str, Any], **more: Any) -> Any:
    definition = {"name": "work", "steps": list(steps), **more}
    return offered(workflow_definition=definition).tools["run_workflow"]


RUN = {"workflow": "work"}


@posix
async def test_steps_run_in_order_and_hand_on_their_output(call: Call, here: Path) -> None:
    tool = workflow(
        {"name": "last", "command": 'echo "$GREETING $WHO $PLACE" | tee last.txt', "depends": ["first"]},
        {"name": "first", "command": "echo world; touch first.txt", "output": "PLACE"},
        {"name": "inside", "run": "pwd; echo $OWN", "dir": "sub", "env": {"OWN": "own"}, "depends": "last"},
        env=["GREETING=hello"],
        params={"WHO": "nobody"},
        description="Says hello.",
    )
    marks: list[int] = []
    result = await call(tool, {**RUN, "inputs": {"WHO": "dear"}}, before_effect=lambda: marks.append(1))
    assert result.succeeded, result.error
    assert result.output == (
        f"## first: done\nworld\n\n## last: done\nhello dear world\n\n## inside: done\n{here}/sub\nown"
    )
    assert marks == [1]
    assert (here / "last.txt").exists()
    assert "work: Says hello." in tool.spec.description


@posix
async def test_a_step_that_fails_ends_it_unless_it_may(call: Call) -> None:
    tool = workflow(
        {"name": "may", "command": "exit 3", "continueOn": {"failure": True}},
        {"name": "must", "command": "echo trouble; exit 4"},
        {"name": "never", "command": "echo no"},
    )
    result = await call(tool, RUN)
    assert result.error == "The workflow 'work' did not succeed: step 'may' failed; step 'must' failed."
    assert "## must: It exited with code 4.\ntrouble" in result.output
    assert "## never: not run" in result.output
    assert result.metadata == {"steps": 3, "failed": 2}


@posix
async def test_time_is_for_the_whole(call: Call) -> None:
    tool = workflow({"command": "sleep 0.3"}, {"command": "sleep 60"}, {"command": "echo no"})
    result = await call(tool, RUN, timeout=timedelta(seconds=1))
    assert not result.succeeded
    assert "did not end within" in result.output
    assert "## step-3: not run" in result.output


@posix
async def test_each_step_gets_its_share_of_the_output(call: Call, here: Path) -> None:
    tool = workflow(*({"command": "head -c 100000 /dev/zero | tr '\\0' x"} for _ in range(4)))
    result = await call(tool, RUN, output_limit_bytes=8000)
    assert len(result.output) < 9000
    kept = sorted((here / ".kubiya/outputs").iterdir())
    assert [one.stat().st_size for one in kept] == [100_000] * 4


async def test_a_python_program_makes_the_definition(call: Call, here: Path) -> None:
    code = (
        "class W:\n    def to_dict(self):\n        return {'name': 'made', 'steps': [{'command': 'echo made here'}]}\n"
        "print('thinking')\nworkflow = W()"
    )
    tool = offered(workflow_type="python_dsl", python_dsl_code=code).tools["run_workflow"]
    result = await call(tool, {"workflow": "workflow-1"})
    assert result.succeeded, result.error
    assert "made here" in result.output
    assert list((here / ".kubiya").glob("workflow-*")) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import not_a_module_at_all", "The workflow's program failed. It exited with code 1."),
        ("x = 1", "The workflow's program failed."),
        ("workflow = {'steps': []}", "has no steps"),
        ("workflow = {'steps': [{'command': 'x' * 2_000_000}]}", "more than 1 MB"),
        ("workflow = 7", "not a JSON object"),
    ],
)
async def test_programs_that_make_none(call: Call, code: str, said: str) -> None:
    tool = offered(workflows=[{"name": "w", "type": "python_dsl", "code": code}]).tools["run_workflow"]
    result = await call(tool, {"workflow": "w"})
    assert not result.succeeded
    assert said in (result.error or "")


@posix
async def test_a_definition_that_a_program_replaced_by_a_link_is_not_read(call: Call, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(json.dumps({"steps": [{"command": "echo leaked"}]}))
    code = (
        "import sys, os\nworkflow = {}\nclass F:\n    pass\nreal = open\n"
        f"import builtins\ndef fake(path, *a, **k):\n    os.symlink({str(tmp_path / 'secret')!r}, path)\n"
        "    return real(os.devnull, 'w')\nbuiltins.open = fake"
    )
    tool = offered(python_dsl_code=code).tools["run_workflow"]
    result = await call(tool, {"workflow": "workflow-1"})
    assert "passes through a link" in (result.error or "")


async def test_what_a_call_gets_wrong(call: Call) -> None:
    tool = workflow({"command": "echo x"}, params={"WHO": "x"})
    unknown = await call(tool, {"workflow": "other"})
    assert unknown.error == "There is no workflow 'other'; there are: work."
    strange = await call(tool, {**RUN, "inputs": {"PATH": "/x"}})
    assert strange.error == "The workflow has no parameter 'PATH'; it takes: WHO."


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ({"name": "x"}, "has no steps"),
        ({"steps": ["x"]}, "Step 1 is not"),
        ({"steps": [{"name": "a"}]}, "'a' has no command"),
        ({"steps": [{"command": "x", "retry": 3}]}, "asks for 'retry'"),
        ({"steps": [{"command": "x"}], "on": "push"}, "asks for 'on'"),
        ({"steps": [{"command": "x", "executor": {"type": "docker"}}]}, "the executor 'docker'"),
        ({"steps": [{"name": "a", "command": "x"}, {"name": "a", "command": "y"}]}, "Two steps"),
        ({"steps": [{"name": "a", "command": "x", "depends": ["b"]}]}, "which is no step"),
        (
            {"steps": [{"name": n, "command": "x", "depends": [d]} for n, d in (("a", "b"), ("b", "a"))]},
            "in a circle",
        ),
        ({"steps": [{"command": "x", "env": {"A B": "c"}}]}, "no name of a variable"),
        ({"steps": [{"command": "x", "output": "a-b"}]}, "no variable"),
        ({"steps": [{"command": "x"}], "env": 7}, "are not an object"),
        ({"steps": [{"command": "x"}] * 101}, "100 are the limit"),
    ],
)
def test_definitions_that_are_refused(definition: Any, said: str) -> None:
    with pytest.raises(WrongWorkflow, match=said) as refused:
        workflow_steps.read(definition)
    assert str(refused.value).endswith(".")
    assert "not offered" in offered(workflow_definition=definition or " ").unknown[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["steps", "name", "command", "env", "depends", "executor", "params"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_a_definition_is_there_is_a_workflow_or_a_sentence(raw: Any) -> None:
    try:
        found = workflow_steps.read(raw)
    except WrongWorkflow:
        return
    assert found.steps


def test_settings() -> None:
    steps = [{"command": "true"}]
    found = offered(
        workflows=[
            {"name": "one", "type": "json", "definition": json.dumps({"steps": steps, "description": "First."})},
            {"name": "two", "type": "python_dsl", "code": "workflow = 1"},
            {"name": "one", "type": "json", "definition": {"steps": steps}},
            {"name": "empty"},
            "odd",
        ],
        timeout=5,
        default_runner="",
    )
    tool: Any = found.tools["run_workflow"]
    assert [one.name for one in tool.workflows] == ["one", "two", "one-3"]
    assert tool.timeout == timedelta(seconds=30)
    assert not found.unknown
    assert offered().tools == {}
    unchecked = offered(workflow_definition={"steps": []}, validation_enabled=False)
    assert not unchecked.unknown
    assert list(unchecked.tools) == ["run_workflow"]
