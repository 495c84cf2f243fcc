"""Asks in the foreground terminal: about tool calls that wait for an approval, and once where no sandbox works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from worker_core.basics.tasks import TaskKeeper
from worker_core.basics.visible import visible_line
from worker_core.cli.terminal import say
from worker_core.errors import KubiyaError
from worker_core.events import ApprovalAnswered, ApprovalRequested, Event, PollingStarted
from worker_core.policy.form import written_fields
from worker_core.policy.question_text import rule_in_one_line, written

if TYPE_CHECKING:
    from worker_core.engine.engine import Engine
    from worker_core.snapshot import ApprovalView, QuestionPart, Scope

_MEANINGS: Final = {
    "y": "once", "e": "for this execution", "a": "always", "w": "read it whole", "n": "deny",
}  # fmt: skip
_IN_CALL: Final = {"y": "agree", "n": "decline"}
"""Answers to what a call asks that is under way."""

_BUDGET: Final = {"y": "as much again", "n": "end the turn"}

_WORDS: Final = {
    **{key: key for key in _MEANINGS},
    "yes": "y", "execution": "e", "always": "a", "whole": "w", "no": "n",
}  # fmt: skip
_ANSWERS: Final[dict[str, tuple[bool, Scope]]] = {
    "y": (True, "once"),
    "e": (True, "execution"),
    "a": (True, "always"),
    "n": (False, "once"),
}

CONFIRM_LIMIT_SECONDS: Final = 300.0


READ_SECONDS: Final = 1.0
"""What is typed sooner was meant for what stood there before."""


class Prompter:
    """Reads answers from stdin, where that is a terminal of ours; each is about the question that stands there.

    What was typed before a question could be read is no answer to it: it is dropped, and the question stays.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.at_a_terminal = _is_ours()
        self._clock = clock
        self._shown_at = float("-inf")
        """When what stands there was shown."""

        self._engine: Engine | None = None
        self._shown: ApprovalView | None = None
        self._said_choices = ""
        self._seal = ""
        """Of the question that stands there, once it was read whole."""

        self._question: Future[bool] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening = False
        self._answering = TaskKeeper()
        self._answered: set[str] = set()
        """Questions whose answers are under way."""

    def attend(self, engine: Engine) -> None:
        """Ask about this engine's approvals from now on. Called on its loop."""
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        engine.events.listen(self._heard)

    def confirm(self, question: str) -> bool | None:
        """Yes or no; None where nobody answers. Called in a thread, which waits."""
        asked: Future[bool] = Future()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._put, question, asked)
        try:
            return asked.result(CONFIRM_LIMIT_SECONDS)
        except TimeoutError:
            return None

    def _put(self, question: str, asked: Future[bool]) -> None:
        self._question = asked
        say(f"\n{question}", err=True)
        self._show_choices("y: yes   n: no")

    def _heard(self, event: Event) -> None:
        if isinstance(event, ApprovalRequested | ApprovalAnswered | PollingStarted):
            asyncio.get_running_loop().call_soon(self._show_next)

    def _show_next(self) -> None:
        assert self._engine is not None
        waiting = [one for one in self._engine.snapshot.approvals if one.id not in self._answered]
        if not waiting or (self._shown is not None and waiting[0].id == self._shown.id) or not _is_ours():
            return
        self._shown, self._seal = waiting[0], ""
        kind = "question" if self._shown.in_call else "approval"
        say(f"\n{kind} {self._shown.id}  {visible_line(self._shown.tool)}", err=True)
        self._put_question(self._shown.parts)

    def _put_question(self, parts: tuple[QuestionPart, ...]) -> None:
        assert self._engine is not None
        for line in written(parts):
            say(f"    {line}", err=True)
        assert self._shown is not None
        for line in written_fields(self._shown.id, self._shown.fields):
            say(f"    {line}", err=True)
        if "a" in self._choices() and self._shown.rule:
            say(f"    always writes  {rule_in_one_line(self._shown.rule)}", err=True)
        own = _BUDGET if self._shown.about_budget else _IN_CALL if self._shown.in_call else {}
        meanings = {**_MEANINGS, **own}
        choices = "   ".join(f"{key}: {meanings[key]}" for key in self._choices())
        others = len(self._engine.snapshot.approvals) - 1
        self._show_choices(f"{choices} ({others} more wait)" if others > 0 else choices)

    def _show_choices(self, choices: str) -> None:
        self._said_choices = choices
        _drop_what_was_typed()
        say(f"    {choices} > ", nl=False, err=True)
        self._shown_at = self._clock()
        self._listen()

    def _choices(self) -> str:
        """What can be answered: nothing is allowed that was not shown, and for always only what is shown at once."""
        assert self._shown is not None
        if self._shown.about_budget:
            return "yn"
        if self._shown.in_call:
            # A form is filled in by its own command: a line that was typed for the prompt would be taken for a value.
            return "n" if self._shown.fields else "wn" if self._shown.left_out and not self._seal else "yn"
        if not self._shown.left_out:
            return "yean" if self._shown.lasts else "yen"
        return "yen" if self._seal else "wn"

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
                self._loop.call_soon_threadsafe(self._said, line.strip().lower(), self._clock())
        except (OSError, ValueError, RuntimeError):
            pass  # in the background, or the worker left: `kubiya-worker approvals` answers as well

    def _said(self, word: str, at: float) -> None:
        if (self._question is not None or self._shown is not None) and at - self._shown_at < READ_SECONDS:
            say(f"    That was typed before this could be read. {self._said_choices} > ", nl=False, err=True)
            return
        question, self._question = self._question, None
        if question is not None and not question.done():
            question.set_result(word in {"y", "yes"})
            self._ask_anew()
            return
        if self._shown is None:
            return
        if word not in _WORDS or _WORDS[word] not in self._choices():
            self._ask_anew()
        elif _WORDS[word] == "w":
            self._read_whole(self._shown)
        else:
            allow, scope = _ANSWERS[_WORDS[word]]
            answer = self._answer(self._shown.id, allow=allow, scope=scope, seal=self._seal)
            self._answered.add(self._shown.id)
            self._shown = None  # one answer is about one question
            self._answering.start(answer)

    def _ask_anew(self) -> None:
        self._shown = None
        self._show_next()

    def _read_whole(self, view: ApprovalView) -> None:
        assert self._engine is not None
        try:
            question = self._engine.whole_question(view.id)
        except KubiyaError as error:
            say(error.sentence, err=True)
            self._ask_anew()
            return
        self._seal = question.seal
        self._put_question(question.parts)

    async def _answer(self, approval_id: str, *, allow: bool, scope: Scope, seal: str) -> None:
        assert self._engine is not None
        try:
            await self._engine.answer_approval(approval_id, allow=allow, scope=scope, seal=seal)
        except KubiyaError as error:
            say(error.sentence, err=True)
        self._answered.discard(approval_id)
        self._show_next()


def _drop_what_was_typed() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.platform == "win32":
            import msvcrt

            while msvcrt.kbhit():
                msvcrt.getwch()
        else:
            import termios

            with contextlib.suppress(termios.error):
                termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


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
