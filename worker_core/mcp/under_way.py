"""A call that is under way: it ends with an answer, or stops at a question for its user and goes on later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from worker_core.basics.quick_dataclass import dataclass
from worker_core.mcp.elicitation import Elicited, Unaskable, question_of
from worker_core.mcp.progress import Coalesced

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult

    from worker_core.mcp.flow import Flow
    from worker_core.tools.base import UserAnswer

Answer = TypeVar("Answer")

MOST_QUESTIONS: Final = 10
"""In one call."""

_STATE_ALONE_SECONDS: Final = 0.25
"""Before a server that only wants to be called again is called again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A result, and a sentence for each thing that the server did not get."""

    result: CallToolResult
    remarks: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Asking:
    """A question, and where its answer is waited for."""

    question: Elicited
    state: str
    answer: asyncio.Future[ElicitResult]


class Forgotten(Exception):
    """The server did not take a request, since it no longer knows the session: it is asked once more in another."""


class UnderWay(Generic[Answer]):
    """Belongs to the loop of the MCP thread.

    Args:
        flow: of the connection.
        alias: of the server.
        mask: hides secrets in what it asks.
    """

    def __init__(self, flow: Flow, *, alias: str, mask: Callable[[str], str] = str) -> None:
        self.flow = flow
        self.told = Coalesced(lambda *_: None)
        self._alias = alias
        self._mask = mask
        self._task: asyncio.Future[Answer] | None = None
        self._questions: asyncio.Queue[Asking] = asyncio.Queue()
        self._asked = 0
        self.asking: Asking | None = None
        """The question that it stopped at."""

        self.remarks: list[str] = []
        """What was not put to anybody, as sentences."""

    def begin(self, ask: Awaitable[Answer]) -> None:
        self._task = asyncio.ensure_future(ask)

    async def put(self, params: ElicitRequestParams, *, state: str = "") -> ElicitResult:
        """A question of the server; its answer. What nobody may be asked is declined."""
        from mcp.types import ElicitResult

        self._asked += 1
        try:
            if self._asked > MOST_QUESTIONS:
                raise Unaskable(
                    f"The MCP server {self._alias[:100]!r} asked its user again and again; that was declined."
                )
            question = question_of(self._alias, params, mask=self._mask)
        except Unaskable as error:
            if error.sentence not in self.remarks:
                self.remarks.append(error.sentence)
            return ElicitResult(action="decline")
        asking = Asking(question=question, state=state, answer=asyncio.get_running_loop().create_future())
        self._questions.put_nowait(asking)
        return await asking.answer

    async def wait(self, limit: timedelta) -> Answer | Asking | None:
        """Its answer, or the question that it stops at. None: it took too long, or the connection has ended.

        It goes on only where it stopped at a question; otherwise it is over when this returns.

        Raises:
            Exception: the call failed.
        """
        assert self._task is not None
        self.asking = None
        ending = asyncio.ensure_future(self.flow.over.wait())
        asking = asyncio.ensure_future(self._questions.get())
        waits: set[asyncio.Future[Any]] = {self._task, ending, asking}
        try:
            await asyncio.wait(waits, timeout=limit.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                return self._task.result()
            if asking.done() and not ending.done():
                self.asking = asking.result()
            return self.asking
        finally:
            for task in (ending, asking):
                task.cancel()
            if self.asking is None:
                await self.end()

    async def end(self) -> None:
        """Give it up, where it is not over."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1.0)  # the server hears of the cancellation


def result_of(answer: UserAnswer) -> ElicitResult:
    """As its server reads it."""
    from mcp.types import ElicitResult

    accepted = answer.action == "accept"
    return ElicitResult(action=answer.action, content=dict(answer.content) if accepted and answer.content else None)


async def call_with_questions(
    session: ClientSession,
    one: UnderWay[Any],
    tool: str,
    arguments: dict[str, Any],
    *,
    answer: UserAnswer | None,
    list_anew: Callable[[ClientSession], Awaitable[object]],
) -> CallToolResult:
    """A call. Where its server (2026-07-28) answers with its questions, it is called again with their answers.

    Args:
        session: with the server.
        one: takes the questions.
        tool: its name at the server.
        arguments: of the call.
        answer: to a question that an earlier connection had heard, with its state.
        list_anew: asks for the tools once more, where they have changed.

    Raises:
        Unaskable: it wants something else than an answer of its user.
    """
    from mcp import MCPError, types
    from mcp_types import HEADER_MISMATCH
    from pydantic import TypeAdapter

    adapter: TypeAdapter[types.CallToolResult | types.InputRequiredResult] = TypeAdapter(
        types.CallToolResult | types.InputRequiredResult
    )

    async def said(progress: float, total: float | None, message: str | None) -> None:
        one.told.hear(progress, total, message)

    answers: dict[str, Any] = {}
    state: str | None = None
    if answer is not None:
        kept = json.loads(answer.state)
        answers, state = {**kept["answers"], kept["key"]: result_of(answer)}, kept["state"]
    listed = False
    for _ in range(MOST_QUESTIONS + 1):
        # Not `call_tool`: it loses a result that does not fit, and lists all tools before it looks.
        params = types.CallToolRequestParams(
            name=tool, arguments=arguments, input_responses=answers or None, request_state=state
        )
        try:
            result = await session.send_request(types.CallToolRequest(params=params), adapter, progress_callback=said)
        except MCPError as error:
            if error.error.code != HEADER_MISMATCH or listed:
                raise
            listed = True
            await list_anew(session)  # its tools have changed; the call was not made
            continue
        if isinstance(result, types.CallToolResult):
            return result
        state, answers = result.request_state, {}
        for key, request in (result.input_requests or {}).items():
            if not isinstance(request, types.ElicitRequest):
                raise Unaskable("It wants something that it was not offered, and no answer of its user.")
            plain = {name: given.model_dump(mode="json", exclude_none=True) for name, given in answers.items()}
            kept = {"state": state, "key": key, "answers": plain}
            answers[key] = await one.put(request.params, state=json.dumps(kept))
        if not answers:
            await asyncio.sleep(_STATE_ALONE_SECONDS)
    raise Unaskable("It asked again and again, and never answered.")
