"""Answers from where the user was called: programs that print one, and a topic on a real socket."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.hooks.asking import asks, button, from_topic, question, rigged
from tests.hooks.test_hooks import script
from tests.support.http_server import Answer, serving
from tests.support.processes import alive, eventually, pid_in
from tests.support.topics import Topics
from worker_core.events import ApprovalAnswered, ExecutionFinished
from worker_core.hooks.codes import Codes
from worker_core.hooks.replies import signature
from worker_core.snapshot import QuestionPart

posix = pytest.mark.skipif(os.name == "nt", reason="the programs are scripts of a POSIX shell")
SECRET = "a-signing-key-4711"

pytestmark = pytest.mark.usefixtures("no_long_rests")


def secret_in(folder: Path) -> Path:
    file = folder / "secret"
    file.write_text(SECRET)
    return file


# --- a program ----------------------------------------------------------------------------------------------------


ANSWERS = 'printf \'{"answer": "%s", "code": "%s"}\\n\' '


@posix
@pytest.mark.parametrize("answer", ["allow", "deny"])
async def test_a_program_answers_as_its_owner(tmp_path: Path, answer: str) -> None:
    line = script(tmp_path, f'echo "asking for $KUBIYA_TOOL"; {ANSWERS}{answer} "$KUBIYA_ANSWER_CODE"')
    async with rigged(tmp_path, notify_command=line, notify_answers="command") as rig:
        asked = asks(rig, question())
        await eventually(lambda: rig.answers)
        assert rig.answers == [(asked.id, answer == "allow", "the user of this machine, by notify_command")]


@posix
async def test_what_it_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = script(tmp_path, 'env > told; echo "code $KUBIYA_ANSWER_CODE"')
    with caplog.at_level("INFO"):
        async with rigged(tmp_path, notify_command=line, notify_answers="command", notify_details=True) as rig:
            asks(rig, question())
            await eventually(lambda: "Hook waiting: code" in caplog.text)
            told = dict(one.split("=", 1) for one in (rig.state / "told").read_text().splitlines() if "=" in one)
    assert told["KUBIYA_QUESTION"] == "command: rm -r build"
    assert told["KUBIYA_ANSWERS"] == "allow deny"
    assert told["KUBIYA_ANSWER_CODE"] not in caplog.text
    assert "code ***" in caplog.text
    assert rig.answers == [], "it printed none"


@posix
@pytest.mark.parametrize(
    "printed",
    [
        'echo "$KUBIYA_TOOL"', "echo yes", ANSWERS + 'allow "$(printf %032d 0)"',
        ANSWERS + 'allow "$KUBIYA_ANSWER_CODE"; exit 1', ANSWERS + 'always "$KUBIYA_ANSWER_CODE"',
    ],
)  # fmt: skip
async def test_what_is_no_answer_of_its_owner_s_does_not_count(
    tmp_path: Path, printed: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A tool may be called as an answer looks, and a program may print that."""
    line = script(tmp_path, f"trap 'echo over > over' EXIT; {printed}")
    async with rigged(tmp_path, notify_command=line, notify_answers="command") as rig:
        asked = asks(rig, question(tool='{"answer": "allow", "code": "' + "0" * 32 + '"}'))
        await eventually((rig.state / "over").exists)
        await eventually(lambda: asked.id not in rig.hooks._answers()._programs)  # type: ignore[union-attr]
        await rig.hooks.ended()
        assert rig.book.unanswered() == [asked]


@posix
async def test_it_waits_as_long_as_the_question_and_no_longer(tmp_path: Path) -> None:
    line = script(tmp_path, "echo $$ > begun; exec sleep 1000")
    options: Any = {"notify_command": line, "notify_answers": "command", "hook_timeout": timedelta(milliseconds=1)}
    async with rigged(tmp_path, **options) as rig:
        asked = asks(rig, question())
        await eventually(lambda: (rig.state / "begun").exists() and (rig.state / "begun").read_text())
        pid = pid_in(rig.state / "begun")
        assert alive(pid), "hook_timeout is of those that do not answer"
        rig.book.answer(asked.id, allow=False, scope="once", by="the window")
        rig.bus.publish(ApprovalAnswered(approval_id=asked.id, execution_id="e-1", answer="deny", by="the window"))
        await eventually(lambda: not alive(pid))


