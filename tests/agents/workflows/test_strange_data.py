"""Workflow code works with whatever models, tools and servers say: what it raises would be tried again for ever."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from tests.agents.workflows.world import World, reply, start, tool
from tests.support import strange_data
from worker_core.agents import compaction, conversation, history
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import Message, ModelCall, ModelReply, RunTool, ToolCall, ToolOutcome, Usage
from worker_core.agents.workflows.carried import Carried
from worker_core.agents.workflows.workflow import AgentExecutionWorkflow
from worker_core.engine.queue import WORKFLOWS
from worker_core.secrets import Secret
from worker_core.temporal.connection import Target, connect, metrics
from worker_core.temporal.converter import DATA_CONVERTER
from worker_core.temporal.pollers import WRONG_DATA

converter = DATA_CONVERTER.payload_converter
counts = st.sampled_from([0, 7, 10**12, 2**70])
opaque = st.dictionaries(
    strange_data.texts, strange_data.values | st.integers(90, 2000).map(strange_data.deep), max_size=2
)
calls = st.builds(
    ToolCall,
    call_id=strange_data.texts,
    name=strange_data.texts,
    arguments=strange_data.json_texts,
    opaque=opaque,
    problem=strange_data.texts,
)
replies = st.builds(
    ModelReply,
    content=strange_data.texts,
    message_id=strange_data.texts,
    model=strange_data.texts,
    finish_reason=strange_data.texts,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    opaque=opaque,
    usage=st.builds(Usage, prompt_tokens=counts, completion_tokens=counts, total_tokens=counts),
    context_tokens=counts,
    remark=strange_data.texts,
)
outcomes = st.builds(
    ToolOutcome,
    succeeded=st.booleans(),
    output=strange_data.texts,
    error=st.none() | strange_data.texts,
    unknown=st.booleans(),
)
messages = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool", "system"]) | strange_data.texts,
    content=strange_data.texts,
    timestamp=strange_data.texts,
    message_id=strange_data.texts,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    tool_name=strange_data.texts,
    tool_arguments=strange_data.json_texts,
    tool_error=st.none() | strange_data.texts,
    opaque=opaque,
)


def received(value: Any, kind: Any = None) -> Any:
    """As it comes out of Temporal."""
    return converter.from_payloads(converter.to_payloads([value]), [kind] if kind else None)[0]


@given(st.lists(messages, max_size=5))
def test_each_shape_of_a_conversation_can_be_written_down(said: list[Message]) -> None:
    known = [received(one, Message) for one in said]
    for shape in (
        conversation.for_session(known),
        conversation.for_state(known),
        history.for_model(known, system_prompt="be brief"),
    ):
        assert received(shape) == received(received(shape))
    compaction.is_due(known, prompt_tokens=0, limit_tokens=100)
    received(compaction.bounded(known, limit_tokens=100))


@given(strange_data.json_texts)
def test_any_arguments_are_an_object_that_can_be_written_down(text: str) -> None:
    found = conversation.arguments_object(text)
    assert isinstance(found, dict)
    assert received(found) == received(found)


def test_arguments_that_nest_too_deep_are_kept_as_their_text() -> None:
    text = strange_data.nested(3000)
    assert conversation.arguments_object(text) == {"raw": text}


@given(strange_data.values, st.sampled_from(["agents", "teams"]))
def test_any_input_of_a_workflow_is_read(raw: Any, kind: Any) -> None:
    for given_ in (raw, {"execution_id": raw, "prompt": raw, "config": raw, "team_config": {"llm": raw}}):
        known = received(given_)
        read = ExecutionInput.from_wire(known, kind=kind, fallback_id="f")
        assert received(read, ExecutionInput) == read
        ExecutionInput.from_dynamic_wire(known, fallback_id="f")


@given(strange_data.json_texts | strange_data.texts, st.sampled_from([None, ModelReply, ToolOutcome, dict[str, Any]]))
def test_a_payload_that_cannot_be_read_is_a_failure_and_not_a_bug(text: str, kind: Any) -> None:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(ApplicationError):
        msgspec.json.encode(converter.from_payloads([payload], [kind] if kind else None))


def test_a_failure_whose_text_is_no_utf_8_is_told() -> None:
    from temporalio.api.failure.v1 import Failure

    failure = Failure()
    told = ApplicationError("half \ud83d", "category", type="Kind", non_retryable=True)
    told.__cause__ = ValueError("\udcff")
    DATA_CONVERTER.failure_converter.to_failure(told, converter, failure)
    assert failure.message == "half \ufffd"
    info = failure.application_failure_info
    assert (info.type, info.non_retryable) == ("Kind", True)
    assert converter.from_payloads(info.details.payloads) == ["category"]


# --- on a real server -----------------------------------------------------------------------------------------


@dataclass
class Script:
    """What the model and the tools of one execution say, in turn; then the model ends."""

    replies: list[Any]
    outcomes: list[Any]
    asked: int = 0
    ran: int = 0

    def answer(self) -> Any:
        self.asked += 1
        return self.replies[self.asked - 1] if self.asked <= len(self.replies) else reply("over")

    def run(self) -> Any:
        self.ran += 1
        done = ToolOutcome(succeeded=True, output="done")
        return self.outcomes[self.ran - 1] if self.ran <= len(self.outcomes) else done


@dataclass
class Arena:
    """A worker on a loop of its own, for tests that hypothesis runs many times."""

    loop: asyncio.AbstractEventLoop
    client: Client
    queue: str
    scripts: dict[str, Script] = field(default_factory=dict)

    def run(self, script: Script, *, cancels: bool) -> tuple[str, list[str]]:
        """How an execution with the script ends, and the types of its events."""
        return asyncio.run_coroutine_threadsafe(self._run(script, cancels=cancels), self.loop).result(60)

    async def _run(self, script: Script, *, cancels: bool) -> tuple[str, list[str]]:
        execution_id = str(uuid.uuid4())
        self.scripts[execution_id] = script
        handle = await start(self.client, self.queue, execution_id=execution_id)
        if cancels:
            await handle.cancel()
        with contextlib.suppress(WorkflowFailureError):
            await handle.result()
        history = await handle.fetch_history()
        await Replayer(
            workflows=WORKFLOWS, data_converter=DATA_CONVERTER, workflow_runner=UnsandboxedWorkflowRunner()
        ).replay_workflow(history)
        description = await handle.describe()
        assert description.status is not None
        return description.status.name, [str(event["eventType"]) for event in history.to_json_dict()["events"]]


@pytest.fixture(scope="module")
def arena(temporal_address: str) -> Iterator[Arena]:
    import threading

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    world = World(answer=lambda call: reply("over"), model_call_limit=4)
    queue = str(uuid.uuid4())

    def activities(scripts: dict[str, Script]) -> list[Callable[..., Any]]:
        @activity.defn(name="call_model")
        async def call_model(call: ModelCall) -> Any:
            return scripts[call.execution_id].answer()

        @activity.defn(name="run_tool")
        async def run_tool(request: RunTool) -> Any:
            return scripts[request.execution_id].run()

        own = {"call_model", "run_tool"}
        others = [
            one for one in world.activities(queue) if activity._Definition.must_from_callable(one).name not in own
        ]
        return [*others, call_model, run_tool]

    async def begin() -> tuple[Arena, Worker, asyncio.Task[None]]:
        async def drain() -> None:
            while True:
                metrics().drain()
                await asyncio.sleep(0.2)

        target = Target(host=temporal_address, namespace="default", api_key=Secret(""))
        built = Arena(loop=loop, client=await connect(target, identity="test", mask=str), queue=queue)
        worker = Worker(
            built.client,
            task_queue=queue,
            workflows=[AgentExecutionWorkflow],
            activities=activities(built.scripts),
            workflow_runner=UnsandboxedWorkflowRunner(),
            workflow_failure_exception_types=WRONG_DATA,
        )
        running = asyncio.create_task(worker.run())
        return built, worker, asyncio.gather(running, drain())  # type: ignore[return-value]

    built, worker, running = asyncio.run_coroutine_threadsafe(begin(), loop).result(30)
    yield built

    async def end() -> None:
        await worker.shutdown()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run_coroutine_threadsafe(end(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


stranger_replies = replies | st.builds(dict, content=strange_data.values, tool_calls=strange_data.values)
stranger_outcomes = outcomes | st.builds(dict, succeeded=strange_data.values, output=strange_data.values)


@given(st.lists(stranger_replies, max_size=3), st.lists(stranger_outcomes, max_size=3), st.integers(0, 3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_execution_ends_and_replays_whatever_model_and_tools_say(
    arena: Arena, said: list[Any], done: list[Any], chance: int
) -> None:
    status, events = arena.run(Script(said, done), cancels=chance == 0)
    assert status in {"COMPLETED", "FAILED", "CANCELED"}
    assert "EVENT_TYPE_WORKFLOW_TASK_FAILED" not in events


@pytest.mark.parametrize(
    "arguments",
    [json.dumps({"command": "echo \ud83d"}), strange_data.nested(3000), strange_data.nested(49), '{"n": 1e999}'],
    ids=["half a character", "3000 brackets", "98 brackets", "a number beyond all"],
)
def test_such_a_call_is_answered_and_the_execution_goes_on(arena: Arena, arguments: str) -> None:
    status, events = arena.run(Script([reply("", tool("shell", arguments=arguments))], []), cancels=False)
    assert status == "COMPLETED"
    assert "EVENT_TYPE_WORKFLOW_TASK_FAILED" not in events


@workflow.defn(name="AgentExecutionWorkflow")
class EarlierWorkflow(AgentExecutionWorkflow):
    """As it was before: over such data it raised at every try."""

    @workflow.run
    async def run(self, raw: Any = None, carried: Carried | None = None) -> dict[str, Any]:
        return await super().run(raw, carried)

    def _said(self, message: Message) -> None:
        super()._said(message)
        self._wrote_down()

    async def _end(self, *arguments: Any, **options: Any) -> None:
        self._wrote_down()
        await super()._end(*arguments, **options)

    def _wrote_down(self) -> None:
        for message in self._progress.unsaved:
            msgspec.json.encode(json.loads(message.tool_arguments or "{}"))


@contextlib.asynccontextmanager
async def serving(client: Client, world: World, queue: str, kind: type) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=queue,
        workflows=[kind],
        activities=world.activities(queue),
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,  # the next worker need not wait until this one is given up
    ):
        yield


@pytest.mark.parametrize("cancels", [False, True])
async def test_an_execution_that_an_earlier_worker_is_stuck_in_can_end(client: Client, cancels: bool) -> None:
    answers = iter([reply("", tool("shell", arguments=json.dumps({"command": "echo \ud83d"})))])
    world = World(answer=lambda call: next(answers, reply("over")))
    queue = str(uuid.uuid4())
    async with serving(client, world, queue, EarlierWorkflow):
        handle: WorkflowHandle[Any, dict[str, Any]] = await client.start_workflow(
            "AgentExecutionWorkflow",
            {"execution_id": str(uuid.uuid4()), "prompt": "hello"},
            id=str(uuid.uuid4()),
            task_queue=queue,
            result_type=dict,
            task_timeout=timedelta(seconds=1),  # how long the server waits before it lets another worker try
        )
        async with asyncio.timeout(60):
            while "EVENT_TYPE_WORKFLOW_TASK_FAILED" not in await _events(handle):
                await asyncio.sleep(0.05)
    if cancels:
        await handle.cancel()
    async with serving(client, world, queue, AgentExecutionWorkflow):
        if cancels:
            with pytest.raises(WorkflowFailureError):
                await asyncio.wait_for(handle.result(), 60)
        else:
            assert (await asyncio.wait_for(handle.result(), 60))["response"] == "over"
    assert [end.status for end in world.ends] == ["cancelled" if cancels else "completed"]


async def _events(handle: WorkflowHandle[Any, Any]) -> list[str]:
    return [str(event["eventType"]) for event in (await handle.fetch_history()).to_json_dict()["events"]]
