"""The machine that held a workspace is gone for good: another one goes on, and the model is told."""

from __future__ import annotations

from pathlib import Path

from tests.support.engine import home, new_queue
from tests.support.executions import Viewer, sequences, submit, tool
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.agents.workflows.home import HOME_LOST_NOTE
from worker_core.control_plane.client import ControlPlaneClient

SOON = {"KUBIYA_WORKER_HOME_LOST_AFTER": "3"}


async def test_between_calls_the_next_machine_goes_on_with_the_conversation(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    one, two = home(tmp_path / "one"), home(tmp_path / "two")
    steps = [tool("echo first > made; echo made it"), "!hang 1", tool("ls"), "!history", "!say over"]
    hooked = {"KUBIYA_WORKER_HOOK_BEFORE_EXECUTION": f"touch {tmp_path}/hooked", **SOON}
    with worker_process(stage, tmp_path / "one", queue, **hooked) as first:
        first.wait_ready()
        execution_id = await submit(stage, client, queue, "\n".join([f"rehomed {queue}", *steps]))

        async def asked_again() -> bool:  # the event leaves before the workflow knows the result
            return len(stage.model_calls(f"rehomed {queue}")) == 2

        await until(asked_again)
        first.kill()
    (tmp_path / "hooked").unlink()
    with worker_process(stage, tmp_path / "two", queue, **hooked) as second:
        second.wait_ready()
        record = await viewer.reach(execution_id, "waiting_for_input", "failed")
        assert second.terminate() == 0
    assert record.response.endswith("over"), record.error_message
    assert not (tmp_path / "hooked").exists(), "it began before"
    assert (one.workspaces / execution_id / "made").exists()
    assert (two.workspaces / execution_id).is_dir()
    assert not (two.workspaces / execution_id / "made").exists(), "a fresh workspace"
    session = await client.load_session(execution_id)
    assert session is not None
    outputs = [message["content"] for message in session["messages"] if message["role"] == "tool"]
    assert outputs[0].strip() == "made it", "what was known is known still"
    assert "made" not in outputs[1]
    [note] = [message for message in session["messages"] if message["role"] == "system"]
    assert note["content"] == HOME_LOST_NOTE
    assert len(stage.model_calls(f"rehomed {queue}")) in {3, 4}, "only what was awaited at the kill is asked again"
    events = await viewer.sent(execution_id)
    assert sequences(events) == sorted(set(sequences(events)))


async def test_a_call_that_was_under_way_is_not_made_again_elsewhere(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    outside = tmp_path / "effects"
    prompt = "\n".join([f"under way {queue}", tool(f"echo once >> {outside}; sleep 1000"), "!say careful"])
    with worker_process(stage, tmp_path / "one", queue, **SOON) as first:
        first.wait_ready()
        execution_id = await submit(stage, client, queue, prompt)

        async def written() -> bool:
            return outside.exists()

        await until(written)
        first.kill()
    with worker_process(stage, tmp_path / "two", queue, **SOON) as second:
        second.wait_ready()
        record = await viewer.reach(execution_id, "waiting_for_input", "failed")
        assert second.terminate() == 0
    assert record.response == "careful", record.error_message
    assert outside.read_text() == "once\n"
    session = await client.load_session(execution_id)
    assert session is not None
    [answered] = [message for message in session["messages"] if message["role"] == "tool"]
    assert "outcome of this call is unknown" in answered["content"]


async def test_a_machine_that_comes_back_in_time_keeps_its_execution(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    steps = [tool("echo first > made"), "!hang 1", tool("cat made"), "!say over"]
    prompt = "\n".join([f"back again {queue}", *steps])
    with worker_process(stage, tmp_path / "two", queue) as other:
        with worker_process(stage, tmp_path / "one", queue) as first:
            first.wait_ready()
            execution_id = await submit(stage, client, queue, prompt)
            await until(lambda: viewer.sent(execution_id, "tool_completed"))
            held = next(name for name in ("one", "two") if (home(tmp_path / name).workspaces / execution_id).exists())
            (first if held == "one" else other).kill()
        with worker_process(stage, tmp_path / held, queue) as again:
            again.wait_ready()
            await viewer.reach(execution_id, "waiting_for_input", "failed")
    session = await client.load_session(execution_id)
    assert session is not None
    outputs = [message["content"].strip() for message in session["messages"] if message["role"] == "tool"]
    assert outputs[1] == "first"
    assert [message for message in session["messages"] if message["role"] == "system"] == []
