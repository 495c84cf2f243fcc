"""The engine: the worker's life cycle. Tray, command line and daemon alike command it and draw what it publishes.

It runs on any asyncio loop (stock or qasync): no signal handlers, no asyncio subprocesses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from worker_core import __version__
from worker_core.basics import own_process
from worker_core.basics.sentences import worded
from worker_core.basics.tasks import TaskKeeper
from worker_core.control_plane.session import WorkerStatus
from worker_core.engine.departure import Departure, StopWish, before_stop, drain_reason, failure_of, farewell, sign_off
from worker_core.engine.housekeeping import REPLACED, Housekeeping
from worker_core.engine.queue import ServedQueue
from worker_core.engine.services import executions_limit, make_services
from worker_core.engine.serving import Clients, Timing
from worker_core.engine.single_execution import SingleExecution
from worker_core.errors import ConfigurationError, ExitCode, KubiyaError
from worker_core.events import (
    EngineStateChanged,
    Event,
    EventBus,
    PollingStarted,
    ProgramReplaced,
    SnapshotReplaced,
    WokeUp,
)
from worker_core.logs.narrator import narrate
from worker_core.policy.answers import Answers
from worker_core.sandbox.choice import Ask, ChosenLauncher, SandboxChoice, announced, choose
from worker_core.secrets import Secret
from worker_core.settings import SettingsInForce
from worker_core.snapshot import NOTHING, EngineSnapshot, EngineState, SandboxView, Scope, StopMode, WholeQuestion
from worker_core.temporal.admission import AdmissionGate
from worker_core.temporal.connection import metrics
from worker_core.tracing import spans

if TYPE_CHECKING:
    from temporalio.client import Client

    from worker_core.logs.redaction import Redactor
    from worker_core.logs.ring import LogRing
    from worker_core.paths import Paths
    from worker_core.sandbox.launcher import Launcher
    from worker_core.settings import Adopted, Settings

log = logging.getLogger(__name__)

LAST_EVENTS_LIMIT = timedelta(seconds=10)
SIGN_OFF_LIMIT = timedelta(seconds=15)
QUICK_SIGN_OFF_LIMIT = timedelta(seconds=2)


class Engine:
    """One worker. Made once, started once; a new start makes a new engine.

    Args:
        settings: validated settings; at least one queue.
        api_key: the one credential.
        paths: where state is kept.
        redactor: masks secrets in everything that leaves.
        log_ring: recent log lines, for full heartbeats.
        launcher: what isolates tool processes; None: what `worker_core.sandbox.choice` finds.
        ask_sandbox: asks the user whether tools may run without a sandbox where there is none; called in a thread.
            None: nobody is there to ask.
        asks_early: ask when polling begins, not with the first tool.
        timing: intervals of the queue loops; tests shorten them.

    Raises:
        ConfigurationError: no queue, no key, a policy file that cannot be read, or a state folder that cannot be used.

    """

    def __init__(
        self,
        *,
        settings: Settings,
        api_key: Secret,
        paths: Paths,
        redactor: Redactor,
        log_ring: LogRing,
        launcher: Launcher | None = None,
        ask_sandbox: Ask | None = None,
        asks_early: bool = False,
        timing: Timing | None = None,
    ) -> None:
        if not settings.queue_ids:
            raise ConfigurationError(worded("There is no queue to serve.")).with_repair(
                "Name one: `kubiya-worker start --queue-id ID`, or set QUEUE_ID."
            )
        if not api_key:
            raise ConfigurationError(worded("There is no API key.")).with_repair(
                "Run `kubiya-worker login`, or set KUBIYA_API_KEY or KUBIYA_API_KEY_FILE."
            )
        paths.check()
        redactor.add(api_key)
        redactor.add(settings.llm_api_key)
        self.events = EventBus()
        self._in_force = SettingsInForce(settings)
        self._api_key = api_key
        asking = announced(ask_sandbox, show=self._show_sandbox) if ask_sandbox is not None else None
        self._chosen = ChosenLauncher(lambda: choose(settings, paths, ask=asking), on_choice=self._sandbox_chosen)
        self._services = make_services(
            in_force=self._in_force,
            api_key=api_key,
            paths=paths,
            bus=self.events,
            redactor=redactor,
            launcher=launcher or self._chosen,
            on_executions=self._tracker_changed,
            on_questions=self._publish_soon,
            own_secrets=self._own_secrets,
            answer=self.answer_approval,
        )
        self.control_plane = self._services.client
        self._tracker = self._services.tracker
        self._tracker_change = asyncio.Event()
        self._book = self._services.permissions.book
        self._answers = Answers(book=self._book, client_of=self._temporal_of)
        self._gate = AdmissionGate(limit=lambda: self._tracker.limit, running=self._tracker.running_by_queue)
        self._housekeeping = Housekeeping(
            self._services,
            paths=paths,
            on_sample=self._publish_soon,
            on_replaced=self._replaced,
            client_of=self._temporal_of,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks_early = launcher is None and (ask_sandbox is None or asks_early)
        self._looking = TaskKeeper()
        self._single = SingleExecution(
            wait=settings.single_execution_wait,
            bus=self.events,
            closed=self._workflow_closed,
            leave=lambda: self._stop.raise_to(StopMode.DRAIN),
        )
        clients = Clients(identity=f"{os.getpid()}@{self._services.host_id}", mask=redactor.mask)
        self._queues = [
            ServedQueue(
                self._services,
                queue_id,
                clients=clients,
                gate=self._gate,
                single=self._single,
                log_ring=log_ring,
                sampler=self._housekeeping.sampler,
                timing=timing or Timing(),
                status=self._worker_status,
                on_change=self._publish_soon,
            )
            for queue_id in settings.queue_ids
        ]
        self._stop = StopWish()
        self._stopped = asyncio.Event()
        self._supervising: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._publishing = False
        self.snapshot = EngineSnapshot(
            version=__version__,
            control_plane_url=settings.control_plane_url,
            host_id=self._services.host_id,
            pid=os.getpid(),
            executions_limit=self._tracker.limit,
            queues=tuple(queue.server.view for queue in self._queues),
            approvals=self._book.views(),
        )
        # Before anybody else: who hears that polling started finds a worker that says so.
        self.events.listen(self._on_event, only=(PollingStarted,))

    # --- commands -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; returns while STARTING goes on in the background. Does nothing when started already."""
        if self._supervising is not None or self._stopped.is_set():
            return
        own_process.prepare()
        spans.start(mask=self._services.redactor.mask, host_id=self._services.host_id)
        self._loop = asyncio.get_running_loop()
        self._change(EngineState.STARTING, worded("Registering with the control plane."))
        narrate(self.events)
        if self.settings.single_execution:
            self._single.switch_on("Single-execution mode")
        self._supervising = asyncio.create_task(self._supervise(), name="engine")

    async def pause(self, reason: str = worded("Paused by the user.")) -> None:
        """Take no new executions; what runs goes on. Only where the worker runs or starts."""
        if self.snapshot.state in {EngineState.RUNNING, EngineState.STARTING}:
            self._gate.close()
            self._change(EngineState.PAUSED, reason)
            self._beat()

    async def resume(self) -> None:
        """Take executions again; does nothing unless paused."""
        if self.snapshot.state is EngineState.PAUSED:
            self._gate.open()
            self._change(*self._at_work())
            self._beat()

    async def stop(self, *, mode: StopMode = StopMode.DRAIN) -> None:
        """Leave; returns at once. A stronger mode while a weaker one is under way takes over."""
        if self._supervising is None:
            self._finish(EngineState.STOPPED, worded("Stopped before it was started."), ExitCode.OK)
        else:
            self._stop.raise_to(mode)

    def whole_question(self, approval_id: str) -> WholeQuestion:
        """Everything that a tool call which waits would do, where `snapshot.approvals` leaves something out.

        Raises:
            NoSuchApproval: nothing of this id waits (any more).
        """
        return self._book.whole(approval_id)

    async def answer_approval(
        self,
        approval_id: str,
        *,
        allow: bool,
        scope: Scope = "once",
        by: str = "the user of this machine",
        seal: str = "",
        values: Mapping[str, Any] = NOTHING,
        rule: str = "",
    ) -> None:
        """Answer a tool call that waits (`snapshot.approvals`). The answer is kept: a restart does not lose it.

        Args:
            approval_id: of the question, or its beginning.
            allow: whether the call may run.
            scope: how far the answer reaches.
            by: who answered, for the audit log and the model.
            seal: of `whole_question`, which must have been read where the snapshot leaves something out.
            values: what is filled in, by name, where the question has fields.
            rule: what an answer for always writes instead of the rule that its view shows; empty: just that one.

        Raises:
            NoSuchApproval: nothing of this id waits (any more).
            NotRead: it is to be allowed without having been read whole.
            NotThatRule, WrongValues: the rule may not be written for this call; something is filled in wrongly.
            KubiyaError: the answer cannot be written down.
        """
        asked = self._answers.keep(approval_id, allow=allow, scope=scope, by=by, seal=seal, values=values, rule=rule)
        self._publish()
        for one in (asked, *await self._services.budgets.answered(asked)):
            await self._answers.tell(one)

    def adopt(self, settings: Settings) -> Adopted:
        """Go on with these settings, as far as they may change while a worker runs; the rest is left as it is."""
        adopted = self._in_force.adopt(settings)
        self._services.redactor.add(settings.llm_api_key)
        if "max_executions" in adopted.applied:
            self._tracker.limit = executions_limit(settings)
            self._gate.look_again()
            self.snapshot = replace(self.snapshot, executions_limit=self._tracker.limit)
        if "heartbeat_interval" in adopted.applied:
            self._beat()
        self._housekeeping.adopt(self.settings)
        self._publish_soon()
        return adopted

    async def wait_stopped(self) -> EngineSnapshot:
        """Wait for STOPPED or FAILED and everything flushed; the snapshot holds the exit code."""
        await self._stopped.wait()
        return self.snapshot

    @property
    def settings(self) -> Settings:
        """Those in force now."""
        return self._in_force.current

    # --- life ---------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        failure: KubiyaError | None = None
        code = ExitCode.OK
        try:
            await self._services.outbox.open()
            failure = await before_stop(self._services.hooks.at_start(), self._stop)
            if failure is None and self._stop.mode is None:
                for queue in self._queues:
                    queue.start()
                self._watching = asyncio.create_task(self._housekeeping.run(on_change=self.reconnect), name="machine")
                failure = await self._until_stop_or_failure()
            code = await self._leave() if failure is None else failure.exit_code
            await self._say_goodbye(code, failure)
        except Exception as error:
            log.exception("The engine stopped on an internal error.")
            kind = type(error).__name__
            failure = failure or KubiyaError(worded("The worker stopped on an internal error: {kind}.", kind=kind))
            code = ExitCode.UNEXPECTED
        finally:
            for task in (self._watching, *(queue.task for queue in self._queues)):
                if task is not None:
                    task.cancel()
            if failure is not None:
                self._finish(EngineState.FAILED, failure.said, code, repair=failure.repair)
            else:
                self._finish(EngineState.STOPPED, self._single.farewell or farewell(code), code)

    async def _until_stop_or_failure(self) -> KubiyaError | None:
        """Wait for a stop request; or, when no queue is left that could be served, return why."""
        stop = asyncio.create_task(self._stop.reaches(StopMode.DRAIN))
        first: KubiyaError | None = None
        serving = {queue.task: queue for queue in self._queues if queue.task is not None}
        try:
            while serving:
                waited: list[asyncio.Task[Any]] = [stop, *serving]
                done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if stop in done:
                    return None
                for task in done:
                    queue = serving.pop(task)
                    error = failure_of(task)
                    first = first or error
                    queue.server.refuse(error.said, repair=error.repair)
                    if serving:
                        log.error("Queue %s is not served: %s", queue.queue_id, error.sentence)
                        await queue.session.leave(
                            reason="error", exit_code=int(error.exit_code), error_message=error.sentence
                        )
            return first
        finally:
            stop.cancel()

    async def _leave(self) -> ExitCode:
        self._gate.close()
        self._change(EngineState.DRAINING, drain_reason(self._tracker.running))
        self._services.hooks.begin_drain()
        self._beat()
        code = await Departure(
            wish=self._stop,
            tracker=self._tracker,
            tracker_changed=self._tracker_change,
            servers=[queue.server for queue in self._queues],
            drain_timeout=self.settings.drain_timeout,
            say=lambda sentence: self._change(EngineState.DRAINING, sentence),
            look=self._housekeeping.let_go,
        ).run()
        return self._single.exit_code if code is ExitCode.OK else code

    async def _say_goodbye(self, code: ExitCode, failure: KubiyaError | None) -> None:
        """Deliver or keep the last events, then sign off. Heartbeats are the last thing to stop."""
        quick = code is ExitCode.LEFT_AT_ONCE
        if failure is not None:
            self._services.hooks.worker_failed()
            await asyncio.gather(*(queue.server.stop(limit=SIGN_OFF_LIMIT) for queue in self._queues))
        await before_stop(self._services.hooks.ended(), self._stop, mode=StopMode.NOW)
        await self._services.announcements.close()
        await self._services.outbox.close(limit=timedelta(0) if quick else LAST_EVENTS_LIMIT)
        for queue in self._queues:
            if queue.task is not None:
                queue.task.cancel()
        limit = QUICK_SIGN_OFF_LIMIT if quick else SIGN_OFF_LIMIT
        await sign_off([queue.session for queue in self._queues], code, failure, limit=limit)
        if self._single.done:
            await asyncio.gather(*(queue.remove_if_ephemeral(limit=SIGN_OFF_LIMIT) for queue in self._queues))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit.total_seconds()):
                await self._services.mcp.close()
                await asyncio.to_thread(self._services.claude.close)
        await asyncio.gather(*(queue.aclose() for queue in self._queues), return_exceptions=True)
        await self.control_plane.aclose()
        await asyncio.to_thread(spans.flush, limit_seconds=QUICK_SIGN_OFF_LIMIT.total_seconds())

    def _finish(self, state: EngineState, reason: str, code: ExitCode, *, repair: str = "") -> None:
        self._chosen.close()
        self._single.close()
        self.snapshot = replace(self.snapshot, exit_code=int(code), repair=repair)
        self._change(state, reason)
        self._stopped.set()

    def _sandbox_chosen(self, choice: SandboxChoice) -> None:
        """Called in the thread that looked."""
        log.log(logging.INFO if choice.launcher is not None else logging.ERROR, "%s", choice.view.reason)
        self._show_sandbox(choice.view)

    def _show_sandbox(self, view: SandboxView) -> None:
        def show() -> None:
            self.snapshot = replace(self.snapshot, sandbox=view)
            self._publish_soon()

        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(show)

    async def _workflow_closed(self, workflow_id: str) -> None:
        await asyncio.gather(*(queue.server.workflow_closed(workflow_id) for queue in self._queues))

    def _temporal_of(self, queue_id: str) -> Client | None:
        return next((one.server.client for one in self._queues if one.queue_id == queue_id), None)

    # --- what queues ask for ------------------------------------------------------------------------------

    def _own_secrets(self) -> frozenset[str]:
        known = [self._api_key, self.settings.llm_api_key]
        for queue in self._queues:
            known.extend(queue.secrets())
        return frozenset(secret.reveal() for secret in known if secret)

    def _worker_status(self, queue_id: str) -> WorkerStatus:
        running = self._tracker.running
        return WorkerStatus(
            status="busy" if running >= self._tracker.limit else "active" if running else "idle",
            tasks_processed=self._tracker.processed,
            current_task_id=self._tracker.current_task_id(queue_id),
            metadata={"state": self.snapshot.state.value, "reason": self.snapshot.reason},
        )

    # --- the machine --------------------------------------------------------------------------------------

    def reconnect(self, reason: str) -> None:
        """Check every connection now, and make anew what is dead. `reason` is a sentence.

        For whoever knows that the machine slept or changed its network: the engine's own watch, or a window system.
        """
        log.info("%s Connections are checked.", reason)
        self.events.publish(WokeUp(reason=str(reason)))
        self.control_plane.reset_connections()
        self._services.outbox.nudge()
        self._beat()
        for queue in self._queues:
            queue.server.suspect(reason)

    def _replaced(self) -> None:
        """Take nothing new: what an execution needs may lie in files that are no more."""
        log.warning(REPLACED)
        self._looking.start(self.pause(REPLACED))
        self.events.publish(ProgramReplaced())

    def _beat(self) -> None:
        for queue in self._queues:
            queue.session.beat_now()

    # --- the snapshot -------------------------------------------------------------------------------------

    def _tracker_changed(self) -> None:
        self._gate.look_again()
        self._tracker_change.set()
        self._publish_soon()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, PollingStarted) and self.snapshot.state is EngineState.STARTING:
            self._change(*self._at_work())
            if self._looks_early:  # in a thread: who deploys a worker is to read at once that it cannot run tools
                self._looking.start(asyncio.to_thread(self._chosen.look))
        if isinstance(event, PollingStarted):
            self._answers.tell_again(event.queue_id)

    def _at_work(self) -> tuple[EngineState, str]:
        if any(queue.server.view.polling for queue in self._queues):
            return EngineState.RUNNING, worded("Waiting for work.")
        return EngineState.STARTING, worded("Connecting.")

    def _change(self, state: EngineState, reason: str) -> None:
        before, repair = self.snapshot.state, self.snapshot.repair
        if (state, reason) == (before, self.snapshot.reason):
            return
        since = self.snapshot.since if state is before else datetime.now(UTC)
        self._publish(state=state, reason=reason, since=since)
        if state is not before:
            log.info("%s: %s", state.value, reason)
            self.events.publish(EngineStateChanged(before=before, after=state, reason=reason, repair=repair))

    def _publish_soon(self) -> None:
        """Gather the changes of one loop turn into one snapshot."""
        if not self._publishing:
            self._publishing = True
            asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self, **changes: object) -> None:
        """Replace the snapshot in one step: other threads read it at any moment."""
        self._publishing, budgets = False, self._services.late_budgets
        metrics().drain()  # busy times fill the SDK's buffer faster than the queues look into it
        self.snapshot = replace(
            self.snapshot,
            queues=tuple(queue.view for queue in self._queues),
            executions=tuple(replace(one, budget=budgets.of(one.execution_id)) for one in self._tracker.views()),
            budget=budgets.day,
            approvals=self._book.views(),
            tasks_processed=self._tracker.processed,
            turns_ended=self._tracker.turns_ended,
            outbox=self._services.outbox.view(),
            health=self._housekeeping.health,
            sdk=metrics().view(),
            **changes,  # type: ignore[arg-type]
        )
        self.events.publish(SnapshotReplaced(snapshot=self.snapshot))
