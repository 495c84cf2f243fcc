"""Which GPUs this machine has, and whether tools may use them."""

from __future__ import annotations

import asyncio

from worker_core.basics.sizes import size
from worker_core.checks.check import Check, ok, skip, warn
from worker_core.machine import gpu_facts
from worker_core.machine.gpu_facts import Gpu, GpuLook
from worker_core.settings import Settings

NAME = "GPUs"


async def gpus(settings: Settings) -> Check:
    """Ask the driver, where there is one; and what tools are given."""
    given = "Tools are given none: `gpu` is off."
    if settings.gpu != "off":
        from worker_core.machine.gpus import MACHINE

        there = await asyncio.to_thread(MACHINE.find, settings.gpu)
        if there.problem:
            return warn(NAME, there.problem, "Correct `gpu` in the settings, or the driver.")
        whom = f" of {', '.join(settings.gpu_for)}" if settings.gpu_for else ""
        given = f"Calls{whom} are given {there.grant.count} (`gpu`)." if there.grant.nodes else "There is none to give."
    if not gpu_facts.has_driver():
        none = "There is no driver of NVIDIA's here."
        return skip(NAME, none if settings.gpu == "off" else f"{none} {given}")
    return told(await asyncio.to_thread(gpu_facts.look), given=given)


def told(found: GpuLook, *, given: str) -> Check:
    """What is said of a look. `given`: what tools may use of it, as a sentence."""
    if found.trouble:
        return warn(NAME, found.trouble, "Run nvidia-smi yourself: the driver and the program must be of one version.")
    if not found.gpus:
        return warn(NAME, "The driver knows no GPU.", "In a container: was it started with one (`--gpus`)?")
    listed = "; ".join(_said(one) for one in found.gpus)
    return ok(NAME, f"{listed}. Driver {found.gpus[0].driver}. {given}")


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
