"""The only composition root: what the tray is made of, in which order it comes, and how it goes."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication

from desktop.look import language
from desktop.look.icons import mark_icon
from desktop.look.language import tr
from desktop.look.qt_words import translate_qt
from desktop.look.scheme import desktop_scheme
from desktop.notices.key_watch import KeyWatch
from desktop.notices.notice_file import NoticeFile
from desktop.notices.notifications import Notifications
from desktop.notices.popups import Popups
from desktop.notices.release_index import Seen
from desktop.notices.releases import RELEASES_URL, ReleaseAnswer, releases_url, root_keys
from desktop.notices.releases import VARIABLE as RELEASES_VARIABLE
from desktop.notices.releases import ask as ask_for_releases
from desktop.notices.updates import UpdateWatch
from desktop.popover.at_icon import AtIcon
from desktop.settings.keys import Keys
from desktop.settings.policy_store import PolicyStore
from desktop.settings.store import SettingsStore
from desktop.shell.bridge import Bridge
from desktop.shell.crash import CrashKeeper
from desktop.shell.display import application
from desktop.shell.faces import Faces
from desktop.shell.launch import Launch, Options
from desktop.shell.leaving import Leaving
from desktop.shell.loop import Application, CutOff, WorkerLoop
from desktop.shell.panel_watch import PanelWatch
from desktop.shell.provision import of_playground, of_user
from desktop.shell.single_instance import SingleInstance
from desktop.system.conditions import charge
from desktop.system.diagnosis import Diagnosis
from desktop.system.files_left import FilesLeft
from desktop.system.open_elsewhere import Outside
from desktop.system.platforms import APP_ID, APP_NAME, AT_LOGIN, is_ours, own_command, platform
from desktop.system.platforms.ports import AutostartEntry, autostart_state, repair_autostart
from desktop.system.popover_place import popover_has_a_place
from desktop.system.power import PowerKeeper
from desktop.system.sampling import Sampling
from desktop.system.usage_kept import UsageKept
from desktop.system.working_copies import WorkingCopies
from desktop.tray.actions import Actions
from desktop.tray.facts import TrayFacts
from desktop.tray.menu import menu
from desktop.tray.view import Tray
from desktop.windows.desk import Desk
from desktop.windows.front import Front
from desktop.worker.local_worker import LocalWorker
from worker_core import __version__
from worker_core.basics.tasks import TaskKeeper
from worker_core.control_socket.client import running_workers
from worker_core.data_format import OURS
from worker_core.errors import ExitCode, KubiyaError
from worker_core.events import Event
from worker_core.logs.pipeline import install, uninstall
from worker_core.logs.sinks import FileSink
from worker_core.secrets import KeyringStore
from worker_core.snapshot import EngineSnapshot, StopMode

if TYPE_CHECKING:
    from desktop.system.hotkey import HotkeyKeeper
    from desktop.windows.first_run import FirstRunWindow

__all__ = ["Options", "run"]

log = logging.getLogger(__name__)


def run(options: Options) -> int:
    """The tray, until the user quits; the exit code."""
    if sys.platform == "win32":
        from desktop.system.platforms.windows import set_identity

        set_identity(APP_ID)
    QApplication.setQuitOnLastWindowClosed(False)
    app = application(sys.argv[0])
    app.setApplicationName(APP_NAME)  # what panels call the icon, X11 the windows' class, screen readers the program
    app.setApplicationDisplayName(APP_NAME)
    app.setApplicationVersion(__version__)
    app.setDesktopFileName(APP_ID)
    app.setWindowIcon(mark_icon())
    loop = WorkerLoop(app)
    asyncio.set_event_loop(loop)
    try:
        return int(loop.run_until_complete(_run(app, loop, options)))
    except CutOff:
        log.warning("Not everything could be signed off before the display was gone for too long.")
        return ExitCode.OK


async def _run(app: Application, loop: WorkerLoop, options: Options) -> int:
    leaving = Leaving()
    loop.on_cut_off = lambda: leaving.ask(StopMode.CANCEL)
    if sys.platform != "win32":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, leaving.escalate)
    launch = Launch.of(options)
    paths = launch.paths
    paths.check()
    without_temporary = paths.have_temporary()
    OURS.make_ready(paths, in_use_by=lambda: [one.pid for one in running_workers(paths.runtime)])
    with ExitStack() as parts:
        instance = SingleInstance(paths.runtime)
        try:
            if not instance.acquire():
                if instance.raise_first(for_task=options.ask):
                    return ExitCode.OK
                print(tr("Kubiya Worker runs already, but does not answer."), file=sys.stderr)  # noqa: T201
                return ExitCode.UNEXPECTED
        except OSError as error:
            raise KubiyaError(f"The folder {paths.runtime} cannot be used ({error}).") from error
        parts.callback(instance.release)
        file = FileSink(paths.desktop_log, complain=sys.stderr)
        parts.callback(uninstall, install(redactor=launch.redactor, sinks=[file], ring=launch.ring))
        if without_temporary:
            log.warning("%s", without_temporary)
        crashes = CrashKeeper(folder=paths.logs, redactor=launch.redactor, ring=launch.ring)
        crashes.install(loop)
        parts.callback(crashes.uninstall)
        desktop = Desktop(app, loop, launch, leaving, parts)
        desktop.show_crashes(crashes)
        instance.raised.connect(desktop.front.raised)
        instance.asked.connect(desktop.front.asked)
        instance.left.connect(leaving.escalate)
        await desktop.live()
    return ExitCode.OK


class Desktop:
    """Everything that lives as long as the tray. Each part is made of those before it, and closed before them."""

    def __init__(self, app: Application, loop: WorkerLoop, launch: Launch, leaving: Leaving, parts: ExitStack) -> None:
        """What is to be closed goes onto `parts`."""
        self._launch, self._leaving = launch, leaving
        self._tasks = TaskKeeper()
        paths, system = launch.paths, platform()
        self._parts, self._make_hotkey = parts, system.hotkey
        self._hotkey: HotkeyKeeper | None = None
        store = SettingsStore(paths, environ=launch.environ)
        names = [name for name in (store.preferences.language, *QLocale.system().uiLanguages()) if name]
        translate_qt(app, language.load(names))

        notifications = Notifications(level=lambda: store.preferences.notifications)
        parts.callback(notifications.close)
        NoticeFile(paths.notifications_file).keep(notifications)
        notifications.snoozes.keep(store.preferences.snoozed, lambda kept: store.remember(snoozed=kept))
        keychain = KeyringStore()
        key_watch = KeyWatch(
            say=notifications.say,
            stand=notifications.hold,
            told=lambda: store.preferences.told_key_end,
            remember=lambda mark: store.remember(told_key_end=mark),
        )
        parts.callback(key_watch.close)
        keys = Keys(store=store, keychain=keychain, environ=launch.environ, use_key=launch.use_key)
        updates = UpdateWatch(
            ask=lambda: _newest_release(store, launch),
            store=store,
            say=notifications.say,
            page=launch.environ.get(RELEASES_VARIABLE) or RELEASES_URL,
        )
        parts.callback(updates.close)

        worker = LocalWorker(
            provide=of_playground(launch.backend) if launch.backend else of_user(store, keychain, launch, key_watch),
            paths=paths,
            redactor=launch.redactor,
            log_ring=launch.ring,
            beginning=tr("Starting the playground.") if launch.backend else "",
        )
        bridge = Bridge(worker, launch.ring)
        parts.callback(bridge.close)
        power = PowerKeeper(
            worker=worker,
            store=store,
            keep_awake=system.keep_awake,
            power=system.power,
            reconnect=worker.reconnect,
            supply=system.supply,
            network=system.network,
        )
        parts.callback(power.close)
        power.watch_network()

        self._scheme = system.scheme
        if self._scheme is not None:
            self._scheme.changed.connect(self._desktop_turned)
        tray = Tray(TrayFacts(snapshot=worker.snapshot, autostart=autostart_state(system.autostart)))
        parts.callback(tray.close)
        actions = Actions(worker=worker, notifications=notifications, autostart=system.autostart)
        popups = Popups(
            notifier=system.notifier,
            message=tray.message,
            answer=actions.answer,
            follow=actions.follow,
            screen_lock=system.screen_lock,
        )
        parts.callback(popups.close)
        notifications.deliver_to(popups.show, take_back=popups.take_back)

        self._desk = Desk(
            worker=worker,
            settings=store,
            policy=PolicyStore(paths.policy_file),
            notices=notifications,
            updates=updates,
            diagnosis=Diagnosis(
                paths=paths,
                environ=launch.environ,
                redactor=launch.redactor,
                settings=store.settings_in_use,
                snapshot=lambda: worker.snapshot,
            ),
            outside=Outside(workspaces=paths.workspaces),
            copies=WorkingCopies(paths=paths, settings=store.settings),
            files_left=FilesLeft(workspaces=paths.workspaces),
            usage=UsageKept(paths.budget_file),
            keys=None if launch.backend else keys,
            autostart=system.autostart,
            sample=Sampling(disk=paths.state).sample,
            charge=partial(charge, system.supply),
            follow=actions.follow,
            menu=lambda: menu(self._facts()),
            carry_out=actions.carry_out,
            playground_model=self._playground_model,
            hotkey=self._hotkeys,
        )
        self._faces = Faces(
            desk=self._desk,
            bridge=bridge,
            actions=actions,
            keys=keys,
            screen_lock=system.screen_lock,
            garbage=loop.garbage,
        )
        self.front = Front(new_window=self._faces.window, new_first_run=self._new_first_run)
        parts.callback(self.front.close)
        self._at_icon = AtIcon(
            new_popover=self._faces.popover,
            is_wanted=self._popover_is_wanted,
            open_window=self.front.open,
            facts=self._facts,
            icon=lambda: tray.place,
        )
        parts.callback(self._at_icon.close)
        executions = self._desk.executions
        notifications.know(is_watched=lambda: self.front.is_watched, words=executions.words)

        self._panel = PanelWatch(tray=tray, front=self.front, leaving=leaving, settings=store)
        self._worker, self._tray, self._popups, self._power = worker, tray, popups, power
        tray.clicked.connect(self._at_icon.clicked)
        tray.chosen.connect(self._at_icon.close)
        tray.chosen.connect(actions.carry_out)
        tray.notice_clicked.connect(actions.follow)
        actions.window_wanted.connect(self.front.open)
        actions.task_wanted.connect(self.front.new_task)
        actions.leave_wanted.connect(leaving.ask)
        actions.done.connect(self._redraw)
        store.changed.connect(self._redraw)
        bridge.snapshot_changed.connect(self._on_snapshot)
        bridge.events_arrived.connect(self._on_events)
        bridge.events_arrived.connect(notifications.hear)
        leaving.hurried.connect(self._stop_sooner)
        app.on_quit = leaving.escalate
        app.lastWindowClosed.connect(self._panel.last_window_closed)
        # Logging out must not be held up: sign off as far as there is time.
        app.commitDataRequest.connect(lambda _: leaving.ask(StopMode.CANCEL))

    def show_crashes(self, crashes: CrashKeeper) -> None:
        """What the program's last run left behind, and what comes."""
        crashes.crashed.connect(self.front.show_crash)
        if crashes.left_behind:
            self.front.show_crash(crashes.left_behind)

    # --- living -------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """From the first icon to the last task, until somebody quits."""
        leaving, front, backend = self._leaving, self.front, self._launch.backend
        if leaving.mode is None:
            _repair_autostart(self._desk.autostart)
            front.unset = backend is None and await self._nothing_is_set_up()
        if leaving.mode is None:
            self._redraw()
            self._panel.appear(at_login=self._launch.options.at_login, with_window=front.unset or backend is not None)
            if self._desk.settings.preferences.hotkey_on:
                self._hotkeys()
            if self._launch.options.ask:
                self.front.new_task()
            self._desk.updates.look()
        if leaving.mode is None and self._desk.settings.preferences.start_worker and not front.unset:
            self._tasks.start(self._start())
        mode = await leaving.asked()
        self._redraw()
        if not self._worker.attached:
            await self._worker.stop(mode)
            await self._worker.wait_over()
        await self._worker.close()
        if backend is not None:
            await asyncio.to_thread(backend.stop)

    def _hotkeys(self) -> HotkeyKeeper:
        """Made when they are on, or when somebody looks whether they are."""
        if self._hotkey is None:
            from desktop.system.hotkey import HotkeyKeeper

            made = self._hotkey = HotkeyKeeper(make=self._make_hotkey, store=self._desk.settings)
            made.pressed.connect(self.front.asked)
            self._parts.callback(made.close)
            made.look()
        return self._hotkey

    async def _nothing_is_set_up(self) -> bool:
        """There is neither a service to attach to nor a queue to serve: the first run."""
        if await asyncio.to_thread(running_workers, self._launch.paths.runtime):
            return False
        try:
            return not self._desk.settings.settings().queue_ids
        except KubiyaError:
            return False  # what is wrong is said when the worker starts

    def _set_up(self) -> None:
        """The first run is over."""
        self.front.unset = False
        self._redraw()
        self.front.close_first_run()
        self.front.open()
        self._tasks.start(self._start())

    def _try_playground(self) -> None:
        """In a program of its own, which has folders of its own; this one has nothing to do then."""
        from PySide6.QtCore import QProcess

        program, *arguments = [part for part in own_command() if part != AT_LOGIN]
        started, _ = QProcess.startDetached(program, [*arguments, "--demo"])
        if started:
            self._leaving.ask(StopMode.CANCEL)
        else:
            log.error("The playground could not be started: %s does not run.", program)

    async def _start(self) -> None:
        try:
            await self._worker.start()
            if self._launch.options.demo and self._launch.backend is not None:
                await self._launch.backend.submit()
        except KubiyaError as error:
            log.error("%s", error.sentence)

    def _stop_sooner(self, mode: StopMode) -> None:
        if not self._worker.attached:
            self._tasks.start(self._worker.stop(mode))

    def _playground_model(self) -> str:
        backend = self._launch.backend
        return backend.info.llm_name if backend is not None and backend.is_running else ""

    # --- showing ------------------------------------------------------------------------------------------

    def _redraw(self) -> None:
        facts = self._facts()
        self._tray.show(facts)
        self._at_icon.take(facts)

    def _facts(self) -> TrayFacts:
        return TrayFacts(
            snapshot=self._worker.snapshot,
            attached=self._worker.attached,
            paused_until=self._worker.paused_until,
            autostart=autostart_state(self._desk.autostart),
            snoozed_until=self._desk.notices.snoozed_until,
            unset=self.front.unset,
        )

    def _on_events(self, events: list[Event]) -> None:
        """Executions are followed from the start, also while nobody wanted the window yet."""
        if self.front.window is None:
            self._desk.executions.apply(events)

    def _on_snapshot(self, snapshot: EngineSnapshot) -> None:
        if self.front.window is None:
            self._desk.executions.take(snapshot)
        self._redraw()
        self._desk.notices.look(snapshot)
        self._popups.look(snapshot)
        self._power.look(snapshot)

    def _desktop_turned(self) -> None:
        assert self._scheme is not None
        desktop_scheme().tell(self._scheme.scheme())

    def _popover_is_wanted(self) -> bool:
        chosen = self._desk.settings.preferences.icon_click
        return chosen == "popover" and not self.front.unset and popover_has_a_place()

    def _new_first_run(self) -> FirstRunWindow:
        return self._faces.first_run(finished=self._set_up, playground_wanted=self._try_playground)


async def _newest_release(store: SettingsStore, launch: Launch) -> ReleaseAnswer:
    chosen = store.preferences
    return await ask_for_releases(
        releases_url(launch.environ),
        roots=root_keys(),
        seen=Seen(generation=chosen.update_keys_seen, sequence=chosen.update_index_seen),
        ca_file=store.settings_in_use().ca_file,
    )


def _repair_autostart(entry: AutostartEntry | None) -> None:
    try:
        if repair_autostart(entry, is_ours=is_ours):
            log.info("The entry that starts this program at login led nowhere; it was put right.")
    except OSError as error:
        log.warning("The entry that starts this program at login could not be put right: %s", error.strerror)
