"""Calls that must be asked for: over a real Temporal, a real control plane, and restarts of the worker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.engine.answering import asked, decided, run
from tests.support.engine import Rig, home, new_queue, running_engine
from tests.support.executions import Viewer, submit, tool
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_socket.server import ControlSocket
from worker_core.errors import KubiyaError
from worker_core.events import ApprovalAnswered, ApprovalRequested
from worker_core.logs.ring import LogRing
from worker_core.policy import decision, questions


async def tool_message(rig: Rig, execution_id: str) -> str:
    session = await rig.client.load_session(execution_id)
    assert session is not None
    return str([message for message in session["messages"] if message["role"] == "tool"])


def asking(folder: Path) -> tuple[Path, str]:
    """A file outside of every workspace, and a command that makes it."""
    target = folder / "outside.txt"
    return target, f"echo done >> {target}"


class DaysOff:
    """The clock of a machine that is some days behind, or ahead."""

    def __init__(self, days: int) -> None:
        self.off = timedelta(days=days)

    def now(self, zone: object = UTC) -> datetime:
        return datetime.now(UTC) + self.off

    def time(self) -> float:
        return self.now().timestamp()


@pytest.fixture(params=[-2, 2])
def _days_off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = DaysOff(request.param)
    monkeypatch.setattr(decision, "datetime", clock)
    monkeypatch.setattr(questions, "_now", clock.now)
    monkeypatch.setitem(ControlPlaneClient.__init__.__kwdefaults__, "now", clock.time)


@pytest.mark.usefixtures("_days_off")
async def test_a_machine_whose_clock_is_days_off_is_asked_and_heard(stage: Stage, tmp_path: Path) -> None:
    """Temporal waits by its own clock: a call of a machine that was behind timed out as it was asked about."""
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute("approve\n" + tool(command, "!say yes"))
        view = await asked(rig)
        another = await rig.execute("meanwhile\n" + tool("echo there", "!say yes"))
        await rig.reach(another, "waiting_for_input")
        assert [one.id for one in rig.snapshot.approvals] == [view.id], "it stands"
        await rig.engine.answer_approval(view.id, allow=True)
        await rig.reach(execution_id, "waiting_for_input")
    assert target.read_text() == "done\n"


@pytest.mark.usefixtures("_days_off")
async def test_a_machine_whose_clock_is_days_off_waits_as_long_as_it_says(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask", approval_timeout=timedelta(seconds=3)) as rig:
        execution_id = await rig.execute("approve\n" + tool(command, "!say no"))
        await rig.reach(execution_id, "waiting_for_input")
        assert "denied by time-out" in await tool_message(rig, execution_id)
    assert not target.exists()


async def test_an_allowed_call_runs_once(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute("approve\n" + tool(command, "!say yes"))
        view = await asked(rig)
        assert view.execution_id == execution_id
        said = {part.name: part.text for part in view.parts}
        assert said["command"] == command
        assert said["working folder"] == str(home(tmp_path).workspaces / execution_id)
        assert "<outside>" in said["asked because"]
        [[reason]] = view.parts[-1].said
        assert "It is outside of the execution's workspace." in str(reason.values["why"])
        assert not target.exists()
        await rig.until(lambda: rig.snapshot.executions[0].status == "waiting_for_approval")
        await rig.engine.answer_approval(view.id, allow=True)
        await rig.reach(execution_id, "waiting_for_input")
        kinds = [event["event_type"] for event in await rig.sent(execution_id)]
        [told] = await rig.sent(execution_id, "approval_requested")
        assert all(part.keys() == {"name", "text", "left_out", "kind"} for part in told["data"]["parts"])
        with pytest.raises(KubiyaError, match="No approval waits"):
            await rig.engine.answer_approval(view.id, allow=True)
        assert rig.snapshot.approvals == ()
        assert len(rig.published(ApprovalRequested)) == len(rig.published(ApprovalAnswered)) == 1
    assert target.read_text() == "done\n"
    steps = [kind for kind in kinds if kind.startswith(("approval", "tool"))]
    assert steps == ["approval_requested", "approval_answered", "tool_started", "tool_completed"]
    assert decided(tmp_path) == [("ask", ""), ("answer", "allow")]


async def test_a_call_that_is_too_long_to_be_shown_is_read_before_it_is_allowed(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither this machine's user nor the control plane allows what was not shown."""
    target, content = tmp_path / "outside.txt", "first\n" + "x" * 20_000 + "\nlast"
    call = f"!tool write_file {json.dumps({'content': content, 'path': str(target)})}"
    options: Any = {"approvals": "ask", "remote_approvals": True}
    async with running_engine(stage, tmp_path, **options) as rig:
        execution_id = await rig.execute(f"long\n{call}\n!say over")
        view = await asked(rig)
        assert [part.name for part in view.parts] == ["content", "path", "working folder", "asked because"]
        assert view.left_out == view.parts[0].left_out > 14_000
        assert view.parts[1].text == str(target)
        [event] = await until(lambda: rig.sent(execution_id, "approval_requested"))
        assert event["data"]["left_out"] == view.left_out
        assert f"{view.left_out:,} more characters" in event["data"]["summary"]
        async with stage.client() as api:
            path = f"/executions/{execution_id}/approvals/{event['data']['tool_execution_id']}"
            assert (await api.post(path, json={"answer": "allow"})).status_code == 200
        await until(lambda: _logged(caplog, "it was not shown all of it"))
        for seal in ("", "000000"):
            with pytest.raises(KubiyaError, match="approvals show"):
                await rig.engine.answer_approval(view.id, allow=True, seal=seal)
        question = rig.engine.whole_question(view.id)
        assert question.parts[0].text == content
        with pytest.raises(KubiyaError, match="not for always"):
            await rig.engine.answer_approval(view.id, allow=True, scope="always", seal=question.seal)
        assert rig.snapshot.approvals == (view,)
        await rig.engine.answer_approval(view.id, allow=True, seal=question.seal)
        await rig.reach(execution_id, "waiting_for_input")
    assert decided(tmp_path) == [("ask", ""), ("answer", "allow")]


