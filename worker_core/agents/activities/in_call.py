"""Questions of calls that are under way: put to this machine's user like the question whether a call may run.

They stand in the same book, so that they outlive the worker, and are answered in the same places.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from worker_core.agents.messages import APPROVAL_TIMED_OUT
from worker_core.policy.decision import Ask, Call, NotRecorded, digest_of
from worker_core.policy.form import WrongValues, content_of
from worker_core.policy.question_text import compose, left_out, shown, written
from worker_core.policy.questions import Asked, id_of
from worker_core.tools.base import QuestionInCall, UserAnswer

if TYPE_CHECKING:
    from worker_core.policy.decision import Permissions

log = logging.getLogger(__name__)


async def ask(permissions: Permissions, call: Call, question: QuestionInCall) -> Ask:
    """Put a question into the book, and tell who may answer.

    Raises:
        NotRecorded: it cannot be written down.
    """
    now = datetime.now(UTC)
    parts = compose(dict(question.parts), redactor=permissions.redactor)
    asked = Asked(
        id=id_of(call.execution_id, f"{call.call_id}/{now.isoformat()}"),
        execution_id=call.execution_id,
        call_id=call.call_id,
        workflow_id=call.workflow_id,
        queue_id=call.queue_id,
        tool=call.tool,
        digest=digest_of(call),
        parts=parts,
        asked_at=now,
        expires_at=now + permissions.settings.approval_timeout,
        lasts=False,
        in_call=True,
        fields=tuple(question.fields),
        state=question.state,
    )
    decision = "its server asks in mid-call: " + "\n".join(written(shown(parts)))
    try:
        permissions.book.put(asked)
        await asyncio.to_thread(permissions.record, call, "ask", approval=asked.id, decision=decision)
    except OSError as error:
        raise NotRecorded(f"The question cannot be written down ({error.strerror or error}).") from error
    permissions.tell_asked(asked)
    log.warning("%s asks its user (%s).", asked.tool, asked.id)
    return Ask(id=asked.id, expires_at=asked.expires_at)


async def going_on(
    permissions: Permissions, call: Call, *, content: Mapping[str, Any] | None
) -> UserAnswer | Ask | None:
    """What became of the question that a call has asked: its answer, or the wait for one. None: it asked nothing.

    Args:
        permissions: of the engine.
        call: its claim is what the workflow heard.
        content: what was filled in on the control plane. None: nothing came from there.

    Raises:
        NotRecorded: the answer cannot be written down.
    """
    asked = permissions.book.in_call(call.execution_id, call.call_id, digest=digest_of(call))
    if asked is None:
        return None
    answer, by = _answer(permissions, asked, call.claim, content)
    if answer is None:
        return Ask(id=asked.id, expires_at=asked.expires_at)
    said = {"accept": "allow", "decline": "deny", "cancel": "timeout"}[answer.action]
    try:
        # What was filled in stands in no record.
        await asyncio.to_thread(permissions.record, call, "answer", approval=asked.id, answer=said, by=by, scope="once")
    except OSError as error:
        raise NotRecorded(f"The answer cannot be written down ({error.strerror or error}).") from error
    permissions.book.drop(asked)
    permissions.tell_answered(call, asked.id, said, by=by)
    return answer


def _answer(
    permissions: Permissions, asked: Asked, claim: str, content: Mapping[str, Any] | None
) -> tuple[UserAnswer | None, str]:
    there = "the control plane"
    if asked.answer == "allow":
        return UserAnswer(action="accept", content=asked.content, state=asked.state), asked.by
    if asked.answer == "deny":
        return UserAnswer(action="decline", state=asked.state), asked.by
    if claim == APPROVAL_TIMED_OUT:
        return UserAnswer(action="cancel", state=asked.state), "time-out"
    if claim == "deny":
        return UserAnswer(action="decline", state=asked.state), there
    # Where it brings no content, it is a late answer to the question whether the call may run.
    counts = permissions.settings.remote_approvals and not left_out(shown(asked.parts))
    if claim.startswith("allow") and content is not None and counts:
        try:
            return UserAnswer(action="accept", content=content_of(asked.fields, content), state=asked.state), there
        except WrongValues as error:
            log.warning("The control plane's answer to %s is none: %s", asked.id, error)
    return None, ""