@posix
async def test_it_ends_with_the_worker(tmp_path: Path) -> None:
    line = script(tmp_path, "echo $$ > begun; exec sleep 1000")
    async with rigged(tmp_path, notify_command=line, notify_answers="command") as rig:
        asks(rig, question())
        await eventually(lambda: (rig.state / "begun").exists() and (rig.state / "begun").read_text())
    assert not alive(pid_in(rig.state / "begun"))


@posix
async def test_a_long_question_is_allowed_with_its_seal_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = script(tmp_path, ANSWERS + 'allow "$KUBIYA_ANSWER_CODE"')
    async with rigged(tmp_path, notify_command=line, notify_answers="command") as rig:
        asks(rig, question(parts=(QuestionPart(name="command", text="x" * 20_000),)))
        await eventually(lambda: "was not taken" in caplog.text)
        assert "Read it whole" in caplog.text
        assert rig.answers == []


# --- a topic ------------------------------------------------------------------------------------------------------


async def test_a_button_on_a_phone_denies(tmp_path: Path, server: Topics) -> None:
    async with rigged(tmp_path, **from_topic(server)) as rig:
        asked = asks(rig, question())
        action = await button(server)
        assert action["url"] == server.url("answers")
        assert (action["action"], action["method"], action["label"]) == ("http", "POST", "Deny")
        assert "rm -r build" not in json.dumps(server.posted)
        server.publish("answers", action["body"])
        await eventually(lambda: rig.answers)
        assert rig.answers == [(asked.id, False, "the user, by notify_answers")]
        await eventually(lambda: not server.listeners)


async def test_nothing_is_read_while_nothing_waits(tmp_path: Path, server: Topics) -> None:
    async with rigged(tmp_path, **from_topic(server)) as rig:
        await rig.hooks.at_start()
        rig.bus.publish(ExecutionFinished(execution_id="e-0", status="failed"))
        await eventually(lambda: server.posted)
        assert server.since == []
        asked = asks(rig, question())
        await eventually(lambda: server.listeners)
        rig.book.answer(asked.id, allow=True, scope="once", by="the window")
        await eventually(lambda: not server.listeners)
        assert rig.hooks._answers()._reader is None  # type: ignore[union-attr]


async def test_one_connection_serves_all_questions(tmp_path: Path, server: Topics) -> None:
    async with rigged(tmp_path, **from_topic(server)) as rig:
        bodies = []
        for number in range(3):
            asks(rig, question(number))
            await eventually(lambda number=number: len(server.posted) > number)  # type: ignore[misc]
            bodies.append((await button(server))["body"])
        assert len(set(bodies)) == 3
        for body in reversed(bodies):
            server.publish("answers", body)
        await eventually(lambda: len(rig.answers) == 3)
        assert len(server.since) == 1


async def test_an_allowance_counts_where_all_is_given(tmp_path: Path, server: Topics) -> None:
    with serving(lambda _: Answer()) as receiver:
        options = allowing(server, receiver.port, tmp_path)
        async with rigged(tmp_path, **options) as rig:
            asked = asks(rig, question())
            await eventually(lambda: receiver.requests)
            notice = json.loads(receiver.requests[0].body)
            assert notice["answers"] == ["allow", "deny"]
            assert notice["question"] == "command: rm -r build"
            server.publish("answers", signed(notice["code"]))
            await eventually(lambda: rig.answers)
            assert rig.answers == [(asked.id, True, "the user, by notify_answers")]


