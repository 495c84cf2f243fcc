"""Asks in the foreground terminal: about tool calls that wait for an approval, and once where no sandbox works."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

import click

from worker_core.errors import KubiyaError
from worker_core.events import ApprovalAnswered, ApprovalRequested, Event, PollingStarted
from worker_core.logs.plain import one_line

if TYPE_CHECKING:
    from worker_core.engine import Engine
    from worker_core.snapshot import Scope

_ANSWERS: Final[dict[str, tuple[bool, Scope]]] = {
    "y": (True, "once"),
    "yes": (True, "once"),
    "e": (True, "execution"),
    "execution": (True, "execution"),
    "a": (True, "always"),
    "always": (True, "always"),
    "n": (False, "once"),
    "no": (False, "once"),
}


CONFIRM_LIMIT_SECONDS: Final = 300.0


class Prompter:
    """Reads answers from stdin, where that is a terminal of ours; each is about the question that stands there."""

    def __init__(self) -> None:
        self.at_a_terminal = _is_ours()
        self._engine: Engine | None = None
        self._shown = ""
        self._question: Future[bool] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening = False
        self._answering: set[asyncio.Task[None]] = set()

    def attend(self, engine: Engine) -> None:
        """Ask about this engine's approvals from now on. Called on its loop."""
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        engine.events.listen(self._heard)

    def confirm(self, question: str) -> bool:
        """Yes or no; no where nobody answers. Called in a thread, which waits."""
        asked: Future[bool] = Future()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._put, question, asked)
        try:
            return asked.result(CONFIRM_LIMIT_SECONDS)
        except TimeoutError:
            return False

    def _put(self, question: str, asked: Future[bool]) -> None:
        self._question = asked
        click.echo(f"\n{question}\n    y: yes   n: no > ", nl=False, err=True)
        self._listen()

    def _heard(self, event: Event) -> None:
        if isinstance(event, ApprovalRequested | ApprovalAnswered | PollingStarted):
            asyncio.get_running_loop().call_soon(self._show_next)

    def _show_next(self) -> None:
        assert self._engine is not None
        waiting = self._engine.snapshot.approvals
        if not waiting or waiting[0].id == self._shown or not _is_ours():
            return
        first = waiting[0]
        self._shown = first.id
        more = f" ({len(waiting) - 1} more wait)" if len(waiting) > 1 else ""
        click.echo(
            f"\napproval {first.id}  {one_line(first.tool, 60)}: {one_line(first.summary, 400)}\n"
            f"    {one_line(first.rule, 400)}\n"
            f"    y: once   e: for this execution   a: always   n: deny{more} > ",
            nl=False,
            err=True,
        )
        self._listen()

    def _listen(self) -> None:
        if not self._listening:
            self._listening = True
            if hasattr(signal, "SIGTTIN"):
                signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background, reading fails instead of stopping us
            threading.Thread(target=self._read, name="terminal", daemon=True).start()

    def _read(self) -> None:
        assert self._loop is not None
        try:
            for line in iter(sys.stdin.readline, ""):
                self._loop.call_soon_threadsafe(self._said, line.strip().lower())
        except (OSError, ValueError, RuntimeError):
            pass  # in the background, or the worker left: `kubiya-worker approvals` answers as well

    def _said(self, word: str) -> None:
        question, self._question = self._question, None
        if question is not None and not question.done():
            question.set_result(word in {"y", "yes"})
            self._shown = ""  # a question about a call that stood there is asked once more
            self._show_next()
            return
        if not self._shown:
            return
        if word not in _ANSWERS:
            self._shown = ""
            self._show_next()
            return
        allow, scope = _ANSWERS[word]
        task = asyncio.get_running_loop().create_task(self._answer(self._shown, allow=allow, scope=scope))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, approval_id: str, *, allow: bool, scope: Scope) -> None:
        assert self._engine is not None
        try:
            await self._engine.answer_approval(approval_id, allow=allow, scope=scope)
        except KubiyaError as error:
            click.echo(error.sentence, err=True)
        self._shown = ""
        self._show_next()


def _is_ours() -> bool:
    """Whether stdin is a terminal, and we are in its foreground."""
    try:
        if not sys.stdin.isatty():
            return False
        if sys.platform == "win32":
            return True
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False
