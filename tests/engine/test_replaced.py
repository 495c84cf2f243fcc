"""Another version is installed while a worker runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.engine import running_engine
from tests.support.playground import Stage
from worker_core import bundle
from worker_core.engine.housekeeping import REPLACED
from worker_core.events import ProgramReplaced
from worker_core.machine import changes
from worker_core.snapshot import EngineState


async def test_it_takes_nothing_new_and_says_so_once_and_whoever_resumes_it_is_heard(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(changes.watch.__kwdefaults__, "every", timedelta(seconds=0.05))
    async with running_engine(stage, tmp_path) as rig:
        monkeypatch.setattr(bundle, "was_replaced", lambda: True)
        await rig.until(lambda: rig.snapshot.state is EngineState.PAUSED)
        assert rig.snapshot.reason == REPLACED
        await rig.engine.resume()
        seen = rig.snapshot.health
        await rig.until(lambda: rig.snapshot.health is not seen)
        assert rig.snapshot.state is EngineState.RUNNING
        assert len(rig.published(ProgramReplaced)) == 1
