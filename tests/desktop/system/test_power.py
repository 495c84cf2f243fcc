"""Sleep, battery and keep-awake against the worker; the worker and the system are stand-ins that write down."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject, Signal

from desktop.settings.store import SettingsStore
from desktop.system import power
from desktop.system.platforms.ports import Charge, PowerSupply
from desktop.system.power import PowerKeeper
from tests.support.engine import home
from tests.support.snapshots import snapshot
from worker_core.snapshot import EngineState, Health

S = EngineState


class Rig:
    """Worker, keep-awake and power events in one; `said` is what they were told."""

    attached = False

    def __init__(self, folder: Path, supply: PowerSupply | None = None, **preferences: Any) -> None:
        self.said: list[str] = []
        self.snapshot = snapshot()
        self.store = SettingsStore(home(folder))
        self.store.prefer(**preferences)
        me: Any = self
        self.keeper = PowerKeeper(
            worker=me,
            store=self.store,
            keep_awake=me,
            power=me,
            reconnect=lambda _: self.said.append("reconnect"),
            supply=supply,
        )

    async def pause(self, *, reason: str, until: object = None) -> None:
        self.said.append(reason)
        self.show(state=S.PAUSED)

    async def resume(self) -> None:
        self.said.append("resume")
        self.show(state=S.RUNNING)

    def show(self, **changes: Any) -> None:
        self.snapshot = replace(self.snapshot, **changes)
        self.keeper.look(self.snapshot)

    def hold(self, reason: str) -> None:
        self.said.append("hold")

    def release(self) -> None:
        self.said.append("release")

    def listen(self, **_: object) -> bool:
        return True

    def ready_to_sleep(self) -> None:
        self.said.append("sleep")

    def close(self) -> None:
        pass


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_machine_stays_awake_only_while_a_task_runs(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    busy = snapshot(running=1)
    for shown in (snapshot(), busy, busy, snapshot(), snapshot()):
        rig.keeper.look(shown)
    assert rig.said == ["hold", "release"]
    rig.store.prefer(keep_awake=False)
    rig.keeper.look(busy)
    assert rig.said == ["hold", "release"]


async def test_sleep_drains_first_and_waking_goes_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path, keep_awake=False)
    rig.show(executions=snapshot(running=1).executions)
    rig.keeper.on_sleep()
    await settle()
    assert rig.said == ["Paused: the machine is about to sleep."]
    rig.show(executions=())
    assert rig.said[1:] == ["sleep"]
    rig.keeper.on_wake()
    await settle()
    assert rig.said[2:] == ["reconnect", "resume"]
    rig.keeper.on_sleep()
    await settle()
    assert set(rig.said[4:]) == {"sleep", "Paused: the machine is about to sleep."}
    rig.keeper.close()


async def test_a_pause_of_the_users_survives_sleep(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.show(state=S.PAUSED)
    rig.keeper.on_sleep()
    rig.keeper.on_wake()
    await settle()
    assert rig.said == ["sleep", "reconnect"]


async def test_a_low_battery_pauses_until_it_is_charged_and_the_user_may_overrule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = [Charge()]
    monkeypatch.setattr(power, "battery", lambda: charge[0])
    rig = Rig(tmp_path, pause_below_battery_percent=20)

    async def sampled(percent: float, *, used: bool) -> None:
        charge[0] = Charge(percent=percent, used_up=used)
        rig.show(health=health())
        await settle()

    await sampled(50, used=True)
    assert rig.said == []
    await sampled(10, used=True)
    assert rig.said == ["Paused: on battery, and below 20 %."]
    await sampled(10, used=False)
    assert rig.said[1:] == ["resume"]
    await sampled(9, used=True)
    rig.show(state=S.RUNNING)  # the user resumed all the same
    await settle()
    await sampled(8, used=True)
    assert rig.said[2:] == ["Paused: on battery, and below 20 %."]


class Supply(QObject):
    """UPower's place."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.told: Charge | None = Charge()
        self.questions = 0

    def charge(self) -> Charge | None:
        self.questions += 1
        return self.told

    def tell(self, told: Charge | None) -> None:
        self.told = told
        self.changed.emit()


async def test_who_tells_of_batteries_goes_before_psutil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil knows the mouse's."""
    monkeypatch.setattr(power, "battery", lambda: Charge(percent=3, used_up=True))
    supply = Supply()
    rig = Rig(tmp_path, supply)
    rig.show(health=health())
    assert supply.questions == 0, "nobody minds the battery"
    rig.store.prefer(pause_below_battery_percent=20)
    rig.show(health=health())
    supply.tell(Charge(percent=None, used_up=False))
    await settle()
    assert rig.said == []
    supply.tell(Charge(percent=19, used_up=True))
    await settle()
    assert rig.said == ["Paused: on battery, and below 20 %."]
    supply.tell(Charge(percent=19, used_up=False))
    await settle()
    assert rig.said[1:] == ["resume"]
    supply.tell(None)
    await settle()
    assert rig.said[2:] == ["Paused: on battery, and below 20 %."]
    rig.keeper.close()
    supply.tell(Charge(percent=90, used_up=False))
    await settle()
    assert rig.said[3:] == ["release"], "what is closed hears nothing"


_samples = iter(range(10_000))


def health() -> Health:
    return Health(
        cpu_percent=0,
        memory_percent=0,
        memory_total_bytes=1,
        memory_used_bytes=0,
        disk_percent=0,
        disk_total_bytes=1,
        disk_used_bytes=0,
        process_rss_bytes=1,
        sampled_at=datetime.fromtimestamp(next(_samples), UTC),
    )