async def test_each_step_of_a_workflow_is_shown(stage: Stage, tmp_path: Path) -> None:
    file = home(tmp_path).policy_file
    file.parent.mkdir(parents=True)
    file.write_text('[[ask]]\ntool = "run_workflow"\n')
    steps = [{"name": "build", "command": "echo build"}, {"name": "ship", "command": "echo ship", "depends": ["build"]}]
    async with stage.client() as api:
        configuration = {"workflow_definition": {"name": "nightly", "steps": steps}}
        body = {"name": "workflows", "type": "workflow_executor", "configuration": configuration}
        skill = (await api.post("/skills", json=body)).json()["id"]
        agent = (await api.post("/agents", json={"name": "nightly", "skill_ids": [skill]})).json()["id"]
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        call = f"!tool run_workflow {json.dumps({'workflow': 'nightly'})}"
        execution_id = await rig.execute(f"steps\n{call}\n!say over", agent_id=agent)
        view = await asked(rig)
        assert [(part.name, part.text) for part in view.parts if part.kind in {"argument", "runs"}] == [
            ("workflow", "nightly"), ("step 1, build", "echo build"), ("step 2, ship", "echo ship")
        ]  # fmt: skip
        await rig.engine.answer_approval(view.id, allow=False)
        await rig.reach(execution_id, "waiting_for_input")


