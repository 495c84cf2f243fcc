"""One model call: streamed from the gateway, its text sent on as it comes.

What can be mended here is mended here, in sight of viewers: a gateway that asks for fewer requests is waited for, an
answer that is none is asked for once more, a cut call with room for more. What breaks is Temporal's to try again.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

from worker_core.agents.activities.failures import error_event
from worker_core.agents.activities.foreseen import foresee
from worker_core.agents.activities.services import QueueContext, Services
from worker_core.agents.activities.spending import price
from worker_core.agents.compaction import CHARACTERS_PER_TOKEN
from worker_core.agents.messages import ModelCall, ModelReply
from worker_core.basics.durations import duration_as_typed
from worker_core.events import ModelCalled
from worker_core.model import endings
from worker_core.model.answer import Answer, Usage
from worker_core.model.calls import with_code
from worker_core.model.endings import Ending, ending_of
from worker_core.model.gateway import ModelRequest
from worker_core.model.options import options_of
from worker_core.model.reader import AnswerReader
from worker_core.model.refusals import Cause, GatewayError

_FLUSH_LIMIT = timedelta(seconds=10)

THINKING_TOLD_AFTER_SECONDS = 20.0
"""Reasoning is not shown; that it goes on is, once."""

FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 60.0
"""Between requests to a gateway that is busy and does not say how long: doubled each time, up to this."""


async def run_model_call(services: Services, queue: QueueContext, call: ModelCall, *, attempt: int) -> ModelReply:
    """Stream one answer.

    Raises:
        GatewayError: no answer; text that was sent on before stays visible under its own message id.

    """
    return await _Call(services, queue, call, attempt).run()


def called(services: Services, execution_id: str, usage: Usage, *, succeeded: bool, seconds: float) -> None:
    """Tell this machine of a model call that ended."""
    services.bus.publish(
        ModelCalled(
            execution_id=execution_id,
            succeeded=succeeded,
            duration_seconds=seconds,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            cost_dollars=usage.cost,
        )
    )


class _Call:
    def __init__(self, services: Services, queue: QueueContext, call: ModelCall, attempt: int) -> None:
        self._services = services
        self._queue = queue
        self._call = call
        self._attempt = attempt
        self._lane = services.outbox.lane(call.execution_id)
        self._lane.advance(call.after_sequence)
        self._about: dict[str, str] = {"phase": "post"} if call.after_tools else {}
        if call.member_name:
            self._about |= {
                "source": "team_member",
                "member_name": call.member_name,
                "parent_message_id": call.parent_message_id,
            }
        self._waited = 0.0
        self._waits = 0
        self._tries = 0
        self._said: list[str] = []
        self._message_id = ""
        # An activity's first attempt begins anew: what an earlier one spent, the workflow has counted.
        self._spent = services.spent.of(call.execution_id, call.message_id) if attempt > 1 else Usage()
        self._spent_here = Usage()

    async def run(self) -> ModelReply:
        options, _ = options_of(self._call.model_config)
        request = ModelRequest(
            model=self._call.model, messages=self._call.messages, tools=self._call.tools, options=options
        )
        begun, reply = time.monotonic(), None
        try:
            answer = await self._answered(request)
            answer = await self._bettered(request, answer)
            reply = self._reply(answer)
        except GatewayError as error:
            error.usage = self._spent
            self._services.spent.keep(self._call.execution_id, self._call.message_id, self._spent)
            self._say_broken(error)
            raise
        finally:
            called(
                self._services,
                self._call.execution_id,
                self._spent_here,
                succeeded=reply is not None,
                seconds=time.monotonic() - begun,
            )
            await self._lane.flush(_FLUSH_LIMIT)
        return replace(reply, last_sequence=self._lane.last_sequence)

    # --- requests -----------------------------------------------------------------------------------------

    async def _answered(self, request: ModelRequest) -> Answer:
        """Wait for a busy gateway, as long as the settings allow."""
        while True:
            try:
                answer = await self._asked(request)
            except GatewayError as error:
                if error.cause is not Cause.BUSY:
                    raise
                seconds = self._wait_for(error)
                if seconds is None:
                    raise self._not_waited_for(error) from error
                await self._wait(seconds, error)
            else:
                if ending_of(answer) is Ending.BROKEN:
                    raise GatewayError(
                        f"The provider of model {request.model} broke its answer off with an error.", cause=Cause.FAILED
                    )
                return answer

    async def _bettered(self, request: ModelRequest, answer: Answer) -> Answer:
        """The answer, or that of a second request where it is none, or was cut in a call for want of room."""
        ending = ending_of(answer)
        if ending.is_none or ending is Ending.CUT_IN_CALL:
            changed = request
            if answer.finish_reason == "length":
                limit = endings.larger_limit(request.options, answer)
                if not limit:
                    return answer
                changed = replace(request, options={**request.options, "max_tokens": limit})
            elif ending.is_none:
                changed = replace(request, messages=endings.nudged(request.messages))
            kept = self._said, self._message_id
            try:
                return await self._answered(changed)
            except GatewayError:
                self._said, self._message_id = kept  # the first one has to do
        return answer

    async def _asked(self, request: ModelRequest) -> Answer:
        """One request. Its usage counts, however it ends."""
        reader = AnswerReader(tool_names=[str(tool["name"]) for tool in request.tools])
        call, masked = self._call, self._services.redactor.stream()
        kind = "member_message_chunk" if call.member_name else "message_chunk"
        if self._said or not self._message_id:
            self._message_id = self._next_message_id()
        self._said = []
        begun, told, foreseen = time.monotonic(), call.silent, False

        def send(text: str) -> None:
            if text:
                self._said.append(text)
                if not call.silent:
                    self._lane.chunk(self._message_id, text, event_type=kind, **self._about)

        try:
            deltas = self._queue.gateway().stream(request, reader, tell=self._warn)
            async with aclosing(deltas):
                async for text in deltas:
                    send(masked.feed(text))
                    if not foreseen and (tool := reader.calls):
                        foreseen = True
                        foresee(
                            self._services, execution_id=call.execution_id, tool=tool, queue_id=self._queue.queue_id
                        )
                    if reader.thinks and time.monotonic() - begun > THINKING_TOLD_AFTER_SECONDS and not told:
                        told = True
                        self._warn(f"The model {request.model} is thinking.")
        finally:
            send(masked.flush())
            used, spent = price(self._services, _usage_of(reader, request), call.model, reader.answer().model)
            self._spent += used
            self._spent_here += used
            await self._services.budgets.spend(call.execution_id, call.turn, spent, queue_id=self._queue.queue_id)
        return reader.answer()

    def _next_message_id(self) -> str:
        """A later attempt writes a new message: what the broken one showed is not what the conversation keeps."""
        self._tries += 1
        first = self._call.message_id if self._attempt == 1 else f"{self._call.message_id}_retry{self._attempt - 1}"
        return first if self._tries == 1 else f"{first}_again{self._tries - 1}"

    # --- waiting ------------------------------------------------------------------------------------------

    def _wait_for(self, error: GatewayError) -> float | None:
        """Seconds; None: that would be too long."""
        seconds = error.retry_after_seconds
        if seconds is None:
            seconds = min(FIRST_WAIT_SECONDS * 2**self._waits, LONGEST_WAIT_SECONDS)
        seconds *= random.uniform(1.0, 1.1)  # noqa: S311 - so that many do not come back at one moment
        left = self._services.settings.model_wait.total_seconds() - self._waited
        return seconds if seconds <= left else None

    def _not_waited_for(self, error: GatewayError) -> GatewayError:
        limit = duration_as_typed(self._services.settings.model_wait)
        if error.retry_after_seconds is not None:
            why = f"It asks to be left alone until {_clock(error.retry_after_seconds)}"
        else:
            why = "It was asked again and again"
        sentence = f"{error.sentence} {why}; a model call waits {limit} at most (`model_wait`)."
        return GatewayError(sentence, cause=error.cause, category=error.category)

    async def _wait(self, seconds: float, error: GatewayError) -> None:
        if seconds >= 1.0:
            wait = duration_as_typed(timedelta(seconds=round(seconds)))
            self._warn(f"{error.sentence} Waiting until {_clock(seconds)} ({wait}).")
        self._waits += 1
        begun = time.monotonic()
        await asyncio.sleep(seconds)
        self._waited += time.monotonic() - begun

    # --- what viewers hear --------------------------------------------------------------------------------

    def _warn(self, sentence: str, *, severity: str = "info") -> None:
        self._lane.publish(
            "error",
            error_event(
                self._call.execution_id, sentence, category="llm_model_error", severity=severity, stage="model_call"
            ),
        )

    def _say_broken(self, error: GatewayError) -> None:
        attempts = self._services.settings.model_attempts
        if error.cause is Cause.FAILED and self._attempt < attempts and not self._call.silent:
            self._warn(f"{error.sentence} It is tried again ({self._attempt + 1} of {attempts}).")

    def _reply(self, answer: Answer) -> ModelReply:
        call, ending = self._call, ending_of(answer)
        calls = tuple(with_code(one) for one in endings.made_calls(ending, answer))
        said = endings.remark(ending, answer, model=call.model)
        if call.member_name and self._said and not calls:
            self._lane.publish("member_message_complete", {**self._about, "message_id": self._message_id})
        if said and not call.silent:
            self._warn(said, severity="warning")
        self._services.spent.forget(call.execution_id, call.message_id)
        return ModelReply(
            content="".join(self._said),
            message_id=self._message_id,
            model=answer.model or call.model,
            finish_reason=answer.finish_reason or ("tool_calls" if calls else "stop"),
            tool_calls=calls,
            opaque=answer.opaque if calls else {},
            usage=self._spent,
            context_tokens=answer.usage.prompt_tokens,
            remark=said,
        )


def _clock(seconds: float) -> str:
    """This machine's time of day, so many seconds from now."""
    return f"{datetime.now().astimezone() + timedelta(seconds=seconds):%H:%M}"


def _usage_of(reader: AnswerReader, request: ModelRequest) -> Usage:
    """As the gateway counted; an estimate where the model had begun and nobody counted."""
    answer = reader.answer()
    if answer.usage.total_tokens or not reader.begun:
        return answer.usage
    written = len(answer.content) + sum(len(call.arguments) for call in answer.tool_calls)
    read = sum(len(str(message.get("content") or "")) for message in request.messages)
    prompt, completion = round(read / CHARACTERS_PER_TOKEN), round(written / CHARACTERS_PER_TOKEN)
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
