"""Recorded histories replay against this code: a release must not break executions that run across it.

Where one fails, running executions would be stuck. Change the workflow code so that both replay (`workflow.patched`);
record anew (`python -m tests.replay.record`) only what no released version has run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from tests.replay.scenarios import ENDS, SCENARIOS
from worker_core.agents.workflows.carried import Carried
from worker_core.agents.workflows.workflow import AgentExecutionWorkflow
from worker_core.engine.queue import WORKFLOWS
from worker_core.temporal.converter import DATA_CONVERTER

FILES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer(*workflows: type) -> Replayer:
    return Replayer(workflows=workflows, data_converter=DATA_CONVERTER, workflow_runner=UnsandboxedWorkflowRunner())


def history(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, json.loads(file.read_text()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path) -> None:
    await replayer(*WORKFLOWS).replay_workflow(history(file))


def test_every_scenario_and_every_workflow_type_is_recorded_to_its_end() -> None:
    assert {file.stem for file in FILES} == set(SCENARIOS)
    begun, ended = set(), set()
    for file in FILES:
        events = json.loads(file.read_text())["events"]
        begun.add(events[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"])
        ended.add(events[-1]["eventType"] in ENDS)
    assert begun == {workflow._Definition.must_from_class(kind).name for kind in WORKFLOWS}
    assert ended == {True}


def test_the_histories_name_no_machine() -> None:
    for file in FILES:
        text = file.read_text()
        assert '"identity"' not in text
        assert "stackTrace" not in text
        assert "/tmp/" not in text


@workflow.defn(name="AgentExecutionWorkflow")
class ChangedWorkflow(AgentExecutionWorkflow):
    """One step more than what was recorded: what a careless change looks like."""

    @workflow.run
    async def run(self, raw: dict[str, Any], carried: Carried | None = None) -> dict[str, Any]:
        await workflow.sleep(1)
        return await super().run(raw, carried)


async def test_a_change_that_would_break_running_executions_is_noticed() -> None:
    [file] = [file for file in FILES if file.stem == "agent_with_tools_and_a_second_turn"]
    with pytest.raises(workflow.NondeterminismError):
        await replayer(ChangedWorkflow).replay_workflow(history(file))
