"""First answers, asked for ahead: while an execution's beginning is still reported, its model works already.

What the workflow will ask first is known when an execution has begun, and the same code makes both calls. An answer
that comes at once travels with the beginning and saves a whole step; any other finds its step waiting for it. Nothing
rests on it: an answer that nobody takes is forgotten, and the workflow asks as if there had been none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Final

from worker_core.agents import compaction
from worker_core.agents.conversation import answer_id, prompt_of
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.history import model_call
from worker_core.agents.messages import Begun, ModelCall, ModelReply
from worker_core.basics.quick_dataclass import dataclass

WITH_THE_BEGINNING: Final = timedelta(seconds=1)
"""How long a beginning waits for the answer to come with it. A machine that dies meanwhile has its beginning repeated
elsewhere, so it is not long; and an answer that takes longer gains nothing by it."""


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
    timer: asyncio.TimerHandle


class FirstAnswers:
    """Those of one queue, on one event loop.

    Args:
        patience: how long one that nobody takes goes on; asked for each.
    """

    def __init__(self, *, patience: Callable[[], timedelta]) -> None:
        self._patience = patience
        self._asked: dict[str, _Asked] = {}

    def ask(self, call: ModelCall, make: Callable[[], Coroutine[None, None, ModelReply]]) -> asyncio.Task[ModelReply]:
        """Begin a call.

        Args:
            call: an execution's first.
            make: makes it; cancelled where nobody wants it any more.
        """
        self.forget(call.execution_id)
        answer = asyncio.create_task(make(), name=f"first answer of {call.execution_id}")
        answer.add_done_callback(_retrieve)
        seconds = self._patience().total_seconds()
        timer = asyncio.get_running_loop().call_later(seconds, self.forget, call.execution_id)
        self._asked[call.execution_id] = _Asked(call=call, answer=answer, timer=timer)
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
        asked.timer.cancel()
        return asked.answer

    def forget(self, execution_id: str) -> None:
        """Nobody wants it any more."""
        if (asked := self._asked.pop(execution_id, None)) is not None:
            asked.timer.cancel()
            asked.answer.cancel()

    def leave(self) -> None:
        """The worker leaves."""
        for execution_id in tuple(self._asked):
            self.forget(execution_id)


def _content(call: ModelCall) -> ModelCall:
    """Without what says when it was made."""
    return replace(call, after_sequence=0, asked_ahead=False)


def _retrieve(answer: asyncio.Task[ModelReply]) -> None:
    # Whoever takes it hears of it; here the error only must not be "never retrieved".
    if not answer.cancelled():
        answer.exception()
