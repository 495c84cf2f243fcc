"""The question for more: it stands in the book of questions, outlives the worker, and is answered where others are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from worker_core.basics import typed_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Worded, worded
from worker_core.budgets.amounts import AboutQuestion, question_fields
from worker_core.budgets.ledger import Ledger, LedgerError, Spender
from worker_core.policy.questions import Asked, id_of
from worker_core.settings.budget import Kind
from worker_core.snapshot import QuestionPart

if TYPE_CHECKING:
    from pathlib import Path

    from worker_core.budgets.limits import Reached
    from worker_core.policy.decision import Permissions

log = logging.getLogger(__name__)

TOOL: Final = "budget"
"""Stands in a question where a tool's name stands in others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Whose next call it is, and what its workflow has heard of the last question: a claim, which is judged here."""

    execution_id: str
    turn: int
    workflow_id: str
    queue_id: str
    call_id: str = ""
    """Of the question that was heard of; empty: of none."""

    answer: str = ""
    """`allow`, `deny` or `timeout`."""

    content: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """A limit is reached, and its question stands in the book."""

    id: str
    call_id: str
    expires_at: datetime
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """A limit is reached, and nothing more is spent in this turn."""

    sentence: str


class BudgetQuestions:
    """One per engine; on its event loop."""

    def __init__(self, ledger: Ledger, permissions: Permissions, *, price_file: Path) -> None:
        """`permissions` have the book, the audit log, and the settings in force."""
        self._ledger = ledger
        self._permissions = permissions
        self._book = permissions.book
        self._price_file = price_file

    async def ruling(self, asker: Asker, spender: Spender, reached: Reached) -> Waits | Over | None:
        """What follows from a limit that is used up. None: more was allowed just now.

        Raises:
            LedgerError: the question or its answer cannot be written down.
        """
        limit = reached.limit
        said = reached.sentence(price_file=self._price_file)
        over = Over(sentence=str(said))
        if await asyncio.to_thread(self._ledger.is_refused, spender, limit.scope, limit.kind):
            return over
        asked = self._standing(asker.execution_id, reached)
        if asked is None:
            if self._permissions.settings.approvals != "ask":
                return over
            asked = await self._ask(asker, reached, said)
        heard = asker.answer if asker.call_id == asked.call_id else ""
        answer, by = self._answer(asked, heard)
        if not answer:
            return Waits(id=asked.id, call_id=asked.call_id, expires_at=asked.expires_at, sentence=over.sentence)
        if answer == "allow":
            await asyncio.to_thread(self._extend, spender, asked, asked.content or asker.content or {})
        else:
            await asyncio.to_thread(self._ledger.refuse, spender, limit.scope, limit.kind)
        await self._record(asked, "answer", answer=answer, by=by)
        self._book.drop(asked)
        self._permissions.tell_answer(asked, answer, by=by)
        return None if answer == "allow" else over

    async def take(self, asked: Asked, spender_of: Callable[[str, int], Spender]) -> Spender | None:
        """An answer of this machine's user stands in the book: what it allows may be spent from now on.

        Returns whose it is; None: it allows nothing of a budget.
        """
        if asked.tool != TOOL or not asked.state or asked.answer != "allow":
            return None
        about = _about(asked)
        spender = await asyncio.to_thread(spender_of, asked.execution_id, about.turn)
        await asyncio.to_thread(self._extend, spender, asked, asked.content)
        return spender

    def standing(self) -> list[Asked]:
        """Questions for more that wait."""
        return [one for one in self._book.unanswered() if one.tool == TOOL and one.state]

    def about(self, asked: Asked) -> tuple[int, Kind]:
        """The turn and the kind that a question is about."""
        about = _about(asked)
        return about.turn, about.kind

    async def drop(self, execution_id: str, kinds: Collection[Kind]) -> None:
        """There is room: more was allowed, a day is over, or the limits have changed.

        Raises:
            LedgerError: that cannot be written down.
        """
        for asked in self._book.of_execution(execution_id):
            if asked.tool == TOOL and asked.state and _about(asked).kind in kinds:
                by = asked.by or "room in the budget"
                await self._record(asked, "answer", answer="allow", by=by)
                self._book.drop(asked)
                self._permissions.tell_answer(asked, "allow", by=by)

    def _answer(self, asked: Asked, heard: str) -> tuple[str, str]:
        """`allow`, `deny` or `timeout`, and by whom; empty: nobody has said so far."""
        if asked.answer:
            return asked.answer, asked.by
        if heard == "timeout":
            return heard, "time-out"
        if heard == "deny":
            return heard, "the control plane"
        if heard.startswith("allow"):
            if self._permissions.settings.remote_approvals:
                return "allow", "the control plane"
            log.warning(
                "The control plane allowed more of a budget, which does not count here (`remote_approvals` is off). "
                "It waits for this machine's user."
            )
        return "", ""

    def _extend(self, spender: Spender, asked: Asked, content: Mapping[str, Any]) -> None:
        about = _about(asked)
        kind, amount = about.more(content)
        self._ledger.extend(asked.id, spender, about.scope, kind, amount)

    async def _ask(self, asker: Asker, reached: Reached, said: Worded) -> Asked:
        now, limit, sentence = datetime.now(UTC), reached.limit, str(said)
        about = AboutQuestion(
            scope=limit.scope, kind=limit.kind, amount=limit.amount, turn=asker.turn, unpriced=reached.unpriced
        )
        call_id = f"{_prefix(reached)}{now:%Y%m%d%H%M%S%f}"
        asked = Asked(
            id=id_of(asker.execution_id, call_id),
            execution_id=asker.execution_id,
            call_id=call_id,
            workflow_id=asker.workflow_id,
            queue_id=asker.queue_id,
            tool=TOOL,
            digest=call_id,
            parts=(QuestionPart(name="asked because", text=sentence, kind="reason", said=(said.said,)),),
            asked_at=now,
            expires_at=now + self._permissions.settings.approval_timeout,
            lasts=False,
            in_call=True,
            fields=() if reached.unpriced else question_fields(limit),
            state=msgspec.json.encode(about).decode(),
        )
        try:
            self._book.ask(asked)
        except OSError as error:
            why = str(error.strerror or error)
            raise LedgerError(worded("The question cannot be written down ({why}).", why=why)) from error
        await self._record(asked, "ask", decision=sentence)
        self._permissions.tell_asked(asked)
        log.warning("Execution %s stopped (%s): %s", asker.execution_id, asked.id, sentence)
        return asked

    def _standing(self, execution_id: str, reached: Reached) -> Asked | None:
        found = self._book.of_execution(execution_id)
        return next((one for one in found if one.tool == TOOL and one.call_id.startswith(_prefix(reached))), None)

    async def _record(self, asked: Asked, kind: str, **facts: Any) -> None:
        about = {"execution": asked.execution_id, "call": asked.call_id, "tool": TOOL, "approval": asked.id}
        try:
            await asyncio.to_thread(self._permissions.audit.record, kind, **about, **facts)
        except OSError as error:
            why = str(error.strerror or error)
            raise LedgerError(worded("What was decided cannot be written down ({why}).", why=why)) from error


def _prefix(reached: Reached) -> str:
    return f"{TOOL}.{reached.limit.scope}.{reached.limit.kind}."


def _about(asked: Asked) -> AboutQuestion:
    return typed_json.decode(asked.state, AboutQuestion)