async def test_a_denied_call_is_told_to_the_model(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute("deny\n" + tool(command, "!say a pity"))
        await rig.engine.answer_approval((await asked(rig)).id, allow=False)
        record = await rig.reach(execution_id, "waiting_for_input")
        said = await tool_message(rig, execution_id)
    assert record.response == "a pity"
    assert "denied by the user of this machine" in said
    assert not target.exists()
    assert decided(tmp_path) == [("ask", ""), ("answer", "deny")]


async def test_what_the_policy_denies_is_told_to_the_model_and_never_asked(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, approvals="allow") as rig:
        execution_id = await rig.execute("keys\n" + tool("cat ~/.ssh/id_rsa", "!say understood"))
        await rig.reach(execution_id, "waiting_for_input")
        said = await tool_message(rig, execution_id)
        [completed] = await rig.sent(execution_id, "tool_completed")
    assert "denied by the policy of this machine" in said
    assert ".ssh/**" in said
    assert completed["data"]["status"] == "failed"
    assert decided(tmp_path) == [("deny", "")]


async def test_a_policy_that_breaks_while_the_worker_runs_denies(stage: Stage, tmp_path: Path) -> None:
    file = home(tmp_path).policy_file
    file.parent.mkdir(parents=True)
    file.write_text('[[deny]]\ncommand = "rm *"\n')
    async with running_engine(stage, tmp_path, approvals="allow") as rig:
        file.write_text('[[deny]\ncommand = "touch *"\n')
        execution_id = await rig.execute("broken\n" + tool("touch denied.txt", "!say understood"))
        await rig.reach(execution_id, "waiting_for_input")
        said = await tool_message(rig, execution_id)
        assert not (home(tmp_path).workspaces / execution_id / "denied.txt").exists()
    assert "The policy file is broken" in said
    assert "line 1:" in said
    assert decided(tmp_path) == [("deny", "")]


async def test_silence_is_a_denial(stage: Stage, tmp_path: Path) -> None:
    from datetime import timedelta

    target, command = asking(tmp_path)
    options: Any = {"approvals": "ask", "approval_timeout": timedelta(seconds=1)}
    async with running_engine(stage, tmp_path, **options) as rig:
        execution_id = await rig.execute("silence\n" + tool(command, "!say hm"))
        await rig.reach(execution_id, "waiting_for_input")
        said = await tool_message(rig, execution_id)
        assert rig.snapshot.approvals == ()
    assert "denied by time-out" in said
    assert not target.exists()
    assert decided(tmp_path) == [("ask", ""), ("answer", "timeout")]


async def test_always_writes_a_rule_and_the_next_call_is_not_asked(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    file = home(tmp_path).policy_file
    file.parent.mkdir(parents=True)
    file.write_text('# mine\n[[ask]] # about this\npath = "/**"\n')
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        first = await rig.execute("always\n" + tool(command, "!instant"))
        await rig.engine.answer_approval((await asked(rig)).id, allow=True, scope="always")
        await rig.reach(first, "waiting_for_input")
        second = await rig.execute("always again\n" + tool(command, "!instant"))
        await rig.reach(second, "waiting_for_input")
        third = await rig.execute("another\n" + tool(f"{command}.other", "!instant"))
        assert (await asked(rig)).execution_id == third
        await rig.engine.answer_approval((await asked(rig)).id, allow=False)
        await rig.reach(third, "waiting_for_input")
    assert target.read_text() == "done\ndone\n"
    text = file.read_text()
    assert text.startswith('# mine\n[[ask]] # about this\npath = "/**"\n')
    assert str(target) in text
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600


async def approvals(folder: Path, *words: str, says: str = "") -> tuple[int, str]:
    """Exit code and output of `kubiya-worker approvals` for the worker of this home."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker_core", "approvals", *words, "--worker", "rack-7",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "KUBIYA_WORKER_HOME": str(folder), "NO_COLOR": "1", "COLUMNS": "300"},
    )  # fmt: skip
    output, _ = await program.communicate(says.encode())
    assert program.returncode is not None
    return program.returncode, output.decode()


async def test_a_terminal_says_the_rule_and_writes_the_one_that_it_is_given(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        socket = ControlSocket(engine=rig.engine, log_ring=LogRing(), folder=home(tmp_path).runtime, name="rack-7")
        socket.open()
        try:
            first = await rig.execute("always\n" + tool(command, "!instant"))
            view = await asked(rig)
            code, listed = await approvals(tmp_path, "list")
            assert code == 0
            assert f'always writes  [[allow]] path = "{target}", tool = "shell", always = true' in listed
            assert textwrap.indent(view.rule, "    ") in (await approvals(tmp_path, "show", view.id))[1]
            always = ("allow", view.id, "--scope", "always", "--rule", "-")
            wider = view.rule.replace("outside.txt", "*.txt")
            code, said = await approvals(tmp_path, *always, says=view.rule.replace("outside", "inside"))
            assert code != 0
            assert "would be asked about again" in said
            code, said = await approvals(tmp_path, *always, says="")
            assert "There is no rule" in said
            assert rig.snapshot.approvals == (view,)
            assert await approvals(tmp_path, *always, says=wider) == (0, f"allowed  {view.id}  shell\n")
            await rig.reach(first, "waiting_for_input")
            second = await rig.execute("always again\n" + tool(f"{command}.txt", "!instant"))
            await rig.reach(second, "waiting_for_input")
        finally:
            socket.close()
    assert "*.txt" in home(tmp_path).policy_file.read_text()
    assert target.read_text() == "done\n"
    assert (tmp_path / "outside.txt.txt").read_text() == "done\n"


async def test_an_answer_for_the_execution_ends_with_it(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute("\n".join(["for the execution", *[tool(command)] * 2, "!instant"]))
        await rig.engine.answer_approval((await asked(rig)).id, allow=True, scope="execution")
        await rig.reach(execution_id, "waiting_for_input")
        assert target.read_text() == "done\ndone\n"
        other = await rig.execute("another execution\n" + tool(command, "!instant"))
        assert (await asked(rig)).execution_id == other
        await rig.cancel(other)
        await rig.until(lambda: not rig.snapshot.approvals)
    assert not home(tmp_path).policy_file.exists()


async def test_cancelled_while_it_waits(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute("cancel it\n" + tool(command))
        await asked(rig)
        await rig.cancel(execution_id)  # long before the question's own end
        await rig.until(lambda: not rig.snapshot.executions and not rig.snapshot.approvals)
    assert not target.exists()


async def test_paused_while_it_waits_it_runs_when_it_is_resumed(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute("pause it\n" + tool(command, "!instant"))
        view = await asked(rig)
        await rig.known_to_run(execution_id)
        async with stage.client() as api:
            assert (await api.post(f"/executions/{execution_id}/pause")).json()["success"]
            await rig.engine.answer_approval(view.id, allow=True)
            assert (await rig.reach(execution_id, "paused")).status == "paused"
            assert not target.exists()
            await api.post(f"/executions/{execution_id}/resume")
        await rig.reach(execution_id, "waiting_for_input")
    assert target.read_text() == "done\n"


@pytest.mark.parametrize("counts", [False, True])
async def test_the_control_plane_may_deny_and_allows_only_where_it_was_let(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture, counts: bool
) -> None:
    target, command = asking(tmp_path)
    async with running_engine(stage, tmp_path, approvals="ask", remote_approvals=counts) as rig:
        execution_id = await rig.execute(f"remote {counts}\n" + tool(command, "!instant"))
        await asked(rig)
        [event] = await until(lambda: rig.sent(execution_id, "approval_requested"))
        path = f"/executions/{execution_id}/approvals/{event['data']['tool_execution_id']}"
        async with stage.client() as api:
            assert (await api.post(path, json={"answer": "allow", "scope": "execution"})).status_code == 200
            if not counts:
                await until(lambda: _logged(caplog, "does not count here"))
                assert (await api.post(path, json={"answer": "deny"})).status_code == 200
        await rig.reach(execution_id, "waiting_for_input")
        said = await tool_message(rig, execution_id)
    assert target.exists() is counts
    assert ("denied by somebody on the control plane" in said) is not counts


@pytest.mark.parametrize("required", [False, True])
async def test_the_enforcer_only_narrows(stage: Stage, tmp_path: Path, required: bool) -> None:
    options: Any = {"enforcer": True, "enforcer_required": required}
    async with running_engine(stage, tmp_path, **options) as rig:
        lines = [
            tool(f"echo {word} | tee -a out") for word in ("fine", "forbidden-by-the-enforcer", "breaks-the-enforcer")
        ]
        execution_id = await rig.execute("\n".join([f"enforcer {required}", *lines, "!instant"]))
        await rig.reach(execution_id, "waiting_for_input")
        denied = await rig.execute(f"enforcer denies less {required}\n" + tool("cat ~/.aws/credentials", "!instant"))
        await rig.reach(denied, "waiting_for_input")
        assert "denied by the policy" in await tool_message(rig, denied)
        said = await tool_message(rig, execution_id)
        out = (home(tmp_path).workspaces / execution_id / "out").read_text()
    assert out == ("fine\n" if required else "fine\nbreaks-the-enforcer\n")
    assert "control plane's enforcer (policies: playground)" in said
    assert ("did not answer" in said) is required


async def _logged(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


async def test_a_long_call_is_read_and_allowed_with_the_command(
    stage: Stage,
    tmp_path: Path,
    client: ControlPlaneClient,
) -> None:
    target, command = asking(tmp_path)
    long = f"{command}; : {'x' * 9_000}"
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    with worker_process(stage, tmp_path, queue, KUBIYA_WORKER_APPROVALS="ask") as worker:
        worker.wait_ready()
        execution_id = await submit(stage, client, queue, "a long one\n" + tool(long, "!say at last"))
        await until(lambda: viewer.sent(execution_id, "approval_requested"))
        listed = await asyncio.to_thread(run, tmp_path, "approvals")
        approval_id = listed.split()[0]
        assert "more characters" in listed
        assert f"kubiya-worker approvals show {approval_id}" in listed
        refused = await asyncio.to_thread(run, tmp_path, "approvals", "allow", approval_id, code=1)
        assert "Read it whole, then allow it" in refused
        shown = await asyncio.to_thread(run, tmp_path, "approvals", "show", approval_id)
        assert long in shown
        assert "more characters" not in shown
        said = shown.splitlines()[-1].split("kubiya-worker ")[1].split()
        assert said[:-1] == ["approvals", "allow", approval_id, "--read"]
        as_json = json.loads(await asyncio.to_thread(run, tmp_path, "approvals", "show", approval_id, "--json"))
        assert (as_json["seal"], as_json["parts"][0]) == (
            said[-1], {"name": "command", "text": long, "left_out": 0, "kind": "argument"}
        )  # fmt: skip
        assert not target.exists()
        await asyncio.to_thread(run, tmp_path, *said)
        await viewer.reach(execution_id, "waiting_for_input")
        assert worker.terminate() == 0
    assert target.read_text() == "done\n"


async def test_a_killed_worker_keeps_waiting_and_is_answered_by_the_command(
    stage: Stage,
    tmp_path: Path,
    client: ControlPlaneClient,
) -> None:
    target, command = asking(tmp_path)
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    with worker_process(stage, tmp_path, queue, KUBIYA_WORKER_APPROVALS="ask") as worker:
        worker.wait_ready()
        execution_id = await submit(stage, client, queue, "over a restart\n" + tool(command, "!say at last"))
        await until(lambda: viewer.sent(execution_id, "approval_requested"))
        worker.kill()
    with worker_process(stage, tmp_path, queue, KUBIYA_WORKER_APPROVALS="ask") as worker:
        worker.wait_ready()
        listed = await asyncio.to_thread(run, tmp_path, "approvals")
        assert str(target) in listed
        assert not target.exists()
        await asyncio.to_thread(run, tmp_path, "approvals", "allow", listed.split()[0][:5])
        record = await viewer.reach(execution_id, "waiting_for_input")
        assert worker.terminate() == 0
    assert record.response == "at last"
    assert target.read_text() == "done\n"
    assert decided(tmp_path) == [("ask", ""), ("answer", "allow")]
    assert len(stage.model_calls("over a restart")) == 2
