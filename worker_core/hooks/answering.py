"""Answers from where its user was called: by a program of his, or read from a web address while a question waits.

Each carries the code of its question. What a program of the owner's answers counts as his own: it runs as he does, and
could run `kubiya-worker approvals` as well. From a web address a denial counts, and an allowance only where
`remote_approvals` is on, the question was shown there whole, and the answer is signed. Never a rule.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from worker_core.basics.tasks import TaskKeeper
from worker_core.errors import KubiyaError
from worker_core.hooks.answer_stream import lines
from worker_core.hooks.codes import Codes, Kind
from worker_core.hooks.occasion import LONGEST_QUESTION, HookFailed, Told
from worker_core.hooks.program import run_program
from worker_core.hooks.replies import NotAReply, Reply, read_line, read_reply, signature
from worker_core.key_sources import KeyInFile
from worker_core.network.backoff import Backoff
from worker_core.policy.question_text import left_out, shown, written
from worker_core.policy.questions import ApprovalBook, Asked
from worker_core.settings import ANSWERS_BY_COMMAND, SettingsInForce

log = logging.getLogger(__name__)

PROGRAMS: Final = 16
"""That wait for an answer at once."""

REST: Final = timedelta(seconds=5)
"""Before an address that has sent all is asked again."""

LOOK: Final = timedelta(seconds=10)
"""Between two looks whether anything waits still."""

MARGIN: Final = timedelta(minutes=1)
"""By which answers are asked for that are older than the question."""

LONGEST_SHOWN: Final = {"command": LONGEST_QUESTION, "json": LONGEST_QUESTION, "ntfy": 800}
"""Characters of a question, by where it is shown; elsewhere it may be cut, and nobody can answer from there."""

ELSEWHERE: Final = 1_200
BY_COMMAND: Final = "the user of this machine, by notify_command"
BY_ADDRESS: Final = "the user, by notify_answers"
_FROM_ADDRESS: Final[tuple[Kind, ...]] = ("shown", "unseen")


class TakesAnswer(Protocol):
    """As `Engine.answer_approval`."""

    async def __call__(self, approval_id: str, *, allow: bool, by: str, seal: str = "") -> None: ...


class RemoteAnswers:
    """Of one engine, on its loop."""

    def __init__(
        self,
        *,
        in_force: SettingsInForce,
        book: ApprovalBook,
        codes: Codes,
        secret: KeyInFile | None,
        mask: Callable[[str], str],
        folder: Path,
        answer: TakesAnswer,
    ) -> None:
        """Nothing is read before something waits.

        Args:
            in_force: say where answers come from.
            book: what was asked.
            codes: of the questions.
            secret: what allowances are signed with.
            mask: of what is shown and printed.
            folder: where programs start.
            answer: takes an answer.
        """
        self._in_force = in_force
        self._book = book
        self._codes = codes
        self._secret = secret
        self._mask = mask
        self._folder = folder
        self._answer = answer
        self._places = asyncio.Semaphore(PROGRAMS)
        self._programs: dict[str, asyncio.Task[None]] = {}
        self._taking = TaskKeeper()
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._said: set[tuple[str, str]] = set()
        self._ended = False

    # --- what is told ---------------------------------------------------------------------------------------

    def prepared(self, told: Told, form: str) -> Told:
        """With the question and its code, as far as the settings want that.

        Args:
            told: what is to be told.
            form: `command`, or what `notify_format` says.
        """
        asked = next((one for one in self.waiting() if one.id == told.approval_id), None)
        if asked is None or told.occasion != "waiting":
            return replace(told, calls=tuple(self.prepared(one, form) for one in told.calls)) if told.calls else told
        settings = self._in_force.current
        question, whole = self._question(asked, form) if settings.notify_details else ("", False)
        kind: Kind | None = "shown" if whole else "unseen"
        if settings.notify_answers == ANSWERS_BY_COMMAND:
            kind = "owner" if form == "command" else None
        if not settings.notify_answers or kind is None or form not in LONGEST_SHOWN:
            return replace(told, question=question)
        may_allow = kind == "owner" or (kind == "shown" and settings.remote_approvals and self._secret is not None)
        return replace(
            told,
            question=question,
            code=self._codes.of(asked, kind),
            answers=("allow", "deny") if may_allow else ("deny",),
        )

    def _question(self, asked: Asked, form: str) -> tuple[str, bool]:
        """As much as fits; whether that is all: nothing more is hidden than from whoever sits here, and no form."""
        parts = shown(asked.parts)
        text = "\n".join(written(parts))
        masked, limit = self._mask(text), LONGEST_SHOWN.get(form, ELSEWHERE)
        whole = masked == text and not left_out(parts) and not asked.fields and len(text) <= limit
        return masked if len(masked) <= limit else f"{masked[: limit - 1]}…", whole

    def waiting(self) -> list[Asked]:
        """Questions of this worker's queues: several workers may share a home."""
        queues = self._in_force.current.queue_ids
        return [asked for asked in self._book.unanswered() if asked.queue_id in queues]

    # --- answers --------------------------------------------------------------------------------------------

    def begin(self, told: Told) -> bool:
        """Somebody is told that a question waits: hear what he answers. Whether that runs his program."""
        self.look()
        settings = self._in_force.current
        if settings.notify_answers != ANSWERS_BY_COMMAND or not settings.notify_command or told.occasion != "waiting":
            return False
        asked = next((one for one in self.waiting() if one.id == told.approval_id), None)
        if asked is None or asked.id in self._programs:
            return asked is not None
        work = self._ask_program(self.prepared(told, "command"), asked)
        task = self._programs[asked.id] = asyncio.create_task(work, name=f"hook {asked.id}")
        task.add_done_callback(lambda _: self._programs.pop(asked.id, None))
        return True

    def look(self) -> None:
        """Something was asked, answered or is over."""
        self._changed.set()
        waiting = {asked.id for asked in self.waiting()}
        for approval_id, program in self._programs.items():
            if approval_id not in waiting:
                program.cancel()
        if self._reader is None and not self._ended and self._address():
            self._reader = asyncio.create_task(self._read(), name="answers")
            self._reader.add_done_callback(self._read_all)

    async def end(self, *, limit: timedelta) -> None:
        """Hear no more. What was heard is kept."""
        self._ended = True
        running = [task for task in (self._reader, *self._programs.values()) if task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=limit.total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit.total_seconds()):
                await self._taking.ended()
        self._taking.cancel()

    async def _ask_program(self, told: Told, asked: Asked) -> None:
        line = self._in_force.current.notify_command
        try:
            async with self._places:
                printed = await run_program(
                    line, told, folder=self._folder, limit=max(_left(asked), timedelta(seconds=1)),
                    mask=lambda text: self._mask(text.replace(told.code, "***")),
                )  # fmt: skip
        except HookFailed as error:
            if _left(asked):
                log.warning("%s", error.sentence)
            return
        for one in printed.splitlines():
            with contextlib.suppress(NotAReply):
                self._take(read_reply(one), kinds=("owner",), by=BY_COMMAND)
                return

    def _take(self, reply: Reply, *, kinds: tuple[Kind, ...], by: str) -> None:
        found = self._codes.find(reply.code, self.waiting(), kinds=kinds)
        if found is None:
            self._say_once("", "its code is of no question that waits: unknown, late or repeated")
        elif why := self._why_not(reply, found[1]):
            self._say_once(found[0].id, why)
        else:
            self._taking.start(self._keep(found[0].id, reply, by), name="answer")

    def _why_not(self, reply: Reply, kind: Kind) -> str:
        """Why an answer does not count; empty: it does."""
        if kind == "owner":
            return ""
        if reply.signature and not self._is_signed(reply):
            return "its signature is wrong"
        if reply.answer == "deny":
            return ""
        if not self._in_force.current.remote_approvals:
            return "`remote_approvals` is off"
        if kind != "shown":
            return "the question was not shown there whole (`notify_details`)"
        if self._secret is None:
            return "there is no secret to sign it with (`notify_webhook_secret_file`)"
        return "" if reply.signature else "it is not signed"

    def _is_signed(self, reply: Reply) -> bool:
        if self._secret is None:
            return False
        expected = signature(self._secret.reveal(), answer=reply.answer, code=reply.code)
        return hmac.compare_digest(expected, reply.signature)

    async def _keep(self, approval_id: str, reply: Reply, by: str) -> None:
        try:
            await self._answer(approval_id, allow=reply.answer == "allow", by=by, seal=reply.seal)
        except KubiyaError as error:
            log.warning("An answer to approval %s (%s) was not taken: %s", approval_id, by, error.sentence)
        else:
            log.info("Approval %s was answered by %s: %s.", approval_id, by, reply.answer)
        self.look()

    def _say_once(self, approval_id: str, why: str) -> None:
        waiting = {asked.id for asked in self.waiting()}
        self._said = {one for one in self._said if not one[0] or one[0] in waiting}
        if (approval_id, why) not in self._said:
            self._said.add((approval_id, why))
            about = f" to approval {approval_id}" if approval_id else ""
            log.warning("An answer%s does not count: %s. More of that kind is ignored in silence.", about, why)

    # --- a web address --------------------------------------------------------------------------------------

    def _address(self) -> str:
        """To read answers from now; empty: there is none, or nothing waits."""
        settings = self._in_force.current
        answers = settings.notify_answers
        told = settings.notify_command or (settings.notify_webhook and settings.notify_format in LONGEST_SHOWN)
        return answers if answers and told and answers != ANSWERS_BY_COMMAND and self.waiting() else ""

    async def _read(self) -> None:
        backoff, why = Backoff(), ""
        while address := self._address():
            reading = asyncio.create_task(self._read_once(address), name="stream of answers")
            try:
                while not reading.done() and self._address() == address:
                    await self._rest(LOOK, reading)
            finally:
                reading.cancel()
                await asyncio.wait([reading])
            if reading.cancelled():
                continue
            if failed := reading.result():
                if failed != why:
                    log.warning("Answers cannot be read from notify_answers (%s); it is tried again.", failed)
                why, rest = failed, backoff.next_delay()
            else:
                why, rest = "", REST
                backoff.reset()
            await self._rest(rest)

    async def _rest(self, span: timedelta, *tasks: asyncio.Task[str]) -> None:
        """For a while, or until something changes."""
        self._changed.clear()
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait([changed, *tasks], timeout=span.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _read_once(self, address: str) -> str:
        """Until it ends. Why it was no good; empty: it was."""
        oldest = min((asked.asked_at for asked in self.waiting()), default=datetime.now(UTC))
        since = max(datetime.now(UTC) - oldest, timedelta()) + MARGIN
        understood, strange = 0, ""
        try:
            async with contextlib.aclosing(lines(address, since=since, ca_file=self._in_force.current.ca_file)) as read:
                async for line in read:
                    try:
                        reply = read_line(line)
                    except NotAReply as error:
                        strange = strange or f"{error}"
                        continue
                    understood += bool(line)
                    if reply is not None:
                        self._take(reply, kinds=_FROM_ADDRESS, by=BY_ADDRESS)
        except KubiyaError as error:
            return error.sentence
        return f"what it sends is no answer: {strange}" if strange and not understood else ""

    def _read_all(self, reader: asyncio.Task[None]) -> None:
        self._reader = None
        if reader.cancelled():
            return
        if (error := reader.exception()) is not None:
            log.error("Answers are not read until something else waits, on an internal error.", exc_info=error)
        else:
            self.look()


def _left(asked: Asked) -> timedelta:
    return max(asked.expires_at - datetime.now(UTC), timedelta())
