"""Whether tools may run without a sandbox, where there is none: asked once, answered in the window."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, InvalidStateError


class SandboxQuestion:
    """One answer for the life of a worker. It may come before `ask` waits: who is shown the question is quick to answer
    it. All may be called from any thread.
    """

    def __init__(self) -> None:
        self._answer: Future[bool | None] = Future()

    def ask(self, why: str) -> bool | None:
        """Until somebody has answered. None: nobody did, and the worker ends; that is not kept as a no."""
        return self._answer.result()

    def answer(self, *, allow: bool) -> None:
        """The first answer counts."""
        self._say(allow)

    def close(self) -> None:
        """The worker ends."""
        self._say(None)

    def _say(self, answer: bool | None) -> None:
        with contextlib.suppress(InvalidStateError):
            self._answer.set_result(answer)
