"""The only composition root: what the tray is made of, in which order it comes, and how it goes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QLocale, QProcess, QTimer
from PySide6.QtWidgets import QApplication

from desktop.look import language
from desktop.look.icons import mark_icon
from desktop.look.language import tr
from desktop.notices.action import Action
from desktop.notices.key_watch import KeyWatch
from desktop.notices.notice_file import NoticeFile
from desktop.notices.notifications import Level, Notice, Notifications
from desktop.notices.popups import Popups
from desktop.notices.releases import RELEASES_URL, newest_release, releases_url
from desktop.notices.releases import VARIABLE as RELEASES_VARIABLE
from desktop.notices.updates import UpdateWatch
from desktop.settings.keys import Keys
from desktop.settings.policy_store import PolicyStore
from desktop.settings.store import SettingsStore
from desktop.shell.bridge import Bridge
from desktop.shell.crash import CrashKeeper
from desktop.shell.loop import QuitFilter, WorkerLoop
from desktop.shell.single_instance import SingleInstance
from desktop.system.diagnosis import Diagnosis
from desktop.system.open_elsewhere import Outside
from desktop.system.platforms import APP_ID, APP_NAME, AT_LOGIN, is_ours, own_command, platform
from desktop.system.platforms.ports import autostart_state, repair_autostart
from desktop.system.power import PowerKeeper
from desktop.tray.actions import Actions
from desktop.tray.facts import TrayFacts
from desktop.tray.view import Tray
from desktop.windows.front import Front
from desktop.worker.local_worker import LocalWorker, Wanted
from worker_core import __version__
from worker_core.control_socket.client import running_workers
from worker_core.errors import ExitCode, KubiyaError
from worker_core.logs.pipeline import install, uninstall
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.logs.sinks import FileSink
from worker_core.machine.load import HealthSampler
from worker_core.paths import Paths
from worker_core.playground.server import Playground
from worker_core.playground.stage import Backend, worker_settings
from worker_core.secrets import API_KEY_VARIABLE, KeyringStore, Secret, resolve_api_key
from worker_core.snapshot import EngineSnapshot, Health, StopMode

if TYPE_CHECKING:
    from desktop.windows.first_run import FirstRunWindow
    from desktop.windows.main import MainWindow

log = logging.getLogger(__name__)

PANEL_LIMIT: Final = timedelta(seconds=20)
"""At login the panel may come after the tray: so long before the window takes over."""

KEY_VARIABLES: Final = (API_KEY_VARIABLE, "LITELLM_API_KEY")
"""Taken out of the environment once they are read, so that no child process finds them there."""

RING_LINES: Final = 10_000
"""What may be written between two looks of the window, a tenth of a second apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Of the command line."""

    at_login: bool = False
    playground: bool = False
    demo: bool = False
    data_dir: Path | None = None


def run(options: Options) -> int:
    """The tray, until the user quits; the exit code."""
    if sys.platform == "win32":
        from desktop.system.platforms.windows import set_identity

        set_identity(APP_ID)
    QApplication.setQuitOnLastWindowClosed(False)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("kubiya-worker")
    app.setApplicationDisplayName(APP_NAME)
    app.setApplicationVersion(__version__)
    app.setDesktopFileName(APP_ID)
    app.setWindowIcon(mark_icon())
    loop = WorkerLoop(app)
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(Desktop(app, loop, options).run())  # type: ignore[no-any-return]


class Desktop:
    """Everything that lives as long as the tray."""

    def __init__(self, app: QApplication, loop: WorkerLoop, options: Options) -> None:
        self._app = app
        self._loop = loop
        self._options = options
        self._environ = dict(os.environ)
        for name in KEY_VARIABLES:
            os.environ.pop(name, None)
        paths = Paths.from_environment(self._environ)
        self._playground: Backend | None = None
        if options.playground or options.demo:
            folder = options.data_dir or paths.playground
            self._playground = Backend(Playground(data_dir=folder), folder=folder)
            paths = self._playground.worker_paths
        self._paths = paths
        self._redactor = Redactor()
        for name in KEY_VARIABLES:
            self._redactor.add(self._environ.get(name, ""))
        self._ring = LogRing(RING_LINES)
        self._keychain = KeyringStore()
        self._front = Front(new_window=self._new_window, new_first_run=self._new_first_run)
        self._sampler: HealthSampler | None = None
        self._leaving: StopMode | None = None
        self._asked_to_leave = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        self._listen_to_signals()
        self._paths.check()
        instance = SingleInstance(self._paths.runtime)
        try:
            if not instance.acquire():
                if instance.raise_first():
                    return ExitCode.OK
                print(tr("Kubiya Worker runs already, but does not answer."), file=sys.stderr)  # noqa: T201
                return ExitCode.UNEXPECTED
        except OSError as error:
            raise KubiyaError(f"The folder {self._paths.runtime} cannot be used ({error}).") from error
        file = FileSink(self._paths.desktop_log, complain=sys.stderr)
        pipeline = install(redactor=self._redactor, sinks=[file], ring=self._ring)
        crashes = CrashKeeper(folder=self._paths.logs, redactor=self._redactor, ring=self._ring)
        crashes.install(self._loop)
        try:
            self._compose(instance, crashes)
            await self._live()
        finally:
            self._dismantle()
            crashes.uninstall()
            instance.release()
            uninstall(pipeline)
        return ExitCode.OK

    # --- putting together ---------------------------------------------------------------------------------

    def _compose(self, instance: SingleInstance, crashes: CrashKeeper) -> None:
        self._store = SettingsStore(self._paths, environ=self._environ)
        language.load([name for name in (self._store.preferences.language, *QLocale.system().uiLanguages()) if name])
        self._platform = platform()
        self._worker = LocalWorker(
            provide=self._provide, paths=self._paths, redactor=self._redactor, log_ring=self._ring
        )
        self._bridge = Bridge(self._worker, self._ring)
        self._notifications = Notifications(
            deliver=lambda notice: self._popups.show(notice), level=lambda: self._store.preferences.notifications
        )
        self._popups = Popups(
            notifier=self._platform.notifier,
            message=self._message,
            answer=lambda approval_id, allow: self._actions.answer(approval_id, allow=allow),
            follow=lambda notice: self._actions.carry_out(notice.action, notice.target),
        )
        NoticeFile(self._paths.notifications_file).keep(self._notifications)
        self._key_watch = KeyWatch(
            say=self._notifications.say,
            told=lambda: self._store.preferences.told_key_end,
            remember=lambda mark: self._store.remember(told_key_end=mark),
        )
        self._diagnosis = Diagnosis(
            paths=self._paths,
            environ=self._environ,
            redactor=self._redactor,
            settings=self._store.settings_in_use,
            snapshot=lambda: self._worker.snapshot,
        )
        self._keys = Keys(store=self._store, keychain=self._keychain, environ=self._environ, use_key=self._use_key)
        self._updates = UpdateWatch(ask=self._newest_release, store=self._store, say=self._notifications.say)
        self._tray = Tray(self._facts())
        actions = Actions(
            worker=self._worker,
            notifications=self._notifications,
            autostart=self._platform.autostart,
            open_window=self._front.open,
            leave=self._leave,
            redraw=self._redraw,
        )
        self._power = PowerKeeper(
            worker=self._worker,
            store=self._store,
            keep_awake=self._platform.keep_awake,
            power=self._platform.power,
            reconnect=self._worker.reconnect,
        )
        self._power.watch_network()
        self._last_notice: Notice | None = None
        self._tray.chosen.connect(actions.carry_out)
        self._tray.message_clicked.connect(self._notice_clicked)
        self._bridge.snapshot_changed.connect(self._on_snapshot)
        self._bridge.events_arrived.connect(self._notifications.hear)
        self._store.changed.connect(self._redraw)
        self._actions = actions
        instance.raised.connect(self._front.raised)
        crashes.crashed.connect(self._front.show_crash)
        if crashes.left_behind:
            self._front.show_crash(crashes.left_behind)
        QuitFilter(self._app, self._escalate)
        self._app.lastWindowClosed.connect(self._last_window_closed)
        # Logging out must not be held up: sign off as far as there is time.
        self._app.commitDataRequest.connect(lambda _: self._leave(StopMode.CANCEL))

    def _dismantle(self) -> None:
        for name in ("_power", "_updates", "_popups", "_key_watch", "_notifications", "_bridge", "_tray"):
            part = getattr(self, name, None)
            if part is not None:
                part.close()
        self._front.close()

    def _listen_to_signals(self) -> None:
        if sys.platform != "win32":
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._loop.add_signal_handler(number, self._escalate)

    # --- living -------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        if self._leaving is None:
            self._repair_autostart()
            self._front.unset = self._playground is None and await self._nothing_is_set_up()
        if self._leaving is None:
            self._redraw()
            self._appear()
            self._updates.look()
        if self._leaving is None and self._store.preferences.start_worker and not self._front.unset:
            self._keep(self._start())
        await self._asked_to_leave.wait()
        self._redraw()
        if not self._worker.attached:
            await self._worker.stop(self._leaving or StopMode.DRAIN)
            await self._worker.wait_over()
        await self._worker.close()
        if self._playground is not None:
            await asyncio.to_thread(self._playground.stop)

    async def _nothing_is_set_up(self) -> bool:
        """There is neither a service to attach to nor a queue to serve: the first run."""
        if await asyncio.to_thread(running_workers, self._paths.runtime):
            return False
        try:
            return not self._store.settings().queue_ids
        except KubiyaError:
            return False  # what is wrong is said when the worker starts

    def _set_up(self) -> None:
        """The first run is over."""
        self._front.unset = False
        self._redraw()
        self._front.close_first_run()
        self._front.open()
        self._keep(self._start())

    def _try_playground(self) -> None:
        """In a program of its own, which has folders of its own; this one has nothing to do then."""
        program, *arguments = [part for part in own_command() if part != AT_LOGIN]
        started, _ = QProcess.startDetached(program, [*arguments, "--demo"])
        if started:
            self._leave(StopMode.CANCEL)
        else:
            log.error("The playground could not be started: %s does not run.", program)

    def _use_key(self, key: Secret) -> None:
        self._redactor.add(key)
        self._environ[API_KEY_VARIABLE] = key.reveal()

    async def _start(self) -> None:
        try:
            await self._worker.start()
            if self._options.demo and self._playground is not None:
                await self._playground.submit()
        except KubiyaError as error:
            log.error("%s", error.sentence)

    def _playground_model(self) -> str:
        return self._playground.info.llm_name if self._playground is not None and self._playground.is_running else ""

    async def _provide(self) -> Wanted:
        if self._playground is not None:
            info = await asyncio.to_thread(self._playground.start)
            if info.warning:
                log.warning("%s", info.warning)
            return Wanted(settings=worker_settings(info), api_key=Secret(info.api_key))
        settings = self._store.settings_in_use()
        key, _ = await resolve_api_key(self._environ, self._keychain, settings.control_plane_url)
        self._key_watch.watch(key)
        return Wanted(settings=settings, api_key=key)

    # --- leaving ------------------------------------------------------------------------------------------

    def _escalate(self) -> None:
        """Asked to quit once more: a stop drains, then cancels, then leaves at once, as in the terminal."""
        before = self._leaving
        self._leave(StopMode.DRAIN if before is None else StopMode(min(before + 1, StopMode.NOW)))

    def _leave(self, mode: StopMode) -> None:
        if self._leaving is not None and mode <= self._leaving:
            return
        again, self._leaving = self._leaving is not None, mode
        self._asked_to_leave.set()
        if again and not self._worker.attached:
            self._keep(self._worker.stop(mode))

    # --- showing ------------------------------------------------------------------------------------------

    def _facts(self) -> TrayFacts:
        return TrayFacts(
            snapshot=self._worker.snapshot,
            attached=self._worker.attached,
            paused_until=self._worker.paused_until,
            autostart=autostart_state(self._platform.autostart),
            snoozed_until=self._notifications.snoozed_until,
            unset=self._front.unset,
        )

    def _redraw(self) -> None:
        self._tray.show(self._facts())

    def _on_snapshot(self, snapshot: EngineSnapshot) -> None:
        self._redraw()
        self._notifications.look(snapshot)
        self._popups.look(snapshot)
        self._power.look(snapshot)

    def _appear(self) -> None:
        """The tray is there; without one, the window takes over."""
        if self._tray.available:
            if not self._options.at_login and (self._front.unset or self._playground is not None):
                self._front.open()
        elif self._options.at_login:
            QTimer.singleShot(int(PANEL_LIMIT.total_seconds() * 1000), self._tray, self._take_over)
        else:
            self._take_over()

    def _take_over(self) -> None:
        if self._tray.available or self._leaving is not None:
            return
        self._front.stay(self._store)

    def _last_window_closed(self) -> None:
        if not self._tray.available:
            self._leave(StopMode.DRAIN)

    def _new_window(self) -> MainWindow:
        # A tenth of a second of imports, which the icon does not wait for.
        from desktop.look.theme import theme
        from desktop.windows.main import MainWindow

        theme().set_mode(self._store.preferences.appearance)
        outside = Outside(workspaces=self._paths.workspaces)
        made = MainWindow(
            self._worker,
            self._bridge,
            self._store,
            archive=self._worker,
            fleet=self._worker,
            policy=PolicyStore(self._paths.policy_file),
            workspaces=self._paths.workspaces,
            open_url=outside.open_url,
            open_folder=outside.open_folder,
            test_connection=self._diagnosis.test_connection,
            gather=self._diagnosis.texts,
            keys=None if self._playground is not None else self._keys,
            updates=self._updates,
            releases_url=self._environ.get(RELEASES_VARIABLE) or RELEASES_URL,
            diagnose=self._diagnose,
            playground_model=self._playground_model,
            sample=self._sample,
            autostart=self._platform.autostart,
            notices=self._notifications,
            follow=lambda notice: self._actions.carry_out(notice.action, notice.target),
        )
        self._loop.garbage.settle()
        return made

    def _new_first_run(self) -> FirstRunWindow:
        from desktop.look.theme import theme
        from desktop.settings.onboarding import Onboarding
        from desktop.windows.first_run import FirstRunWindow

        theme().set_mode(self._store.preferences.appearance)
        autostart = self._platform.autostart
        onboarding = Onboarding(
            keys=self._keys, store=self._store, start_at_login=autostart.write if autostart is not None else None
        )
        made = FirstRunWindow(onboarding)
        made.finished.connect(self._set_up)
        made.playground_wanted.connect(self._try_playground)
        return made

    async def _newest_release(self) -> str:
        return await newest_release(releases_url(self._environ), ca_file=self._store.settings_in_use().ca_file)

    async def _sample(self) -> Health:
        if self._sampler is None:
            self._sampler = await asyncio.to_thread(HealthSampler, disk_path=self._paths.state)
        return await self._sampler.sample()

    def _diagnose(self) -> dict[str, str]:
        return {
            tr("Settings"): str(self._paths.settings_file),
            tr("State"): str(self._paths.state),
            tr("Logs"): str(self._paths.logs),
        }

    def _message(self, notice: Notice) -> None:
        self._last_notice = notice
        self._tray.message(notice.title, notice.body, warn=notice.level >= Level.PROBLEM)

    def _notice_clicked(self) -> None:
        notice = self._last_notice
        self._actions.carry_out(notice.action if notice else Action.OPEN, notice.target if notice else "")

    def _repair_autostart(self) -> None:
        try:
            if repair_autostart(self._platform.autostart, is_ours=is_ours):
                log.info("The entry that starts this program at login led nowhere; it was put right.")
        except OSError as error:
            log.warning("The entry that starts this program at login could not be put right: %s", error.strerror)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
