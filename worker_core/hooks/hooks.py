"""When which hook runs, and what its failure means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from worker_core.basics.tasks import TaskKeeper
from worker_core.events import ApprovalAnswered, ApprovalRequested, Event, EventBus, ExecutionFinished
from worker_core.hooks.occasion import HookFailed, Told
from worker_core.key_sources import KeyInFile
from worker_core.logs.redaction import Redactor
from worker_core.policy.questions import ApprovalBook
from worker_core.settings import ANSWERS_BY_COMMAND, SettingsInForce
from worker_core.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from worker_core.hooks.answering import RemoteAnswers, TakesAnswer
    from worker_core.hooks.calls import Calls

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Hooks that nobody waits for, running."""

ENDING_LIMIT: Final = timedelta(seconds=5)
"""For the trees of those that are ended."""

MOST_WAITING: Final = 200
"""Of those, running or not. What comes beyond is not told, and the log says so."""


class Hooks:
    """Of one engine; used on its loop."""

    def __init__(
        self,
        *,
        in_force: SettingsInForce,
        bus: EventBus,
        redactor: Redactor,
        folder: Path,
        held: Path,
        workspaces: Path,
        host_id: str,
        book: ApprovalBook,
        answer_key: Path,
        answer: TakesAnswer,
    ) -> None:
        """Nothing runs before something happens.

        Args:
            in_force: say which programs there are.
            bus: tells what happens.
            redactor: of what programs print; it learns the webhook's secret.
            folder: where programs start.
            held: where what comes in quiet hours is kept.
            workspaces: where those of executions are.
            host_id: of this machine.
            book: what was asked.
            answer_key: where the key of the codes is kept that answers from elsewhere carry.
            answer: takes such an answer.

        Raises:
            ConfigurationError: the file of the webhook's secret cannot be read.
        """
        settings = in_force.current
        self._in_force = in_force
        self._mask = redactor.mask
        self._folder = folder
        self._held = held
        self._book = book
        self._calls: Calls | None = None
        self._answer_key = answer_key
        self._answer = answer
        self._answering: RemoteAnswers | None = None
        self._workspaces = workspaces
        self._host_id = host_id
        self._behind = TaskKeeper()
        self._places = asyncio.Semaphore(AT_ONCE)
        secret: KeyInFile | None = None
        if settings.notify_webhook_secret_file is not None:
            secret = KeyInFile(settings.notify_webhook_secret_file)
            redactor.add(secret)
            secret.listen(redactor.add)
        self._secret = secret
        redactor.add(settings.notify_webhook)  # whoever knows the address may use it
        if settings.notify_answers != ANSWERS_BY_COMMAND:
            redactor.add(settings.notify_answers)
        self._unlisten = bus.listen(self._heard, only=(ApprovalRequested, ApprovalAnswered, ExecutionFinished))

    # --- waited for -----------------------------------------------------------------------------------------

    async def at_start(self) -> None:
        """Before the worker registers. Raises HookFailed where a failure counts."""
        if self._held.is_dir():
            self._calls_for_user().look()
        if (answering := self._answers()) is not None:
            self._go_on(answering)
        await self._gate(self._in_force.current.hook_start, Told(occasion="start", host_id=self._host_id))

    async def before_execution(self, execution_id: str, *, queue_id: str, agent_id: str) -> None:
        """Before an execution's first model call. Raises HookFailed where a failure counts."""
        if line := self._in_force.current.hook_before_execution:
            workspace = await asyncio.to_thread(Workspace.open, self._workspaces, execution_id)
            told = Told(
                occasion="before_execution",
                host_id=self._host_id,
                execution_id=execution_id,
                queue_id=queue_id,
                agent_id=agent_id,
                workspace=str(workspace.path),
            )
            await self._gate(line, told)

    # --- not waited for -------------------------------------------------------------------------------------

    def begin_drain(self) -> None:
        """The worker begins to leave. A failure is logged: it leaves all the same."""
        if line := self._in_force.current.hook_drain:
            told = Told(occasion="drain", host_id=self._host_id)
            self._behind.start(_logged(lambda: self._run(line, told), told), name="hook drain")

    def worker_failed(self) -> None:
        """The worker ends with an error."""
        self._notify(Told(occasion="failed", host_id=self._host_id, outcome="worker"))

    async def ended(self) -> None:
        """Until what is under way has ended, for the time of one hook; then it is ended. Nothing begins afterwards."""
        self._unlisten()
        if self._calls is not None:
            self._calls.close()
        if self._answering is not None:
            await self._answering.end(limit=ENDING_LIMIT)
        limit = self._in_force.current.hook_timeout
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._behind.ended()
        except TimeoutError:
            log.warning("Hooks that still ran were ended: the worker leaves.")
        finally:
            await self._behind.end(limit=ENDING_LIMIT)

    def _heard(self, event: Event) -> None:
        match event:
            case ApprovalRequested():
                self._notify(self._waiting(event.approval_id, event.execution_id, event.tool_name))
            case ExecutionFinished():
                self._finished(event)
            case _:
                pass
        if self._answering is not None:
            self._answering.look()

    def _waiting(self, approval_id: str, execution_id: str, tool: str) -> Told:
        return Told(
            occasion="waiting", host_id=self._host_id, execution_id=execution_id, approval_id=approval_id, tool=tool
        )

    def _finished(self, event: ExecutionFinished) -> None:
        told = Told(
            occasion="after_execution",
            host_id=self._host_id,
            execution_id=event.execution_id,
            queue_id=event.queue_id,
            agent_id=event.agent_id,
            outcome=event.status,
        )
        if line := self._in_force.current.hook_after_execution:
            self._start(told, lambda: self._after(line, told))
        if event.status == "failed":
            self._notify(replace(told, occasion="failed"))

    async def _after(self, line: str, told: Told) -> None:
        workspace = await asyncio.to_thread(Workspace.find, self._workspaces, told.execution_id)
        if workspace is not None:
            told = replace(told, workspace=str(workspace.path))
        await self._run(line, told)

    def _notify(self, told: Told) -> None:
        settings = self._in_force.current
        if settings.notify_command or settings.notify_webhook:
            self._calls_for_user().tell(told)

    def _calls_for_user(self) -> Calls:
        if self._calls is None:
            from worker_core.hooks.calls import Calls, held_file  # most workers call nobody

            self._calls = Calls(
                in_force=self._in_force,
                file=held_file(self._held, self._in_force.current.queue_ids),
                host_id=self._host_id,
                waiting=lambda: {asked.id for asked in self._book.unanswered()},
                send=self._send,
            )
        return self._calls

    def _send(self, told: Told) -> None:
        settings, answering = self._in_force.current, self._answers()

        def prepared(form: str) -> Told:
            return told if answering is None else answering.prepared(told, form)

        asks = answering is not None and answering.begin(told)
        if settings.notify_command and not asks:
            self._start(told, lambda: self._run(settings.notify_command, prepared("command")))
        if settings.notify_webhook:
            from worker_core.hooks.webhook import Webhook

            hook = Webhook(
                settings.notify_webhook,
                secret=self._secret,
                ca_file=settings.ca_file,
                form=settings.notify_format,
                answers=settings.notify_answers,
            )
            self._start(told, lambda: hook.tell(prepared(settings.notify_format)))

    def _answers(self) -> RemoteAnswers | None:
        settings = self._in_force.current
        if self._answering is None and (settings.notify_answers or settings.notify_details):
            from worker_core.hooks.answering import RemoteAnswers
            from worker_core.hooks.codes import Codes

            self._answering = RemoteAnswers(
                in_force=self._in_force,
                book=self._book,
                codes=Codes(self._answer_key),
                secret=self._secret,
                mask=self._mask,
                folder=self._folder,
                answer=self._answer,
            )
        return self._answering

    def _go_on(self, answering: RemoteAnswers) -> None:
        """What an earlier worker asked waits still: its codes are good, and a program that asked begins anew."""
        if self._in_force.current.notify_answers == ANSWERS_BY_COMMAND:
            for asked in answering.waiting():
                told = self._waiting(asked.id, asked.execution_id, asked.tool)
                if self._calls_for_user().quiet:
                    self._calls_for_user().tell(told)
                else:
                    answering.begin(told)
        answering.look()

    # --- running --------------------------------------------------------------------------------------------

    def _start(self, told: Told, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if len(self._behind) >= MOST_WAITING:
            log.error("%d hooks are under way: %r of %s is not told.", MOST_WAITING, told.occasion, told.execution_id)
            return

        async def in_turn() -> None:
            async with self._places:
                await work()

        self._behind.start(_logged(in_turn, told), name=f"hook {told.occasion}")

    async def _gate(self, line: str, told: Told) -> None:
        try:
            await self._run_strictly(line, told)
        except HookFailed as error:
            if self._in_force.current.hook_failure == "fail":
                raise
            log.warning("%s It is ignored, as the settings say (hook_failure).", error.sentence)

    async def _run(self, line: str, told: Told) -> None:
        try:
            await self._run_strictly(line, told)
        except HookFailed as error:
            log.warning("%s", error.sentence)

    async def _run_strictly(self, line: str, told: Told) -> None:
        if line:
            from worker_core.hooks.program import run_program  # most workers have no hooks

            await run_program(
                line, told, folder=self._folder, limit=self._in_force.current.hook_timeout, mask=self._mask
            )


async def _logged(work: Callable[[], Coroutine[Any, Any, None]], told: Told) -> None:
    try:
        await work()
    except Exception:
        log.exception("The hook %s failed on an internal error.", told.occasion)
