"""What a server asks in mid-call is put to its user, answered, and outlives the worker where the server can go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.engine.answering import asked, decided
from tests.engine.answering import run as command
from tests.mcp.calling import agent_with, call
from tests.support import strange_data
from tests.support.engine import Rig, home, new_queue, running_engine
from tests.support.executions import Viewer
from tests.support.listening import PORT, listening
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.errors import KubiyaError
from worker_core.mcp.elicitation import MOST_FIELDS, Elicited, Unaskable, question_of
from worker_core.policy.form import WrongValues, content_of, written_fields
from worker_core.snapshot import QuestionField

HERE = Path(__file__).parent
SHOP = {"command": sys.executable, "args": [str(HERE / "asking_server.py"), "stdio"]}
STRANGE = {"command": sys.executable, "args": [str(HERE / "strange_server.py")]}
BUY = call("shop__buy", what="tea")


async def said(rig: Rig, execution_id: str) -> list[str]:
    await rig.reach(execution_id, "waiting_for_input", "failed")
    session = await rig.client.load_session(execution_id)
    assert session is not None
    return [message["content"] for message in session["messages"] if message["role"] == "tool"]


async def test_a_form_is_filled_in_and_the_call_goes_on(stage: Stage, tmp_path: Path) -> None:
    agent = await agent_with(stage, {"shop": SHOP})
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute(f"mcp\n{BUY}\n!say over", agent_id=agent)
        view = await asked(rig)
        assert view.in_call
        assert not view.lasts
        assert [field.name for field in view.fields] == ["size", "name", "copies", "express"]
        assert view.fields[0].label == "Which<U+202E> size"
        assert view.fields[0].options == ("small", "large")
        assert {part.name: part.text for part in view.parts}["asks"] == "What shall be ordered?"
        assert "shop" in view.parts[0].text
        for values in ({}, {"size": "huge", "name": "Ada"}, {"size": "small", "name": "Ada", "copies": "6"}, {"x": 1}):
            with pytest.raises(KubiyaError, match="form"):
                await rig.engine.answer_approval(view.id, allow=True, values=values)
        values = {"size": "large", "name": "Ada", "copies": "2", "express": "yes"}
        await rig.engine.answer_approval(view.id, allow=True, values=values)
        assert await said(rig, execution_id) == ["ordered 2 large tea for Ada, express: True"]
        kinds = [event["event_type"] for event in await rig.sent(execution_id)]
        await rig.cancel(execution_id)
        assert rig.snapshot.approvals == ()
    steps = [kind for kind in kinds if kind.startswith(("approval", "tool"))]
    assert steps == ["tool_started", "approval_requested", "approval_answered", "tool_completed"]
    assert decided(tmp_path) == [("allow", ""), ("ask", ""), ("answer", "allow")]
    assert "Ada" not in home(tmp_path).audit_file.read_text()
    assert (home(tmp_path).workspaces / execution_id / "shop.txt").read_text() == "tea accept\n"


@pytest.mark.parametrize(("answer", "heard"), [("deny", "decline"), ("time-out", "cancel")])
async def test_the_server_hears_of_no_answer(stage: Stage, tmp_path: Path, answer: str, heard: str) -> None:
    agent = await agent_with(stage, {"shop": SHOP})
    timeout = timedelta(seconds=5 if answer == "time-out" else 600)
    async with running_engine(stage, tmp_path, approvals="ask", approval_timeout=timeout) as rig:
        execution_id = await rig.execute(f"mcp\n{BUY}\n!say over", agent_id=agent)
        view = await asked(rig)
        if answer == "deny":
            await rig.engine.answer_approval(view.id, allow=False)
        assert await said(rig, execution_id) == [f"not ordered: {heard}"]
        await rig.cancel(execution_id)


async def test_a_server_of_an_older_revision_asks_too(stage: Stage, tmp_path: Path) -> None:
    agent = await agent_with(stage, {"strange": STRANGE})
    lines = f"mcp\n{call('strange__asks')}\n{call('strange__opens')}\n!say over"
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute(lines, agent_id=agent)
        view = await asked(rig)
        await rig.engine.answer_approval(view.id, allow=True, values={"name": "Ada"})
        await rig.until(lambda: any(one.id != view.id for one in rig.snapshot.approvals))
        [second] = rig.snapshot.approvals
        shown = {part.name: part.text for part in second.parts}
        assert shown["opens the host"] == "id.example.com"
        assert shown["the address"] == "https://id.example.com/x?y=1"
        await rig.engine.answer_approval(second.id, allow=True)
        answers = [json.loads(text) for text in await said(rig, execution_id)]
        await rig.cancel(execution_id)
    assert answers == [{"action": "accept", "content": {"name": "Ada"}}, {"action": "accept"}]


async def test_the_control_plane_fills_in_a_form_where_it_may(stage: Stage, tmp_path: Path) -> None:
    agent = await agent_with(stage, {"shop": SHOP})
    async with running_engine(stage, tmp_path, approvals="ask", remote_approvals=True) as rig:
        execution_id = await rig.execute(f"mcp\n{BUY}\n!say over", agent_id=agent)
        await asked(rig)
        [event] = await rig.sent(execution_id, "approval_requested")
        assert [field["name"] for field in event["data"]["fields"]] == ["size", "name", "copies", "express"]
        path = f"/executions/{execution_id}/approvals/{event['data']['tool_execution_id']}"
        async with stage.client() as api:
            for content in (None, {"size": "none"}, {"size": "small", "name": "Ada"}):
                body = {"answer": "allow", "content": content}
                assert (await api.post(path, json=body)).status_code == 200
        assert await said(rig, execution_id) == ["ordered 1 small tea for Ada, express: False"]
        await rig.cancel(execution_id)


async def test_where_nobody_can_be_asked_the_server_knows(stage: Stage, tmp_path: Path) -> None:
    agent = await agent_with(stage, {"shop": SHOP, "strange": STRANGE})
    async with running_engine(stage, tmp_path, approvals="allow") as rig:
        execution_id = await rig.execute(f"mcp\n{BUY}\n{call('strange__asks')}\n!say over", agent_id=agent)
        first, second = await said(rig, execution_id)
        await rig.cancel(execution_id)
    assert "refused the call" in first
    assert "elicitation" in first
    assert second == "null", "an error instead of a result"


async def test_a_secret_is_not_asked_for(stage: Stage, tmp_path: Path) -> None:
    agent = await agent_with(stage, {"shop": SHOP})
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await rig.execute(f"mcp\n{call('shop__sign_in')}\n!say over", agent_id=agent)
        [text] = await said(rig, execution_id)
        await rig.cancel(execution_id)
    assert text.startswith("sign-in: decline\n[The MCP server 'shop' asked its user with a form that wants a secret")


async def test_a_question_outlives_the_worker(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    with listening(HERE / "asking_server.py", "streamable-http", PORT, SHOP=str(tmp_path / "shop.txt")) as port:
        agent = await agent_with(stage, {"shop": {"url": f"http://127.0.0.1:{port}/mcp"}})
        options: Any = {"approvals": "ask", "mcp_hosts": (f"127.0.0.1:{port}",), "queue_ids": (queue,)}
        async with running_engine(stage, tmp_path, **options) as rig:
            execution_id = await rig.execute(f"mcp\n{BUY}\n!say over", agent_id=agent)
            view = await asked(rig)
        async with running_engine(stage, tmp_path, **options) as rig:
            assert (await asked(rig)).id == view.id
            await rig.engine.answer_approval(view.id, allow=True, values={"size": "small", "name": "Ada"})
            assert await said(rig, execution_id) == ["ordered 1 small tea for Ada, express: False"]
            await rig.cancel(execution_id)
    assert (tmp_path / "shop.txt").read_text() == "tea accept\n"


async def test_where_the_server_cannot_go_on_the_outcome_is_unknown(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    agent = await agent_with(stage, {"strange": STRANGE})
    options: Any = {"approvals": "ask", "queue_ids": (queue,)}
    async with running_engine(stage, tmp_path, **options) as rig:
        execution_id = await rig.execute(f"mcp\n{call('strange__asks')}\n!say over", agent_id=agent)
        view = await asked(rig)
    async with running_engine(stage, tmp_path, **options) as rig:
        await rig.engine.answer_approval(view.id, allow=True, values={"name": "Ada"})
        [text] = await said(rig, execution_id)
        await rig.cancel(execution_id)
    assert "asked its user something in mid-call, and was ended before the answer" in text
    assert "Whether the call had an effect is not known" in text


async def test_a_form_is_filled_in_with_the_command(
    stage: Stage,
    tmp_path: Path,
    client: ControlPlaneClient,
) -> None:
    agent = await agent_with(stage, {"shop": SHOP})
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue, KUBIYA_WORKER_APPROVALS="ask") as worker:
        worker.wait_ready()
        wish = Execute(prompt=f"mcp\n{BUY}\n!say over", worker_queue_id=queue)
        execution_id = (await client.execute_agent(agent, wish)).execution_id
        viewer = Viewer(stage, client)
        await until(lambda: viewer.sent(execution_id, "approval_requested"))
        listed = await asyncio.to_thread(command, tmp_path, "approvals")
        assert "size: Which<U+202E> size; required; one of small, large" in listed
        approval_id = listed.split()[0]
        wrong = await asyncio.to_thread(command, tmp_path, "approvals", "allow", approval_id, code=1)
        assert "The form's field 'size'" in wrong
        filled_in = ("--set", "size=large", "--set", "name=Ada")
        await asyncio.to_thread(command, tmp_path, "approvals", "allow", approval_id, *filled_in)
        await viewer.reach(execution_id, "waiting_for_input")
        [done] = await viewer.sent(execution_id, "tool_completed")
    assert done["data"]["tool_output"] == "ordered 1 large tea for Ada, express: False"


# --- pieces ---------------------------------------------------------------------------------------------------


def form(message: str = "?", **properties: Any) -> Elicited:
    from mcp.types import ElicitRequestFormParams

    schema = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return question_of("shop", ElicitRequestFormParams(message=message, requested_schema=schema))


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"password": {"type": "string"}}, "wants a secret"),
        ({"apiKey": {"type": "string"}}, "wants a secret"),
        ({"it": {"type": "string", "title": "Your API key"}}, "wants a secret"),
        ({"it": {"type": "string", "description": "the one-time code"}}, "wants a secret"),
        ({"a b": {"type": "string"}}, "has a field that is none"),
        ({"it": {"type": "object"}}, "neither text"),
        ({"it": {"type": "string", "enum": ["a\u202eb"]}}, "cannot be written"),
        ({"it": {"type": "string", "enum": []}}, "a choice of nothing"),
        ({f"f{n}": {"type": "string"} for n in range(MOST_FIELDS + 1)}, "more than 20"),
    ],
)
def test_forms_that_are_declined(properties: dict[str, Any], why: str) -> None:
    with pytest.raises(Unaskable, match=why):
        form(**properties)


def test_hostile_words_are_bounded_and_written_out() -> None:
    question = form("say\u202e yes\x1b[2J" + "x" * 10_000, it={"type": "string", "title": "a\nb" + "y" * 500})
    [(_, message)] = question.parts
    assert "\u202e" not in message
    assert "\x1b" not in message
    assert len(message) <= 2000
    assert "\n" not in question.fields[0].label
    assert len(question.fields[0].label) <= 100


def test_choices_and_numbers_are_read() -> None:
    question = form(
        colour={"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "b", "title": "Blue"}]},
        several={"type": "array", "items": {"enum": ["x", "y"]}, "maxItems": 1},
        much={"type": "number", "minimum": 0.5},
        yes={"type": "boolean", "default": True},
    )
    assert content_of(question.fields, {"colour": "b", "several": "x", "much": "2.5"}) == {
        "colour": "b", "several": ["x"], "much": 2.5, "yes": True,
    }  # fmt: skip
    for wrong in ({"colour": "Red"}, {"several": ["x", "y"]}, {"much": "nan"}, {"much": 0.1}, {"yes": "perhaps"}):
        with pytest.raises(WrongValues):
            content_of(question.fields, {"colour": "r", **wrong})
    lines = written_fields("3f9a", question.fields)
    assert lines[0] == "colour: colour; required; one of r (Red), b (Blue)"
    assert lines[-1] == "Fill it in: kubiya-worker approvals allow 3f9a --set colour=…"


@given(strange_data.values, strange_data.values)
def test_any_form_and_any_values_end_in_a_form_or_a_sentence(properties: Any, values: Any) -> None:
    try:
        question = form(**(properties if isinstance(properties, dict) else {"it": properties}))
    except Unaskable:
        question = Elicited(parts=(), fields=(QuestionField(name="a", label="a", kind="integer"),))
    with contextlib.suppress(WrongValues):
        content_of(question.fields, values if isinstance(values, dict) else {"a": values})
