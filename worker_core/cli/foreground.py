"""A worker in the foreground: logs, the ready line, the control socket, and how it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import logging
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from worker_core.basics.plain import one_line
from worker_core.basics.tasks import TaskKeeper
from worker_core.cli.notices import noticing
from worker_core.cli.prompter import Prompter
from worker_core.cli.signals import hang_up, stop_signals
from worker_core.cli.terminal import say
from worker_core.control_socket.client import running_workers
from worker_core.control_socket.server import ControlSocket
from worker_core.data_format import OURS
from worker_core.engine.engine import Engine
from worker_core.engine.reloading import RunningSettings
from worker_core.errors import ExitCode, KubiyaError
from worker_core.events import Event, PollingStarted, ProgramReplaced
from worker_core.logs.pipeline import install, set_level, uninstall
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.logs.sinks import ConsoleSink, FileSink, Sink
from worker_core.policy.decision import policy_file
from worker_core.services.notify import ServiceManager
from worker_core.snapshot import EngineSnapshot, EngineState, StopMode
from worker_core.status_server import serving_status

if TYPE_CHECKING:
    from worker_core.paths import Paths
    from worker_core.secrets import Secret
    from worker_core.settings import Settings, SettingsSource

log = logging.getLogger(__name__)

_NAME_LIMIT: Final = 120


class WorkerFailed(KubiyaError):
    """The engine ended in FAILED; the text is its reason."""

    def __init__(self, snapshot: EngineSnapshot) -> None:
        super().__init__(snapshot.reason)
        self.exit_code = snapshot.exit_code  # type: ignore[assignment]


class Foreground:
    """One worker from start to exit code. Run it on the main thread's event loop."""

    def __init__(
        self,
        *,
        settings: Settings,
        api_key: Secret,
        paths: Paths,
        source: SettingsSource | None = None,
        name: str = "",
        supervised: bool = False,
    ) -> None:
        """Nothing is begun.

        Args:
            settings: validated.
            api_key: the one credential.
            paths: where state is kept.
            source: where the settings are read again; None: they are none of a file's.
            name: what its user calls it; its log file is called so.
            supervised: a daemon started it: its stdin says when that is gone, and nobody reads what it prints.
        """
        self._name = name
        self._supervised = supervised
        self._settings = settings
        self._source = source
        self._api_key = api_key
        self._paths = paths
        self._ready: set[str] = set()
        self._stops = 0
        self._replaced = False
        self._stopping = TaskKeeper()
        self._reloading = TaskKeeper()

    async def run(self) -> int:
        """Serve until the engine has stopped.

        Returns:
            The exit code.

        Raises:
            KubiyaError: it could not start, or could not go on.
        """
        self._paths.check()
        without_temporary = self._paths.have_temporary()
        OURS.make_ready(self._paths, in_use_by=lambda: [one.pid for one in running_workers(self._paths.runtime)])
        redactor, ring = Redactor(), LogRing()
        redactor.add(self._api_key)
        redactor.add(self._settings.llm_api_key)
        style = self._settings.log_format
        file = FileSink(
            self._paths.log_of(self._name),
            limit_mb=self._settings.log_file_mb,
            files=self._settings.log_files,
            style=style,
            complain=sys.stderr,
        )
        sinks: list[Sink] = [file] if self._supervised else [ConsoleSink(sys.stderr, style=style), file]
        pipeline = install(redactor=redactor, sinks=sinks, ring=ring, level=self._settings.log_level)
        threading.excepthook = _thread_failed  # Python's own prints, unmasked, where a daemon's log has it in pieces
        if without_temporary:
            log.warning("%s", without_temporary)
        began = time.monotonic()
        try:
            prompter = Prompter()
            engine = Engine(
                settings=self._settings,
                api_key=self._api_key,
                paths=self._paths,
                redactor=redactor,
                log_ring=ring,
                ask_sandbox=prompter.confirm if prompter.at_a_terminal else None,
            )
            engine.events.listen(self._heard)
            prompter.attend(engine)
            running = self._running_settings(engine)
            control = ControlSocket(
                engine=engine, log_ring=ring, folder=self._paths.runtime, name=self._name, settings=running
            )
            manager = ServiceManager.take_from()
            if self._supervised or manager.address:
                engine.events.listen(lambda _: self._make_room(engine), only=(ProgramReplaced,))
            if manager.watchdog is not None:
                faulthandler.enable()  # it ends a process that hangs with SIGABRT: the log then says where
            with (
                stop_signals(lambda name: self._asked_to_stop(engine, name)),
                hang_up(lambda: self._reload(running, manager)),
                serving_status(engine, host=self._settings.status_host, port=self._settings.status_port),
                noticing(engine, self._settings.cloud, drain_timeout=lambda: self._settings.drain_timeout),
                manager.attending(engine, drain_timeout=lambda: self._settings.drain_timeout),
            ):
                await engine.start()
                self._open(control)
                if self._supervised:
                    self._leave_with_the_daemon(engine)
                manager.ready()
                snapshot = await engine.wait_stopped()
            control.close()
            self._farewell(snapshot, time.monotonic() - began)
        finally:
            uninstall(pipeline)
        if snapshot.state is EngineState.FAILED:
            raise WorkerFailed(snapshot)
        return int(ExitCode.REPLACED) if self._replaced and not snapshot.exit_code else snapshot.exit_code

    def _make_room(self, engine: Engine) -> None:
        """Leave once running turns have ended: whoever keeps this worker running starts the new version then."""
        self._replaced = True
        self._stopping.start(engine.stop())

    def _running_settings(self, engine: Engine) -> RunningSettings | None:
        if self._source is None:
            return None

        def adopted(settings: Settings) -> None:
            self._settings = settings
            set_level(settings.log_level)

        reading = self._source.read()
        for remark in reading.remarks:
            log.warning("%s", remark.sentence)
        return RunningSettings(
            engine=engine,
            source=self._source,
            reading=reading,
            policy=policy_file(self._paths),
            on_adopted=adopted,
        )

    def _reload(self, running: RunningSettings | None, manager: ServiceManager) -> None:
        async def reload(settings: RunningSettings) -> None:
            manager.reloading()
            try:
                await settings.reload()
            finally:
                manager.ready()

        if running is not None:
            self._reloading.start(reload(running))

    def _open(self, control: ControlSocket) -> None:
        try:
            control.open()
        except OSError as error:
            log.warning(
                "The control socket in %s cannot be opened (%s); `kubiya-worker status` and `stop` cannot reach this "
                "worker, signals can.",
                self._paths.runtime,
                error.strerror or error,
            )

    def _leave_with_the_daemon(self, engine: Engine) -> None:
        from worker_core.daemon import life_line

        loop = asyncio.get_running_loop()

        def gone() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has left
                loop.call_soon_threadsafe(self._asked_to_stop, engine, "The daemon is gone")

        life_line.when_it_ends(gone)

    def _heard(self, event: Event) -> None:
        if not isinstance(event, PollingStarted) or event.queue_id in self._ready:
            return
        self._ready.add(event.queue_id)
        name = one_line(event.queue_name, _NAME_LIMIT) or event.queue_id
        self._print(
            f"ready  queue={name} ({event.queue_id})  worker={event.worker_id}",
            {"event": "ready", "queue_id": event.queue_id, "queue_name": name, "worker_id": event.worker_id},
        )

    def _farewell(self, snapshot: EngineSnapshot, seconds: float) -> None:
        tasks = snapshot.tasks_processed
        if snapshot.state is EngineState.FAILED and self._settings.log_format == "text":
            return  # the error says it
        self._print(
            f"{snapshot.state.value}  tasks={tasks}  seconds={seconds:.1f}  exit={snapshot.exit_code}",
            {
                "event": snapshot.state.value,
                "reason": snapshot.reason,
                "tasks_processed": tasks,
                "seconds": round(seconds, 1),
                "exit_code": snapshot.exit_code,
            },
        )

    def _print(self, line: str, fields: Mapping[str, Any]) -> None:
        if self._supervised:
            return
        with contextlib.suppress(OSError, ValueError):  # whoever read it is gone; the worker works on
            say(json.dumps(fields) if self._settings.log_format == "json" else line)

    def _asked_to_stop(self, engine: Engine, name: str) -> None:
        if self._stops == 0 and engine.snapshot.state is EngineState.DRAINING:
            self._stops = 1  # `kubiya-worker stop` was first
        self._stops = min(self._stops + 1, 3)
        mode = StopMode(self._stops)
        running = engine.snapshot.tasks_in_flight
        turns = f"{running} running turn{'s' * (running != 1)}"
        match mode:
            case StopMode.DRAIN:
                limit = self._settings.drain_timeout.total_seconds()
                rest = f"{turns} may end within {limit:g} s" if running else "nothing is running"
                log.warning("%s: takes nothing new, %s. Once more cancels what runs.", name, rest)
            case StopMode.CANCEL:
                log.warning("%s: cancels what runs (%s), then signs off. Once more leaves at once.", name, turns)
            case StopMode.NOW:
                log.warning("%s: leaves at once.", name)
        self._stopping.start(engine.stop(mode=mode))


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    name = failed.thread.name if failed.thread is not None else "?"
    log.error("The thread %r ended on an internal error.", name, exc_info=failed.exc_value)
