"""Sleep, battery and network against the worker: what is paused for the machine's sake, and what keeps it awake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

from desktop.look.language import tr
from desktop.settings.store import SettingsStore
from desktop.system.conditions import Machine, battery, why_not
from desktop.system.platforms.ports import Charge, KeepAwake, NetworkCost, PowerEvents, PowerSupply
from desktop.worker.face import WorkerFace
from worker_core.basics.sentences import worded
from worker_core.basics.tasks import TaskKeeper
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineSnapshot, EngineState

log = logging.getLogger(__name__)

SLEEP_HELD_UP: Final = timedelta(seconds=4)
"""logind waits five seconds by default (InhibitDelayMaxSec)."""


class PowerKeeper:
    """One for the life of the tray; on the GUI thread's loop."""

    def __init__(
        self,
        *,
        worker: WorkerFace,
        store: SettingsStore,
        keep_awake: KeepAwake,
        power: PowerEvents,
        reconnect: Callable[[str], None],
        supply: PowerSupply | None = None,
        network: NetworkCost | None = None,
    ) -> None:
        self._worker = worker
        self._store = store
        self._keep_awake = keep_awake
        self._power = power
        self._reconnect = reconnect
        self._metered: bool | None = None
        self._supply = supply
        self._network = network
        self._charge = Charge()
        self._sampled_at: datetime | None = None
        self._awake = False
        self._paused_for = ""
        """Why this object paused the worker; empty where it did not."""
        self._overruled = ""
        """The reason against which the user resumed: it does not pause again until it has gone."""
        self._falling_asleep = False
        self._sleep_alarm: asyncio.TimerHandle | None = None
        self._tasks = TaskKeeper()
        power.listen(on_sleep=self.on_sleep, on_wake=self.on_wake)
        if supply is not None:
            supply.changed.connect(self._supply_changed)
        if network is not None:
            network.changed.connect(self._network_changed)

    def close(self) -> None:
        if self._supply is not None:
            self._supply.changed.disconnect(self._supply_changed)
        if self._network is not None:
            self._network.changed.disconnect(self._network_changed)
        self._keep_awake.release()
        self._power.close()
        if self._sleep_alarm is not None:
            self._sleep_alarm.cancel()

    def watch_network(self) -> None:
        """Hear whether the network is metered: from Qt, where the system has nobody else who tells."""
        if self._network is not None:
            return
        from PySide6.QtNetwork import QNetworkInformation

        if not QNetworkInformation.loadBackendByFeatures(QNetworkInformation.Feature.Metered):
            return
        found = QNetworkInformation.instance()
        if found is not None:
            self._set_metered(found.isMetered())
            found.isMeteredChanged.connect(self._set_metered)

    def look(self, snapshot: EngineSnapshot) -> None:
        """At each new snapshot: no clock of its own."""
        if self._sleep_alarm is not None and not snapshot.tasks_in_flight:
            self._let_sleep()
        busy = bool(snapshot.tasks_in_flight) and self._store.preferences.keep_awake and not self._worker.attached
        if busy and not self._awake:
            self._keep_awake.hold(tr("An agent is working"))
        elif self._awake and not busy:
            self._keep_awake.release()
        self._awake = busy
        if self._paused_for and not self._tasks and snapshot.state is EngineState.RUNNING:
            self._overruled, self._paused_for = self._paused_for, ""  # the user resumed all the same
        sampled = snapshot.health.sampled_at if snapshot.health else None
        self._look_at_battery(anew=sampled is not None and sampled != self._sampled_at)
        self._sampled_at = sampled
        self._judge(snapshot)

    def on_sleep(self) -> None:
        """The machine is about to sleep."""
        self._falling_asleep = True
        running = self._worker.snapshot.tasks_in_flight
        if self._store.preferences.drain_before_sleep and self._worker.snapshot.state is EngineState.RUNNING:
            self._pause(worded("Paused: the machine is about to sleep."))
        if not running:
            self._power.ready_to_sleep()
            return
        loop = asyncio.get_running_loop()
        self._sleep_alarm = loop.call_later(SLEEP_HELD_UP.total_seconds(), self._let_sleep)

    def on_wake(self) -> None:
        self._falling_asleep = False
        self._let_sleep()
        self._reconnect(worded("The machine woke from sleep."))
        if self._paused_for:
            self._resume()

    # --- inside -------------------------------------------------------------------------------------------

    def _let_sleep(self) -> None:
        if self._sleep_alarm is not None:
            self._sleep_alarm.cancel()
            self._sleep_alarm = None
            self._power.ready_to_sleep()

    def _set_metered(self, metered: bool) -> None:
        self._metered = metered
        self._judge(self._worker.snapshot)

    def _network_changed(self) -> None:
        self._judge(self._worker.snapshot)

    def _supply_changed(self) -> None:
        self._look_at_battery(anew=True)
        self._judge(self._worker.snapshot)

    def _look_at_battery(self, *, anew: bool) -> None:
        """`anew`: psutil is asked, where nobody tells by himself."""
        if not self._store.preferences.pause_below_battery_percent:
            return
        told = self._supply.charge() if self._supply is not None else None
        if told is not None:
            self._charge = told
        elif anew:
            self._charge = battery()

    def _judge(self, snapshot: EngineSnapshot) -> None:
        if self._worker.attached or self._falling_asleep:
            return
        if self._network is not None and self._store.preferences.pause_on_metered_network:
            self._metered = self._network.is_metered()
        machine = Machine(battery_percent=self._charge.percent, on_battery=self._charge.used_up, metered=self._metered)
        why = why_not(machine, self._store.preferences)
        if not why:
            self._overruled = ""
            if self._paused_for and snapshot.state is EngineState.PAUSED:
                self._resume()
        elif snapshot.state is EngineState.RUNNING and why != self._overruled:
            self._pause(why)

    def _pause(self, why: str) -> None:
        self._paused_for = why
        self._do(self._worker.pause(reason=why))

    def _resume(self) -> None:
        self._paused_for = ""
        self._do(self._worker.resume())

    def _do(self, command: Awaitable[Any]) -> None:
        async def run() -> None:
            try:
                await command
            except KubiyaError as error:
                log.warning("%s", error.sentence)

        self._tasks.start(run())