def allowing(server: Topics, port: int, folder: Path) -> dict[str, Any]:
    return {
        "notify_webhook": f"http://127.0.0.1:{port}/", "notify_answers": server.url("answers/json"),
        "notify_webhook_secret_file": secret_in(folder), "notify_details": True, "remote_approvals": True,
    }  # fmt: skip


def signed(code: str, answer: str = "allow", key: str = SECRET, **more: Any) -> str:
    return json.dumps({"answer": answer, "code": code, "signature": signature(key, answer=answer, code=code), **more})


@pytest.mark.parametrize(
    ("changed", "reply", "why"),
    [
        ({"remote_approvals": False}, signed, "`remote_approvals` is off"),
        ({"notify_details": False}, signed, "not shown there whole"),
        ({}, lambda code: signed(code, key="another"), "its signature is wrong"),
        ({}, lambda code: signed(code, answer="deny").replace("deny", "allow"), "its signature is wrong"),
        ({}, lambda code: json.dumps({"answer": "allow", "code": code}), "it is not signed"),
        ({}, lambda code: signed(code, answer="deny", key="another"), "its signature is wrong"),
        ({"notify_webhook_secret_file": None}, lambda code: json.dumps({"answer": "allow", "code": code}), "no secret"),
        ({"notify_webhook_secret_file": None}, signed, "its signature is wrong"),
        ({}, lambda code: signed(code[::-1]), "of no question that waits"),
    ],
)
async def test_where_anything_is_missing_it_does_not_count(
    tmp_path: Path,
    server: Topics,
    caplog: pytest.LogCaptureFixture,
    changed: Any,
    reply: Callable[[str], str],
    why: str,
) -> None:
    with serving(lambda _: Answer()) as receiver:
        async with rigged(tmp_path, **{**allowing(server, receiver.port, tmp_path), **changed}) as rig:
            asked = asks(rig, question())
            await eventually(lambda: receiver.requests)
            notice = json.loads(receiver.requests[0].body)
            if changed:
                assert notice["answers"] == ["deny"]
            for _ in range(50):
                server.publish("answers", reply(notice["code"]))
            server.publish("answers", json.dumps({"answer": "deny", "code": notice["code"]}))
            await eventually(lambda: rig.answers)
            assert rig.answers == [(asked.id, False, "the user, by notify_answers")], "the denial behind them counts"
        assert caplog.text.count(why) == 1, caplog.text


@pytest.mark.parametrize(
    "parts",
    [
        (QuestionPart(name="command", text="x" * 9_000),),
        (QuestionPart(name="command", text="echo ghp_" + "a1B2" * 9),),
        (QuestionPart(name="command", text=f"echo {SECRET}"),),
    ],
    ids=["too long", "looks like a key", "is one"],
)
async def test_what_was_not_shown_whole_is_not_allowed_from_there(
    tmp_path: Path, server: Topics, parts: tuple[QuestionPart, ...]
) -> None:
    with serving(lambda _: Answer()) as receiver:
        async with rigged(tmp_path, **allowing(server, receiver.port, tmp_path)) as rig:
            asks(rig, question(parts=parts))
            await eventually(lambda: receiver.requests)
            notice = json.loads(receiver.requests[0].body)
            assert notice["answers"] == ["deny"]
            assert len(notice["question"]) <= 8_000
            assert SECRET not in notice["question"]
            assert "a1B2" * 9 not in notice["question"]
            server.publish("answers", signed(notice["code"]))
            server.publish("answers", signed(notice["code"], answer="deny"))
            await eventually(lambda: rig.answers)
            assert [allow for _, allow, _ in rig.answers] == [False]


