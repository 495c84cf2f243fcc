"""Programs of the owner's and a web address hear of a worker's life: real processes, real sockets, a real engine."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import running_engine
from tests.support.http_server import Answer, Request, serving
from tests.support.playground import Stage
from tests.support.processes import alive, eventually, pid_in
from worker_core.errors import ConfigurationError
from worker_core.events import ApprovalRequested, EventBus, ExecutionFinished
from worker_core.hooks import webhook as webhook_module
from worker_core.hooks.hooks import MOST_WAITING, Hooks
from worker_core.hooks.occasion import HookFailed
from worker_core.logs.redaction import Redactor
from worker_core.policy.questions import ApprovalBook
from worker_core.settings import Settings, SettingsInForce, load
from worker_core.snapshot import EngineState, StopMode

posix = pytest.mark.skipif(os.name == "nt", reason="the programs are scripts of a POSIX shell")
SECRET = "kw-secret-4711-0815"
FINISHED = ExecutionFinished(execution_id="e-1", status="failed", error="prompt!", queue_id="q-1", agent_id="a-1")


class Rig:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.bus, self.redactor = EventBus(), Redactor()
        self.state = folder / "state"
        self.state.mkdir(exist_ok=True)
        self.redactor.add(SECRET)
        self.book = ApprovalBook(folder / "approvals")
        self.answers: list[tuple[str, bool, str]] = []
        self.in_force = SettingsInForce(Settings(**settings))
        self.hooks = Hooks(
            in_force=self.in_force, bus=self.bus, redactor=self.redactor, folder=self.state,
            held=folder / "held", workspaces=folder / "workspaces", host_id="host-1",
            book=self.book, answer_key=self.state / "answer-key", answer=self.answer,
        )  # fmt: skip

    async def answer(self, approval_id: str, *, allow: bool, by: str, seal: str = "") -> None:
        self.book.answer(approval_id, allow=allow, scope="once", by=by, seal_read=seal)
        self.answers.append((approval_id, allow, by))


def script(folder: Path, text: str, name: str = "hook") -> str:
    """A program that runs `text`; its arguments and its own name have a blank in them."""
    file = folder / f"{name} of mine.sh"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o700)
    return f'"{file}" "an argument"'


@posix
async def test_a_program_is_told_what_happens_and_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBIYA_API_KEY", "LITELLM_API_KEY", "SOMETHING_ELSE"):
        monkeypatch.setenv(name, SECRET)
    told = tmp_path / "told"
    rig = Rig(tmp_path, hook_before_execution=script(tmp_path, f'env > {told}; echo "$1" >> {told}; pwd >> {told}'))
    await rig.hooks.before_execution("e-1", queue_id="q-1", agent_id="a\n\x1b[31m-1")
    *lines, argument, place = told.read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    assert (argument, place) == ("an argument", str(rig.state.resolve()))
    assert {name: value for name, value in variables.items() if name.startswith("KUBIYA_") and "CALL" not in name} == {
        "KUBIYA_HOOK": "before_execution", "KUBIYA_HOST_ID": "host-1", "KUBIYA_EXECUTION_ID": "e-1",
        "KUBIYA_QUEUE_ID": "q-1", "KUBIYA_AGENT_ID": "a -1",
        "KUBIYA_WORKSPACE": str((tmp_path / "workspaces" / "e-1").resolve()),
    }  # fmt: skip
    assert SECRET not in told.read_text()
    assert variables["HOME"] == os.environ["HOME"]


@posix
async def test_what_it_prints_is_logged_masked_and_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    printed = f'echo "key {SECRET}"; echo "\033[31mred"; head -c 1000000 /dev/zero | tr "\\0" "x"; echo; echo last >&2'
    rig = Rig(tmp_path, hook_start=script(tmp_path, printed))
    with caplog.at_level("INFO"):
        await rig.hooks.at_start()
    assert SECRET not in caplog.text
    assert "Hook start: key " in caplog.text
    assert "Hook start: red" in caplog.text
    assert "Hook start: last" in caplog.text
    assert len(caplog.text) < 10_000


@posix
@pytest.mark.parametrize(
    ("text", "sentence"),
    [("exit 7", r"\(.*of mine.sh\) ended with exit code 7"), ("kill -9 $$", "ended with exit code -9")],
)
async def test_its_failure_counts_or_is_ignored(
    tmp_path: Path, text: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(tmp_path, hook_start=script(tmp_path, text))
    with pytest.raises(HookFailed, match=sentence):
        await rig.hooks.at_start()
    (tmp_path / "2").mkdir()
    await Rig(tmp_path / "2", hook_start=script(tmp_path, text), hook_failure="ignore").hooks.at_start()
    assert "It is ignored, as the settings say" in caplog.text


async def test_one_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    rig = Rig(tmp_path, hook_start=str(tmp_path / "nothing"))
    with pytest.raises(HookFailed, match=r"could not be started \(No such file or directory\)"):
        await rig.hooks.at_start()


@posix
async def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    left = "setsid sh -c 'echo $$ > left; exec sleep 1000' & sleep 1000 & echo $! > child; wait"
    rig = Rig(tmp_path, hook_start=script(tmp_path, left), hook_timeout=timedelta(seconds=1))
    with pytest.raises(HookFailed, match=r"did not end within 1 s \(hook_timeout\)"):
        await rig.hooks.at_start()
    for name in ("child", "left"):
        assert not alive(pid_in(rig.state / name))


@posix
async def test_events_start_programs_that_nobody_waits_for(tmp_path: Path) -> None:
    told = tmp_path / "told"
    line = script(tmp_path, f'echo "$KUBIYA_HOOK $KUBIYA_EXECUTION_ID $KUBIYA_OUTCOME $KUBIYA_TOOL" >> {told}')
    rig = Rig(tmp_path, hook_after_execution=line, notify_command=line, hook_drain=line)
    rig.bus.publish(FINISHED)
    rig.bus.publish(ExecutionFinished(execution_id="e-2", status="completed"))
    rig.bus.publish(ApprovalRequested(approval_id="p-1", execution_id="e-3", tool_name="shell"))
    rig.hooks.begin_drain()
    rig.hooks.worker_failed()
    await rig.hooks.ended()
    assert sorted(told.read_text().splitlines()) == [
        "after_execution e-1 failed ", "after_execution e-2 completed ", "drain   ", "failed  worker ",
        "failed e-1 failed ", "waiting e-3  shell",
    ]  # fmt: skip
    rig.bus.publish(FINISHED)
    await rig.hooks.ended()
    assert len(told.read_text().splitlines()) == 6, "nothing begins afterwards"


@posix
async def test_many_wait_in_line_and_too_many_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = tmp_path / "told"
    rig = Rig(tmp_path, hook_after_execution=script(tmp_path, f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"))
    for number in range(MOST_WAITING + 3):
        rig.bus.publish(ExecutionFinished(execution_id=f"e-{number}", status="completed"))
    assert caplog.text.count("hooks are under way") == 3
    assert not told.exists()
    await rig.hooks._behind.end(limit=timedelta(seconds=20))


def receiver(*statuses: int) -> Callable[[Request], Answer]:
    left = list(statuses)
    return lambda _: Answer(status=left.pop(0) if left else 200)


async def test_a_web_address_is_told_signed_and_little(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("signing-key\n")
    with serving(receiver()) as server:
        rig = Rig(
            tmp_path, notify_webhook=f"http://127.0.0.1:{server.port}/hook?x=1", notify_webhook_secret_file=secret
        )
        rig.bus.publish(ApprovalRequested(approval_id="p-1", execution_id="e-1", tool_name="shell"))
        rig.bus.publish(FINISHED)
        rig.bus.publish(ExecutionFinished(execution_id="e-2", status="completed"))
        await rig.hooks.ended()
        waiting, failed = sorted(server.requests, key=lambda one: one.headers["x-kubiya-event"], reverse=True)
    assert (waiting.method, waiting.path, waiting.headers["content-type"]) == ("POST", "/hook?x=1", "application/json")
    for request in (waiting, failed):
        signed = f"{request.headers['x-kubiya-timestamp']}.".encode() + request.body
        expected = hmac.new(b"signing-key", signed, hashlib.sha256).hexdigest()
        assert request.headers["x-kubiya-signature"] == f"sha256={expected}"
    said = json.loads(waiting.body)
    assert said.pop("at")
    assert said == {
        "event": "waiting", "host_id": "host-1", "execution_id": "e-1", "approval_id": "p-1", "tool": "shell",
    }  # fmt: skip
    assert json.loads(failed.body)["outcome"] == "failed"
    assert b"prompt" not in failed.body
    assert rig.redactor.mask("signing-key") != "signing-key"


@pytest.mark.parametrize(
    ("statuses", "calls", "told"),
    [((503, 500, 200), 3, True), ((429, 200), 2, True), ((400,), 1, False), ((302,), 1, False), ((500,) * 9, 3, False)],
)
async def test_it_is_tried_a_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    statuses: tuple[int, ...], calls: int, told: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(webhook_module, "FIRST_REST", timedelta(milliseconds=10))
    with serving(receiver(*statuses)) as server:
        rig = Rig(tmp_path, notify_webhook=f"http://127.0.0.1:{server.port}/T0/B0/path-that-is-a-secret")
        rig.hooks.worker_failed()
        await rig.hooks.ended()
    assert len(server.requests) == calls
    assert len({request.headers["x-kubiya-delivery"] for request in server.requests}) == 1
    assert ("did not take 'failed'" in caplog.text) is not told
    assert "path-that-is-a-secret" not in caplog.text


async def test_a_dead_web_address_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhook_module, "FIRST_REST", timedelta(milliseconds=10))
    monkeypatch.setattr(webhook_module, "CALL_LIMIT", timedelta(milliseconds=100))

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        rig = Rig(tmp_path, notify_webhook=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        rig.hooks.worker_failed()
        await rig.hooks.ended()
    assert "(TimeoutError)" in caplog.text


@pytest.mark.parametrize(
    "text",
    ["http://example.com/x", "ftp://x", "https://", "https://user:pass@example.com", "http://127.0.0.1.example", "x"],
)
def test_where_anybody_could_listen_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"it must begin with https|it holds a user name"):
        load(environ={}, flags={"notify_webhook": text})


@pytest.mark.parametrize("text", ['"open', "   ", "''"])
def test_what_is_no_command_line_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"quotation mark|it must be a program"):
        load(environ={}, flags={"hook_start": text})


# --- an engine ----------------------------------------------------------------------------------------------------


@posix
async def test_a_worker_s_life_as_hooks_hear_it(stage: Stage, tmp_path: Path) -> None:
    told = tmp_path / "told"
    line = script(
        tmp_path, f'[ -n "$KUBIYA_WORKSPACE" ] && there=$(ls -d "$KUBIYA_WORKSPACE" | wc -l)\n'
        f'echo "$KUBIYA_HOOK:$KUBIYA_EXECUTION_ID:$KUBIYA_OUTCOME:$there" >> {told}',
    )  # fmt: skip
    every = dict.fromkeys(
        ("hook_start", "hook_before_execution", "hook_after_execution", "hook_drain", "notify_command"), line
    )
    async with running_engine(stage, tmp_path, **every) as rig:
        assert told.read_text() == "start:::\n"
        execution_id = await rig.execute(f"hooks {id(rig)}\n!instant")
        await rig.reach(execution_id, "waiting_for_input")
        await rig.cancel(execution_id)
        await rig.reach(execution_id, "cancelled")
        await rig.until(lambda: rig.published(ExecutionFinished))
        await rig.engine.stop(mode=StopMode.DRAIN)
        assert (await rig.stopped()).state is EngineState.STOPPED
    begun, *rest = told.read_text().splitlines()[1:]
    assert begun == f"before_execution:{execution_id}::1"
    assert sorted(rest) == [f"after_execution:{execution_id}:cancelled:1", "drain:::"]


@posix
async def test_an_execution_whose_hook_fails_does_not_begin(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, hook_before_execution=script(tmp_path, "exit 3")) as rig:
        execution_id = await rig.execute(f"hooked {id(rig)}\n!instant")
        record = await rig.reach(execution_id, "failed")
        assert "ended with exit code 3" in record.error_message
        assert not stage.model_calls(f"hooked {id(rig)}")


@posix
async def test_a_worker_whose_hook_fails_does_not_start(stage: Stage, tmp_path: Path) -> None:
    told = tmp_path / "told"
    line = script(tmp_path, f'echo "$KUBIYA_HOOK $KUBIYA_OUTCOME" >> {told}; [ "$KUBIYA_HOOK" != start ]')
    async with running_engine(stage, tmp_path, ready=False, hook_start=line, notify_command=line) as rig:
        final = await rig.stopped()
    assert (final.state, final.exit_code) == (EngineState.FAILED, 3)
    assert "The hook start" in final.reason
    assert told.read_text().splitlines() == ["start ", "failed worker"]


@posix
async def test_a_start_hook_does_not_hold_up_who_leaves(stage: Stage, tmp_path: Path) -> None:
    line = script(tmp_path, "echo $$ > begun; exec sleep 1000")
    async with running_engine(stage, tmp_path, ready=False, hook_start=line) as rig:
        begun = tmp_path / "state" / "begun"
        await eventually(begun.exists)
        await rig.engine.stop(mode=StopMode.DRAIN)
        assert (await rig.stopped()).state is EngineState.STOPPED
        assert not alive(pid_in(begun))
