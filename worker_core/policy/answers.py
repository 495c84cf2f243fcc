"""Answers to tool calls that wait: kept on disk first, then told to the workflows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from worker_core.basics.sentences import worded
from worker_core.basics.tasks import TaskKeeper
from worker_core.errors import KubiyaError
from worker_core.policy.questions import ApprovalBook, Asked
from worker_core.snapshot import Scope

if TYPE_CHECKING:
    from temporalio.client import Client

log = logging.getLogger(__name__)

TELL_LIMIT = timedelta(seconds=5)


class Answers:
    """Of one engine; on its event loop."""

    def __init__(self, *, book: ApprovalBook, client_of: Callable[[str], Client | None]) -> None:
        """`client_of` gives Temporal's client of a queue, None while there is none."""
        self._book = book
        self._client_of = client_of
        self._telling = TaskKeeper()

    def keep(
        self,
        approval_id: str,
        *,
        allow: bool,
        scope: Scope,
        by: str,
        seal: str = "",
        values: Mapping[str, Any],
        rule: str = "",
    ) -> Asked:
        """Write an answer down; from then on it holds.

        Raises:
            NoSuchApproval: nothing of this id waits (any more).
            NotThatRule: `rule` is none that may be written for this call.
            WrongValues: something is filled in wrongly.
            NotRead: it leaves something out, and `seal` is not that of the whole question.
            KubiyaError: the answer cannot be written down.

        """
        try:
            return self._book.answer(
                approval_id, allow=allow, scope=scope, by=by, seal_read=seal, values=values, own_rule=rule
            )
        except OSError as error:
            why = str(error.strerror or error)
            raise KubiyaError(worded("The answer cannot be written down: {why}. Try again.", why=why)) from error

    async def tell(self, asked: Asked) -> None:
        """Wake the workflow. Where it cannot be reached now, it is told when its queue is polled again."""
        client = self._client_of(asked.queue_id)
        try:
            if client is None:
                raise ConnectionError("Temporal is not connected")
            answer = {"call_id": asked.call_id, "answer": asked.answer, "scope": asked.scope, "by": asked.by}
            handle = client.get_workflow_handle(asked.workflow_id)
            await handle.signal("answer_approval", answer, rpc_timeout=TELL_LIMIT)
            self._book.told(asked)
        except Exception as error:  # noqa: BLE001 - the SDK raises many kinds; the answer itself is kept
            log.warning("The answer to %s is kept, and told to its execution later: %s", asked.id, error)

    def tell_again(self, queue_id: str) -> None:
        """The queue is polled (again): what its workflows were not told yet, they are told now."""
        for asked in self._book.untold():
            if asked.queue_id == queue_id:
                self._telling.start(self.tell(asked), name="approval")
