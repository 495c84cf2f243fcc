"""Executions from a prompt to their end: a real control plane, a real Temporal, a real model protocol, real tools."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.support.engine import Rig, home, new_agent, new_queue, running_engine
from tests.support.executions import sequences, tool
from tests.support.playground import Stage, until
from tests.support.walls import needs_bubblewrap
from worker_core.agents.activities import foreseen, model_call
from worker_core.agents.activities.journal import Journal, JournalError
from worker_core.agents.activities.services import Services
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.events import EventDeliveryInterrupted, EventDeliveryResumed, ExecutionFinished, HeartbeatSent
from worker_core.sandbox import landlock, linux
from worker_core.snapshot import EngineState, StopMode
from worker_core.workspaces.workspace import Workspace


async def test_three_turns_keep_their_history(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("history-one\n!say first answer")
        record = await rig.reach(execution_id, "waiting_for_input")
        assert record.response == "first answer"
        await rig.turn(execution_id, f"history-two\n{tool('echo 42', '!say second answer')}")
        record = await rig.turn(execution_id, "history-three\n!history")
        calls = stage.model_calls("history-one")
        await rig.client.mark_done(execution_id)
        record = await rig.reach(execution_id, "completed")
        events = await rig.sent(execution_id)
        session = await rig.client.load_session(execution_id)
        sdk = rig.snapshot.sdk
        await rig.until(lambda: rig.snapshot.tasks_processed)
        assert (rig.snapshot.turns_ended, rig.snapshot.tasks_processed) == (3, 1)
    assert sdk.polls > 0
    assert sdk.requests > 0
    assert sdk.wait_ms is not None
    assert "3 user messages" in record.response
    assert all(part in record.response for part in ("history-one", "history-two", "history-three"))
    assert [call["status"] for call in calls] == [200] * 4
    assert sequences(events) == sorted(set(sequences(events)))
    assert record.execution_metadata["conversation_turns"] == 3
    assert record.execution_metadata["worker_info"]["worker_id"]
    assert record.usage["total_tokens"] > 0
    assert session is not None
    assert [message["role"] for message in session["messages"]] == [
        "user", "assistant", "user", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip


async def test_a_tool_runs_in_its_workspace_with_declared_variables_and_no_keys(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_OF_THE_WORKER", "canary-value-1")
    async with stage.client() as api:
        await api.post("/secrets", json={"name": "DEPLOY_TOKEN", "value": "declared-secret-value"})
    agent_id = await new_agent(
        stage, execution_environment={"env_vars": {"COLOUR": "green"}, "secrets": ["DEPLOY_TOKEN"]}
    )
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute(
            "workspace\n" + tool("pwd; env; echo $COLOUR > out.txt; echo token=$DEPLOY_TOKEN"),
            agent_id=agent_id,
        )
        await rig.reach(execution_id, "waiting_for_input")
        [completed] = await rig.sent(execution_id, "tool_completed")
        everything = str(await rig.sent(execution_id)) + str(await rig.client.load_session(execution_id))
    output = completed["data"]["tool_output"]
    workspace = home(tmp_path).workspaces / execution_id
    assert str(workspace) in output
    assert (workspace / "out.txt").read_text() == "green\n"
    assert "COLOUR=green" in output
    assert "token=***" in output
    for secret in (stage.info.api_key, stage.info.llm_api_key, "canary-value-1", "declared-secret-value"):
        assert secret not in everything
    assert "KUBIYA_API_KEY" not in output


@pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for bubblewrap is for Linux")
async def test_a_headless_worker_whose_sandbox_fails_runs_no_tool_and_says_so_at_once(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(linux, "programs", lambda *_: iter((str(broken),)))
    monkeypatch.setattr(landlock, "version", lambda: 0)
    async with running_engine(stage, tmp_path, sandbox="auto", require_sandbox="ask") as rig:
        await rig.until(lambda: rig.snapshot.sandbox.name == "refused")
        execution_id = await rig.execute("refused\n" + tool("echo done >made"))
        await rig.reach(execution_id, "waiting_for_input")
        [failed] = await rig.sent(execution_id, "tool_completed")
    assert not (home(tmp_path).workspaces / execution_id / "made").exists()
    for said in (str(failed), caplog.text):
        assert "No permissions to create new namespace" in said
        assert "KUBIYA_WORKER_REQUIRE_SANDBOX=never" in said


@needs_bubblewrap
async def test_a_tool_in_the_sandbox(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("canary-of-the-machine")
    async with running_engine(stage, tmp_path, sandbox="auto", require_sandbox="always") as rig:
        command = f"echo $KUBIYA_WORKER_HOME > out.txt; cat {tmp_path}/key; echo $HOME; ls /proc | grep -c '^[0-9]'"
        execution_id = await rig.execute("sandboxed\n" + tool(command))
        await rig.reach(execution_id, "waiting_for_input")
        [completed] = await rig.sent(execution_id, "tool_completed")
        assert rig.snapshot.sandbox.name == "bubblewrap"
        assert "files" in rig.snapshot.sandbox.enforces
    assert completed["data"]["sandbox"] == "bubblewrap"
    output = completed["data"]["tool_output"]
    assert "canary-of-the-machine" not in output
    assert "/tmp/home\n" in output
    assert (home(tmp_path).workspaces / execution_id / "out.txt").exists()
    assert not list((home(tmp_path).runtime / "sandbox").glob("*"))


@needs_bubblewrap
async def test_a_sandbox_is_made_while_the_model_still_writes_its_call(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each answer that calls a tool, before the call is there; an answer without calls makes none."""
    made: list[tuple[str, str]] = []

    def foresee(services: Services, *, execution_id: str, tool: str, queue_id: str) -> object:
        made.append((execution_id, tool))
        return foreseen.foresee(services, execution_id=execution_id, tool=tool, queue_id=queue_id)

    monkeypatch.setattr(model_call, "foresee", foresee)
    async with running_engine(stage, tmp_path, sandbox="auto", require_sandbox="always") as rig:
        silent = await rig.execute("foreseen\n!instant")
        await rig.reach(silent, "waiting_for_input")
        execution_id = await rig.execute("foreseen\n" + tool("true"))
        await rig.reach(execution_id, "waiting_for_input")
        [completed] = await rig.sent(execution_id, "tool_completed")
    assert completed["data"]["sandbox"] == "bubblewrap"
    assert made == [(execution_id, "shell")]


