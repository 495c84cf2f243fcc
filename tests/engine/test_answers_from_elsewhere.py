"""Answers from where the user was called, over a real Temporal and a worker that is killed in between."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.engine.answering import asked, decided
from tests.engine.test_approvals import asking
from tests.hooks.test_hooks import script
from tests.support.engine import home, new_queue, running_engine
from tests.support.executions import Viewer, submit, tool
from tests.support.http_server import Answer, serving
from tests.support.playground import Stage, until
from tests.support.processes import eventually
from tests.support.topics import topics
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.hooks.replies import signature
from worker_core.policy.audit import entries

posix = pytest.mark.skipif(os.name == "nt", reason="the programs are scripts of a POSIX shell")


@posix
async def test_a_program_allows_a_call(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    answer = 'printf \'{"answer": "allow", "code": "%s"}\\n\' "$KUBIYA_ANSWER_CODE"'
    options: Any = {"notify_command": script(tmp_path, answer), "notify_answers": "command"}
    async with running_engine(stage, tmp_path, approvals="ask", **options) as rig:
        execution_id = await rig.execute("by a program\n" + tool(command, "!say done"))
        await rig.reach(execution_id, "waiting_for_input")
    assert target.read_text() == "done\n"
    assert decided(tmp_path) == [("ask", ""), ("answer", "allow")]
    assert [one["by"] for one in entries(home(tmp_path).audit_file) if one["kind"] == "answer"] == [
        "the user of this machine, by notify_command"
    ]


async def test_a_signed_answer_allows_a_call_that_was_shown(stage: Stage, tmp_path: Path) -> None:
    target, command = asking(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("signing-key-0815")
    with topics() as server, serving(lambda _: Answer()) as receiver:
        options: Any = {
            "notify_webhook": f"http://127.0.0.1:{receiver.port}/", "notify_webhook_secret_file": secret,
            "notify_answers": server.url("answers/json"), "notify_details": True, "remote_approvals": True,
        }  # fmt: skip
        async with running_engine(stage, tmp_path, approvals="ask", **options) as rig:
            execution_id = await rig.execute("from a bot\n" + tool(command, "!say done"))
            await asked(rig)
            await eventually(lambda: receiver.requests)
            notice = json.loads(receiver.requests[0].body)
            assert command in notice["question"]
            signed = signature("signing-key-0815", answer="allow", code=notice["code"])
            said = {"answer": "allow", "code": notice["code"], "signature": f"sha256={signed}"}
            server.publish("answers", json.dumps(said))
            await rig.reach(execution_id, "waiting_for_input")
    assert target.read_text() == "done\n"
    assert decided(tmp_path) == [("ask", ""), ("answer", "allow")]


async def test_a_killed_worker_hears_what_was_answered_meanwhile(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    target, command = asking(tmp_path)
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    with topics() as server:
        environment = {
            "KUBIYA_WORKER_APPROVALS": "ask", "KUBIYA_WORKER_NOTIFY_FORMAT": "ntfy",
            "KUBIYA_WORKER_NOTIFY_WEBHOOK": server.url("calls"),
            "KUBIYA_WORKER_NOTIFY_ANSWERS": server.url("answers/json"),
        }  # fmt: skip
        with worker_process(stage, tmp_path, queue, **environment) as worker:
            worker.wait_ready()
            execution_id = await submit(stage, client, queue, "by phone\n" + tool(command, "!say a pity"))
            await until(lambda: _done(server.posted))
            worker.kill()
        [button] = server.posted[0]["actions"]
        server.publish("answers", button["body"])
        with worker_process(stage, tmp_path, queue, **environment) as worker:
            record = await viewer.reach(execution_id, "waiting_for_input")
            worker.wait_log("was answered by the user, by notify_answers: deny")
            assert worker.terminate() == 0
        assert len(server.posted) == 1
    assert record.response == "a pity"
    assert not target.exists()
    assert decided(tmp_path) == [("ask", ""), ("answer", "deny")]


async def _done(found: Any) -> Any:
    return found
