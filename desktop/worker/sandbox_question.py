"""Whether tools may run without a sandbox, where there is none: asked once, answered in the window."""

from __future__ import annotations

import threading
from concurrent.futures import Future


class SandboxQuestion:
    """`ask` waits in the thread that needs the answer; all else may be called from any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Future[bool | None] | None = None
        self._closed = False

    def ask(self, why: str) -> bool | None:
        """Until somebody answers. None: nobody did, and the worker ends; that is not kept as a no."""
        with self._lock:
            if self._closed:
                return None
            waiting = self._waiting = Future()
        return waiting.result()

    def answer(self, *, allow: bool) -> bool:
        """Whether anybody waited for it."""
        return self._say(allow)

    def close(self) -> None:
        """The worker ends."""
        self._closed = True
        self._say(None)

    def _say(self, answer: bool | None) -> bool:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None:
            return False
        waiting.set_result(answer)
        return True
