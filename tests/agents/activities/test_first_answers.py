"""First answers that were asked for ahead: taken once, by the very same call, and never left running."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.agents.activities import first_answers
from worker_core.agents.activities.first_answers import FirstAnswers, first_call
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import Begun, Message, ModelCall, ModelReply, Persona
from worker_core.machine.identity import birth_mark
from worker_core.temporal.converter import DATA_CONVERTER

LONG = timedelta(minutes=5)
CALL = ModelCall(
    execution_id="e", turn=1, model="m", messages=({"role": "user", "content": "hello"},), tools=(), message_id="e_1"
)
REPLY = ModelReply(content="hi", message_id="e_1", model="m", finish_reason="stop")


async def at_once() -> ModelReply:
    return REPLY


async def never() -> ModelReply:
    await asyncio.Event().wait()
    raise AssertionError


async def refused() -> ModelReply:
    raise ValueError("no")


async def wanted() -> bool:
    return True


async def settled(answer: asyncio.Task[ModelReply]) -> None:
    await asyncio.wait([answer], timeout=30)


async def test_it_is_taken_once_by_the_same_call_whenever_that_is_made() -> None:
    answers = FirstAnswers(patience=lambda: LONG)
    answer = answers.ask(CALL, at_once, is_wanted=wanted)
    later = replace(CALL, after_sequence=7, asked_by="1@1.00")
    assert answers.take(later) is answer
    assert await answer is REPLY
    assert answers.take(later) is None


@pytest.mark.parametrize(
    "about",
    [
        {"messages": ({"role": "user", "content": "half a sign: \ud83d"},)},
        {"model_config": {"stop": ("a", "b"), "temperature": 1.0}},
        {"tools": ({"name": "shell", "parameters": {"required": ("command",)}},)},
    ],
    ids=["half a sign", "tuples", "tuples in tools"],
)
async def test_the_same_call_is_the_same_when_it_has_travelled(about: dict[str, object]) -> None:
    call = replace(CALL, **about)  # type: ignore[arg-type]
    answers = FirstAnswers(patience=lambda: LONG)
    answer = answers.ask(call, at_once, is_wanted=wanted)
    convert = DATA_CONVERTER.payload_converter
    [travelled] = convert.from_payloads(convert.to_payloads([call]), [ModelCall])
    assert answers.take(travelled) is answer


@pytest.mark.parametrize(
    "other",
    [{"messages": ()}, {"tools": ({"name": "shell"},)}, {"model": "n"}, {"turn": 2}, {"model_config": {"a": 1}}],
    ids=str,
)
async def test_another_call_does_not_get_it_and_ends_it(other: dict[str, object]) -> None:
    answers = FirstAnswers(patience=lambda: LONG)
    answer = answers.ask(CALL, never, is_wanted=wanted)
    assert answers.take(replace(CALL, **other)) is None  # type: ignore[arg-type]
    await settled(answer)
    assert answer.cancelled()


async def test_an_error_is_whose_takes_it() -> None:
    answers = FirstAnswers(patience=lambda: LONG)
    answers.ask(CALL, refused, is_wanted=wanted)
    taken = answers.take(CALL)
    assert taken is not None
    with pytest.raises(ValueError, match="no"):
        await taken


async def test_who_takes_it_may_cancel_it() -> None:
    answers = FirstAnswers(patience=lambda: LONG)
    answer = answers.ask(CALL, never, is_wanted=wanted)

    async def take() -> ModelReply:
        taken = answers.take(CALL)
        assert taken is not None
        return await taken

    waiting = asyncio.create_task(take())
    await asyncio.sleep(0)
    waiting.cancel()
    await settled(answer)
    assert answer.cancelled()


@pytest.mark.parametrize("how", ["forgotten", "asked again", "left", "patience", "ended elsewhere"])
async def test_one_that_nobody_wants_ends(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_answers, "LOOK_AGAIN_SECONDS", 0.01)
    looks = 0

    async def ended() -> bool:
        nonlocal looks
        looks += 1
        return looks < 3

    answers = FirstAnswers(patience=lambda: timedelta(0) if how == "patience" else LONG)
    answer = answers.ask(CALL, never, is_wanted=ended if how == "ended elsewhere" else wanted)
    await asyncio.sleep(0)
    if how == "forgotten":
        answers.forget("another")
        answers.forget("e")
    elif how == "asked again":
        answers.ask(CALL, at_once, is_wanted=wanted)
    elif how == "left":
        answers.leave()
    await settled(answer)
    assert answer.cancelled()


def test_another_process_is_known_while_it_runs() -> None:
    assert not first_answers.another_runs(first_answers.this_process())
    born = psutil.Process().create_time()
    assert not first_answers.another_runs(f"{os.getpid()}@{born - 0.5:.2f}")  # began elsewhere in the same second
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        name = f"{other.pid}@{psutil.Process(other.pid).create_time():.2f}"
        assert first_answers.another_runs(name)
        assert not first_answers.another_runs(f"{other.pid}@12.00")  # one before it with its number
        if mark := birth_mark(other.pid):  # whatever became of the clock meanwhile
            assert first_answers.another_runs(f"{other.pid}@12.00@{mark}")
            assert not first_answers.another_runs(f"{name}@{mark}0")
        other.kill()
    assert not first_answers.another_runs(name)


@given(st.text() | st.from_regex(r"[0-9]{1,30}@[0-9]{1,30}\.[0-9]{2}", fullmatch=True))
def test_what_names_no_process_is_none(said: str) -> None:
    assert not first_answers.another_runs(said)


def _begun(**changes: object) -> Begun:
    persona = Persona(model="m", system_prompt="be brief", tools=({"name": "shell"},), entity_id="a")
    return replace(Begun(home_queue="h", host_id="h", persona=persona, last_sequence=3), **changes)  # type: ignore[arg-type]


def _execution() -> ExecutionInput:
    return ExecutionInput.from_wire({"execution_id": "e", "prompt": "hello"}, kind="agents", fallback_id="e")


def test_the_first_call_holds_the_session_and_the_prompt() -> None:
    earlier = (Message(role="user", content="before", timestamp="", message_id="0"),)
    call = first_call(_execution(), _begun(earlier=earlier))
    assert call is not None
    assert [message["content"] for message in call.messages] == ["be brief", "before\n\nhello"]
    assert (call.message_id, call.turn, call.after_sequence, call.tools) == (
        "e_assistant_1",
        1,
        3,
        ({"name": "shell"},),
    )


def test_a_conversation_that_is_to_be_summarised_first_is_not_asked_about_ahead() -> None:
    earlier = tuple(
        Message(role=role, content="x" * 4_000, timestamp="", message_id=f"{number}")
        for number in range(10)
        for role in ("user", "assistant")
    )
    assert first_call(_execution(), _begun(earlier=earlier, context_limit_tokens=4_000)) is None
