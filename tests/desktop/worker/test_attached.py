"""What happens in a service from the moment that it was attached to is heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desktop.worker.attached import Attached
from tests.support.engine import LIMIT_SECONDS, make_engine
from tests.support.gpus import FakeSmi, needs_scripts, row, uuid_of
from worker_core.basics.sentences import english
from worker_core.control_socket.client import running_workers
from worker_core.control_socket.server import ControlSocket
from worker_core.control_socket.steering import Steering
from worker_core.errors import KubiyaError
from worker_core.events import EngineStateChanged, Event, SnapshotReplaced
from worker_core.logs.ring import LogRing
from worker_core.snapshot import EngineState

QUEUE = "01234567-89ab-4def-8123-456789abcdef"


async def test_nothing_is_missed_where_the_service_begins_late_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = Steering.listen

    def late(self: Steering, listener: Callable[[Event], None]) -> Any:
        time.sleep(0.5)  # in the visitor's thread: its machine is busy
        return listen(self, listener)

    monkeypatch.setattr(Steering, "listen", late)
    engine = make_engine(url="http://127.0.0.1:1", key="key-0123456789", queue_ids=[QUEUE], folder=tmp_path)
    control = ControlSocket(engine=engine, log_ring=LogRing(), folder=tmp_path / "run")
    await engine.start()
    control.open()
    heard: list[Event] = []
    over: asyncio.Future[KubiyaError | None] = asyncio.get_running_loop().create_future()
    [worker] = await asyncio.to_thread(running_workers, tmp_path / "run")
    attached = await Attached.to(worker, log_ring=LogRing(), publish=heard.append, ended=over.set_result)
    assert isinstance(heard[0], SnapshotReplaced)
    await attached.pause("From the tray.")
    await engine.stop()
    async with asyncio.timeout(LIMIT_SECONDS):
        await engine.wait_stopped()
        await asyncio.to_thread(control.close)
        assert await over is None
    changes = [one.after for one in heard if isinstance(one, EngineStateChanged)]
    assert changes == [EngineState.PAUSED, EngineState.DRAINING, EngineState.STOPPED]
    await attached.close()


@needs_scripts
async def test_gpus_come_from_the_service_s_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = FakeSmi(tmp_path / "bin", monkeypatch)
    smi.answers("gpus", [row(0, busy=41)])
    smi.answers("processes", [f"{uuid_of(0)}, 1, 620"])
    engine = make_engine(url="http://127.0.0.1:1", key="key-0123456789", queue_ids=[QUEUE], folder=tmp_path, gpu="auto")
    control = ControlSocket(engine=engine, log_ring=LogRing(), folder=tmp_path / "run")
    control.open()
    [worker] = await asyncio.to_thread(running_workers, tmp_path / "run")
    attached = await Attached.to(worker, log_ring=LogRing(), publish=lambda _: None, ended=lambda _: None)
    assert smi.asked == [], "it is asked when somebody asks"
    found = await attached.gpus()
    assert found is not None
    [one] = found.gpus
    assert (one.gpu.busy_percent, one.others, found.trouble) == (41, 1, "")
    smi.does("gpus", "echo 'No devices were found'; exit 6")
    failed = await attached.gpus()
    assert failed is not None
    assert failed.trouble == "nvidia-smi failed: No devices were found."
    assert english(failed.said) == failed.trouble, "a window says it in its language"
    await attached.close()
    await engine.stop()
    await asyncio.to_thread(control.close)
