"""First answers, asked for ahead: while an execution's beginning is still reported, its model works already.

What the workflow will ask first is known when an execution has begun, and the same code makes both calls. An answer
that comes at once travels with the beginning and saves a whole step; any other finds its step waiting for it. Nothing
rests on it: an answer that nobody takes is forgotten, and the workflow asks as if there had been none.

Several workers of a machine share its steps; then none of them asks ahead. What was asked before the other one came is
passed on by who gets its step, while the process that asked it runs.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

import psutil
from temporalio import activity

from worker_core.agents import compaction
from worker_core.agents.conversation import answer_id, prompt_of
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.history import model_call
from worker_core.agents.messages import Begun, ModelCall, ModelReply
from worker_core.agents.turn_end import answer_told
from worker_core.basics import foreign_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.tasks import retrieved
from worker_core.machine.identity import birth_mark, process_runs

WITH_THE_BEGINNING: Final = timedelta(seconds=1)
"""How long a beginning waits for the answer to come with it. A machine that dies meanwhile has its beginning repeated
elsewhere, so it is not long; and an answer that takes longer gains nothing by it."""

LOOK_AGAIN_SECONDS: Final = 5.0
"""How often is asked whether an answer that nobody took is still wanted."""

MOST_PASSED_ON: Final = 12
"""Then the one that asked ahead will not take it: its queue was taken from it, say. That is after 40 s."""

_FIRST_REST_SECONDS: Final = 0.1
_LONGEST_REST_SECONDS: Final = 5.0

_PROCESS: Final = re.compile(r"([1-9][0-9]{0,9})@([0-9]{1,12}\.[0-9]{2})(?:@([0-9a-f-]{1,64}/[0-9]{1,20}))?")


def first_call(execution: ExecutionInput, begun: Begun) -> ModelCall | None:
    """What the workflow will ask first. None: that is not known, since the conversation is to be summarised before."""
    messages = [*begun.earlier, prompt_of(execution, now="")]
    limit = begun.context_limit_tokens
    if compaction.is_due(messages, prompt_tokens=0, limit_tokens=limit):
        return None
    return model_call(
        begun.persona,
        compaction.bounded(messages, limit_tokens=limit),
        execution_id=execution.execution_id,
        turn=1,
        message_id=answer_id(execution.execution_id, 1),
        after_sequence=begun.last_sequence,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    call: ModelCall
    answer: asyncio.Task[ModelReply]
    watch: asyncio.Task[None]


class FirstAnswers:
    """Those of one queue, on one event loop.

    Args:
        patience: how long one that nobody takes goes on; asked for each.
    """

    def __init__(self, *, patience: Callable[[], timedelta]) -> None:
        self._patience = patience
        self._asked: dict[str, _Asked] = {}

    def ask(
        self,
        call: ModelCall,
        make: Callable[[], Coroutine[None, None, ModelReply]],
        *,
        is_wanted: Callable[[], Awaitable[bool]],
    ) -> asyncio.Task[ModelReply]:
        """Begin a call.

        Args:
            call: an execution's first.
            make: makes it; cancelled where nobody wants it any more.
            is_wanted: whether its execution goes on; asked while nobody has taken the answer.
        """
        self.forget(call.execution_id)
        answer = asyncio.create_task(make(), name=f"first answer of {call.execution_id}")
        answer.add_done_callback(retrieved)  # whoever takes it hears of its error
        watch = asyncio.create_task(self._watch(call.execution_id, is_wanted))
        self._asked[call.execution_id] = _Asked(call=call, answer=answer, watch=watch)
        return answer

    def take(self, call: ModelCall) -> asyncio.Task[ModelReply] | None:
        """What was asked ahead, where it is the very same call; it is the caller's from now on, to cancel too."""
        asked = self._asked.get(call.execution_id)
        if asked is None:
            return None
        if _content(asked.call) != _content(call):
            self.forget(call.execution_id)
            return None
        del self._asked[call.execution_id]
        asked.watch.cancel()
        return asked.answer

    def forget(self, execution_id: str) -> None:
        """Nobody wants it any more."""
        if (asked := self._asked.pop(execution_id, None)) is not None:
            asked.watch.cancel()
            asked.answer.cancel()

    def leave(self) -> None:
        """The worker leaves."""
        for execution_id in tuple(self._asked):
            self.forget(execution_id)

    async def _watch(self, execution_id: str, is_wanted: Callable[[], Awaitable[bool]]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience().total_seconds()):
                while True:
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
                    if not await is_wanted():
                        break
        self.forget(execution_id)


def answered_before() -> ModelReply | None:
    """The answer that an earlier attempt at this step had, and was about to end its turn with."""
    return answer_told(activity.info().heartbeat_details)


def this_process() -> str:
    """Its name for other processes of this machine."""
    mark = birth_mark(os.getpid())
    return f"{os.getpid()}@{psutil.Process().create_time():.2f}" + (f"@{mark}" if mark else "")


def another_runs(process: str) -> bool:
    """Whether that one is another, and still there. False for what is none.

    One with our own number is this one, or one before it: in containers all workers have the same, those of other
    machines too.
    """
    said = _PROCESS.fullmatch(process)
    if said is None or (number := int(said[1])) == os.getpid():
        return False
    return process_runs(number, born=float(said[2]), mark=said[3] or "")


def before_passing_on(call: ModelCall) -> float:
    """Seconds: Temporal likes to give a step to who had the last one."""
    return min(_FIRST_REST_SECONDS * 2.0**call.passed_on, _LONGEST_REST_SECONDS)


def elsewhere(call: ModelCall) -> ModelReply:
    """In the place of an answer: this process does not make the call."""
    return ModelReply(content="", message_id=call.message_id, model=call.model, finish_reason="stop", elsewhere=True)


def _content(call: ModelCall) -> bytes:
    """As it travels, which repairs texts and knows lists alone; without when it was made, and what follows."""
    return foreign_json.encode(replace(call, after_sequence=0, asked_by="", passed_on=0, ending=None))
