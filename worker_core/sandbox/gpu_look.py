"""The GPUs of this machine as whoever looks at a worker is told of them, and only then."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from worker_core.machine.gpu_use import GpuUse
    from worker_core.settings import Settings
    from worker_core.snapshot import EngineSnapshot

NODES: Final = ("/dev/nvidiactl", "/dev/kfd")
"""Of drivers. Without any there is nothing to ask, and nothing is imported for it."""


class LookedAt(Protocol):
    """What is needed of an engine."""

    snapshot: EngineSnapshot

    @property
    def settings(self) -> Settings: ...


def gpus(worker: LookedAt) -> GpuUse | None:
    """How busy they are, and with which of its executions. It takes up to seconds: call it in a thread.

    Returns:
        None where `gpu` is off, or there is no driver: nothing was asked.

    """
    off = worker.settings.gpu == "off"
    if off or not (sys.platform in {"win32", "darwin"} or any(map(os.path.exists, NODES))):
        return None
    from worker_core.machine import gpu_use
    from worker_core.sandbox.processes.running import RUNNING

    def owners(processes: Collection[int]) -> Mapping[int, str]:
        known = [one.execution_id for one in worker.snapshot.executions]
        return RUNNING.executions_of(processes, among=known)

    return gpu_use.look(owners, limit_seconds=gpu_use.LIMIT_SECONDS)
