"""Which GPUs this machine has, and whether tools may use them."""

from __future__ import annotations

import asyncio

from worker_core.basics.sizes import size
from worker_core.checks.check import Check, ok, skip, warn
from worker_core.machine import gpu_facts
from worker_core.machine.gpu_facts import Gpu, GpuLook

NAME = "GPUs"


async def gpus() -> Check:
    """Ask the driver, where there is one."""
    if not gpu_facts.has_driver():
        return skip(NAME, "There is no driver of NVIDIA's here.")
    return told(await asyncio.to_thread(gpu_facts.look))


def told(found: GpuLook) -> Check:
    """What is said of a look."""
    if found.trouble:
        return warn(NAME, found.trouble, "Run nvidia-smi yourself: the driver and the program must be of one version.")
    if not found.gpus:
        return warn(NAME, "The driver knows no GPU.", "In a container: was it started with one (`--gpus`)?")
    listed = "; ".join(_said(one) for one in found.gpus)
    return ok(NAME, f"{listed}. Driver {found.gpus[0].driver}.")


def _said(one: Gpu) -> str:
    parts = [f"{one.index}: {one.name}"]
    if one.memory_bytes is not None:
        parts.append(size(one.memory_bytes))
    if one.used_bytes is not None:
        parts.append(f"{size(one.used_bytes)} in use")
    for value, unit in ((one.busy_percent, "% busy"), (one.celsius, "°C"), (one.watts, "W")):
        if value is not None:
            parts.append(f"{value:.0f} {unit}")
    return ", ".join([*parts, "divided (MIG)"] if one.is_divided else parts)
