"""What an engine removes, and by which clock."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.engine import home, running_engine
from tests.support.playground import Stage
from worker_core.basics.clocks import LeastTime
from worker_core.machine import changes
from worker_core.workspaces.sweeping import mark_ended


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=400)])
async def test_what_is_young_stays_where_the_machine_s_clock_lies_ahead(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    monkeypatch.setitem(changes.watch.__kwdefaults__, "every", timedelta(seconds=0.05))
    monkeypatch.setitem(LeastTime.__init__.__kwdefaults__, "wall", lambda: time.time() + ahead.total_seconds())
    paths = home(tmp_path)
    places = [paths.workspaces, paths.journal, paths.mcp_servers]
    for place in places:
        for name in ("young", "old"):
            (place / name).mkdir(parents=True)
            if place == paths.workspaces:
                mark_ended(place, name, "completed")
        for old in place.glob("old*"):
            os.utime(old, (time.time() - 100 * 86_400,) * 2)
    async with running_engine(stage, tmp_path) as rig:
        await rig.until(lambda: not any((place / "old").exists() for place in places))
        looked_at = rig.snapshot.health
        await rig.until(lambda: rig.snapshot.health is not looked_at)
    assert all((place / "young").exists() for place in places)