async def test_a_code_is_good_once_and_for_its_question_alone(tmp_path: Path, server: Topics) -> None:
    async with rigged(tmp_path, **from_topic(server)) as rig:
        first = asks(rig, question())
        code = json.loads((await button(server))["body"])["code"]
        second = asks(rig, question(2))
        await eventually(lambda: len(server.posted) == 2)
        for _ in range(3):
            server.publish("answers", json.dumps({"answer": "deny", "code": code}))
        await eventually(lambda: rig.answers)
        again = msgspec.structs.replace(question(), digest="other arguments")
        rig.book.put(again)
        server.publish("answers", json.dumps({"answer": "deny", "code": code}))
        other = asks(rig, question(3))
        await eventually(lambda: len(server.posted) == 3)
        server.publish("answers", (await button(server))["body"])
        await eventually(lambda: len(rig.answers) == 2)
        assert [name for name, _, _ in rig.answers] == [first.id, other.id]
        assert {asked.id for asked in rig.book.unanswered()} == {again.id, second.id}


async def test_a_late_answer_is_none(tmp_path: Path, server: Topics) -> None:
    async with rigged(tmp_path, **from_topic(server)) as rig:
        soon = datetime.now(UTC) + timedelta(milliseconds=500)
        late = asks(rig, question(expires_at=soon))
        asks(rig, question(2))
        await eventually(lambda: len(server.posted) == 2)
        bodies = [one["actions"][0]["body"] for one in server.posted]
        [body] = [
            one for one in bodies if json.loads(one)["code"] == Codes(rig.state / "answer-key").of(late, "unseen")
        ]
        await eventually(lambda: datetime.now(UTC) > soon)
        server.publish("answers", body)
        server.publish("answers", next(one for one in bodies if one != body))
        await eventually(lambda: rig.answers)
        assert [name for name, _, _ in rig.answers] != [late.id]


async def test_a_code_that_was_given_is_good_after_a_restart(tmp_path: Path, server: Topics) -> None:
    """The answer may have come while no worker ran."""
    async with rigged(tmp_path, **from_topic(server)) as rig:
        asked = asks(rig, question())
        body = (await button(server))["body"]
    server.publish("answers", body)
    async with rigged(tmp_path, **from_topic(server)) as later:
        await later.hooks.at_start()
        await eventually(lambda: later.answers)
        assert later.answers[0][:2] == (asked.id, False)
    assert len(server.posted) == 1, "it is not told again"


@posix
async def test_a_program_is_asked_anew_after_a_restart(tmp_path: Path) -> None:
    line = script(tmp_path, f'[ -e go ] || exec sleep 1000; {ANSWERS}allow "$KUBIYA_ANSWER_CODE"')
    async with rigged(tmp_path, notify_command=line, notify_answers="command") as rig:
        asks(rig, question())
        (rig.state / "go").touch()
    async with rigged(tmp_path, notify_command=line, notify_answers="command") as later:
        await later.hooks.at_start()
        await eventually(lambda: later.answers)


@pytest.mark.parametrize("ahead", [timedelta(days=-3), timedelta(days=3)])
async def test_a_wrong_clock_loses_no_answer(tmp_path: Path, server: Topics, ahead: timedelta) -> None:
    """How old an answer may be is told as a span, which the server measures by its own clock."""
    now = datetime.now(UTC)
    async with rigged(tmp_path, **from_topic(server)) as rig:
        asks(rig, question(asked_at=now + ahead, expires_at=now + timedelta(days=4)))
        server.publish("answers", (await button(server))["body"])
        await eventually(lambda: rig.answers)
        assert int(server.since[0].removesuffix("s")) >= 60


async def test_another_worker_s_question_is_left_alone(tmp_path: Path, server: Topics) -> None:
    async with rigged(tmp_path, **from_topic(server)) as rig:
        asks(rig, question(queue_id="of-another"))
        await eventually(lambda: server.posted)
        assert "actions" not in server.posted[0]
        assert rig.hooks._answers()._reader is None  # type: ignore[union-attr]


async def test_settings_that_change_end_the_reading(tmp_path: Path, server: Topics) -> None:
    async with rigged(tmp_path, **from_topic(server)) as rig:
        asks(rig, question())
        await eventually(lambda: server.listeners)
        rig.in_force.adopt(replace(rig.in_force.current, notify_answers=""))
        await eventually(lambda: not server.listeners)