async def test_three_queues_on_one_worker_each_get_work(stage: Stage, tmp_path: Path) -> None:
    queues = [await new_queue(stage) for _ in range(3)]
    async with running_engine(stage, tmp_path, queue_ids=queues) as rig:
        executions = [
            await rig.execute(f"queue {number}\n!instant", queue_id=queue) for number, queue in enumerate(queues)
        ]
        for execution_id in executions:
            await rig.reach(execution_id, "waiting_for_input")
        workers = [(await rig.workers(queue))[0] for queue in queues]
        assert len({worker["id"] for worker in workers}) == 3
        assert {view.worker_id for view in rig.snapshot.queues} == {worker["id"] for worker in workers}


async def test_an_outage_of_the_control_plane_loses_and_repeats_nothing(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute(f"outage\n!stream 60 20\n{tool('echo during', '!say the end')}")
        await until(lambda: rig.said(execution_id))
        stage.outage(active=True)
        try:
            await rig.until(lambda: rig.published(EventDeliveryInterrupted))
            # The model goes on without the control plane: it has made its second call when the tool has run.
            await until(lambda: _count(stage, "outage", 2))
        finally:
            stage.outage(active=False)
        record = await rig.reach(execution_id, "waiting_for_input")
        await rig.until(lambda: rig.published(EventDeliveryResumed))
        events = await rig.sent(execution_id)
    assert record.response == "the end"
    assert sequences(events) == sorted(set(sequences(events)))
    kinds = [event["event_type"] for event in events if event["event_type"] != "message_chunk"]
    assert kinds == ["metadata", "message", "tool_started", "tool_completed"]
    text = "".join(event["data"]["content"] for event in events if event["event_type"] == "message_chunk")
    assert len(text.split()) == 62
    assert len(stage.model_calls("outage")) == 2


async def _count(stage: Stage, prompt: str, number: int) -> bool:
    return len(stage.model_calls(prompt)) >= number


async def test_a_drain_lets_the_turn_end_and_says_goodbye_last(stage: Stage, tmp_path: Path) -> None:
    from datetime import timedelta

    release = tmp_path / "release"
    async with running_engine(stage, tmp_path, heartbeat_interval=timedelta(seconds=0.1)) as rig:
        queue = rig.snapshot.queues[0].queue_id
        execution_id = await rig.execute(
            "drain\n" + tool(f"until [ -e {release} ]; do sleep 0.05; done; echo finished", "!say reported")
        )
        await until(lambda: rig.sent(execution_id, "tool_started"))
        await rig.engine.stop()
        await rig.until(lambda: rig.snapshot.state is EngineState.DRAINING)
        before = len(rig.published(HeartbeatSent))
        await rig.until(lambda: len(rig.published(HeartbeatSent)) > before + 3)
        [worker] = await rig.workers(queue)
        assert (worker["status"], worker["current_task_id"]) == ("active", execution_id)
        release.touch()
        final = await rig.stopped()
        [completed] = await rig.sent(execution_id, "tool_completed")
        record = await rig.client.get_execution(execution_id)
        async with stage.client() as api:
            [row] = [one for one in (await api.get("/workers")).json() if one["queue_id"] == queue]
    assert (final.state, final.exit_code) == (EngineState.STOPPED, 0)
    assert "finished" in completed["data"]["tool_output"]
    assert (record.status, record.response) == ("waiting_for_input", "reported")
    assert row["status"] == "disconnected"
    assert row["worker_metadata"]["disconnect_reason"] == "shutdown"


async def test_a_second_stop_cancels_and_the_next_worker_tells_the_model(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        execution_id = await rig.execute("cancelled call\n" + tool("echo $$ > pid; sleep 1000", "!say after"))
        pid_file = home(tmp_path).workspaces / execution_id / "pid"
        await until(lambda: _exists(pid_file))
        await rig.engine.stop()
        await rig.until(lambda: rig.snapshot.state is EngineState.DRAINING)
        await rig.engine.stop(mode=StopMode.CANCEL)
        final = await rig.stopped()
    assert final.exit_code == 8
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        record = await rig.reach(execution_id, "waiting_for_input")
        session = await rig.client.load_session(execution_id)
    assert record.response == "after"
    assert session is not None
    [answered] = [message for message in session["messages"] if message["role"] == "tool"]
    assert "unknown" in str(answered)
    assert len(stage.model_calls("cancelled call")) == 2


async def _exists(path: Path) -> bool:
    return path.exists() and path.read_text().strip() != ""


async def test_a_paused_worker_takes_nothing_new_and_ends_what_it_has(stage: Stage, tmp_path: Path) -> None:
    release = tmp_path / "release"
    async with running_engine(stage, tmp_path) as rig:
        first = await rig.execute("running\n" + tool(f"until [ -e {release} ]; do sleep 0.05; done", "!say first"))
        await until(lambda: rig.sent(first, "tool_started"))
        await rig.engine.pause("Lunch.")
        assert (rig.snapshot.state, rig.snapshot.reason) == (EngineState.PAUSED, "Lunch.")
        second = await rig.execute("while paused\n!instant")
        release.touch()
        await rig.reach(first, "waiting_for_input")
        assert (await rig.client.get_execution(second)).status == "pending"
        assert not stage.model_calls("while paused")
        await rig.engine.resume()
        await rig.reach(second, "waiting_for_input")
        assert rig.snapshot.state is EngineState.RUNNING


@pytest.mark.parametrize("prompt", ["!stream 5000 20", tool("sleep 1000"), "!hang 600\n!instant", "!say over"])
async def test_an_execution_is_cancelled_wherever_it_is(stage: Stage, tmp_path: Path, prompt: str) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute(f"cancel me {prompt[:8]}\n{prompt}")
        if prompt == "!say over":
            await rig.reach(execution_id, "waiting_for_input")
        else:
            await rig.until(lambda: any(one.step for one in rig.snapshot.executions))
            if "hang" not in prompt:
                await until(lambda: rig.sent(execution_id, "tool_started" if "tool" in prompt else "message_chunk"))
        await rig.cancel(execution_id)
        await rig.until(lambda: not rig.snapshot.executions)
        record = await rig.client.get_execution(execution_id)
    assert record.status == "cancelled"


GATEWAY_TROUBLE = {
    "!error 401": ("failed", "key"),
    "!error 429 0 times=1\n!say fine": ("waiting_for_input", ""),
    "!error 500 times=1\n!say fine": ("waiting_for_input", ""),
    "!break 2 times=1\n!say fine words that go on": ("waiting_for_input", ""),
    "!error 400": ("failed", "400"),
}


@pytest.mark.parametrize("prompt", GATEWAY_TROUBLE)
async def test_trouble_with_the_gateway_is_one_sentence_or_nothing(stage: Stage, tmp_path: Path, prompt: str) -> None:
    status, word = GATEWAY_TROUBLE[prompt]
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute(f"gateway trouble {prompt[:12]}\n{prompt}")
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        errors = await rig.sent(execution_id, "error")
    assert record.status == status, record.error_message
    if status == "failed":
        assert word in record.error_message
        assert "\n" not in record.error_message
        assert errors[-1]["data"]["details"]["error_message"] == record.error_message
    else:
        assert record.response.startswith("fine")


async def test_an_execution_that_is_cancelled_while_it_begins_holds_no_place(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        for number in range(3):
            execution_id = await rig.execute(f"early cancel {number}\n!hang 600\n!instant")
            await until(lambda one=execution_id: _cancelled(rig, one))  # type: ignore[misc]
        await rig.until(lambda: not rig.snapshot.executions)
        await rig.engine.stop()
        assert (await rig.stopped()).exit_code == 0


async def _cancelled(rig: Rig, execution_id: str) -> bool:
    """The server takes a cancellation as soon as the execution runs."""
    try:
        await rig.client.cancel(execution_id)
    except ControlPlaneError:
        return False
    return True


async def test_a_result_that_cannot_be_journaled_is_reported_all_the_same(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise JournalError("The tool journal cannot be written (No space left on device).")

    monkeypatch.setattr(Journal, "record", full)
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("full disk\n" + tool("echo it ran", "!say told"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        [completed] = await rig.sent(execution_id, "tool_completed")
    assert record.response == "told"
    assert (completed["data"]["status"], completed["data"]["tool_output"]) == ("success", "it ran\n")


async def test_files_of_the_environment_generated_files_and_artefacts(stage: Stage, tmp_path: Path) -> None:
    async with stage.client() as api:
        environment = await api.post(
            "/environments",
            json={
                "name": f"files-{tmp_path.name}",
                "execution_environment": {
                    "files": [
                        {"path": "config/app.ini", "content": "[a]\nb=1\n", "mode": "0640"},
                        {"path": "../../outside", "content": "x"},
                    ]
                },
            },
        )
        assert environment.status_code == 201, environment.text
    agent_id = await new_agent(
        stage, skills=("file_generation", "shell", "teleport"), environment_ids=[environment.json()["id"]]
    )
    document = {"path": "reports/out", "data": {"n": 1}}
    prompt = "\n".join(
        ["files", f"!tool generate_json_file {json.dumps(document)}", tool("cat config/app.ini"), "!say made"]
    )
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute(prompt, agent_id=agent_id)
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "made", record.error_message
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        events = await rig.sent(execution_id)
        await rig.until(lambda: rig.published(ExecutionFinished))
    said = [event["data"]["details"]["error_message"] for event in events if event["event_type"] == "error"]
    assert any("'../../outside' leads out" in one for one in said)
    assert any("teleport" in one for one in said)
    workspace = Workspace.find(home(tmp_path).workspaces, execution_id)
    assert workspace is not None
    assert [(one.path, one.size_bytes) for one in workspace.artefacts()] == [
        ("config/app.ini", 8), ("reports/out.json", 13),
    ]  # fmt: skip
    lines = (workspace.path / ".kubiya/transcript.jsonl").read_text().splitlines()
    assert [json.loads(line)["role"] for line in lines] == ["user", "tool", "tool", "assistant"]
    assert (home(tmp_path).workspaces / f"{execution_id}.ended").read_text() == "completed"
