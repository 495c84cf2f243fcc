"""The GPUs of a worker's machine, for `status`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from worker_core.basics.sizes import size
from worker_core.cli import screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from worker_core.control_socket.client import RunningWorker
    from worker_core.machine.gpu_use import GpuInUse, GpuUse


def ask(workers: Sequence[RunningWorker]) -> list[GpuUse | None]:
    """What each of them is told by its machine's drivers, all at once: one that hangs takes its time alone."""
    if not workers:
        return []
    with ThreadPoolExecutor(len(workers)) as threads:
        return list(threads.map(_ask, workers))


def _ask(worker: RunningWorker) -> GpuUse | None:
    from worker_core.control_socket.client import WorkerSilent
    from worker_core.machine.gpu_use import GpuUse

    try:
        return worker.gpus()
    except WorkerSilent as error:
        return GpuUse(trouble=error.said)


def as_json(use: GpuUse | None) -> dict[str, Any]:
    """`gpus`: null where nothing is asked; and `gpu_trouble`."""
    import msgspec

    if use is None:
        return {"gpus": None, "gpu_trouble": ""}
    found = [msgspec.to_builtins(one) for one in use.gpus]
    return {"gpus": [{**one.pop("gpu"), **one} for one in found], "gpu_trouble": use.trouble}


def show(console: Console, use: GpuUse | None) -> None:
    """For people, below what else is said of a worker."""
    from rich.text import Text

    if use is None or not (use.gpus or use.trouble):
        return
    console.print()
    if use.gpus:
        head = ("GPU", "NAME", "BUSY", "MEMORY", "TEMPERATURE", "POWER")
        screen.table(console, head, [_row(one) for one in use.gpus], indent="  ")
    processes = [
        [f"{one.gpu.index}", process.execution_id, f"{process.pid}", _size(process.memory_bytes)]
        for one in use.gpus
        for process in one.processes
    ]
    if processes:
        console.print()
        screen.table(console, ("GPU", "EXECUTION", "PID", "MEMORY"), processes, indent="  ")
    for one in use.gpus:
        more = [f"{one.unlisted:,} more processes of executions"] if one.unlisted else []
        if one.others:
            more.append("1 process of others" if one.others == 1 else f"{one.others:,} processes of others")
        if more:
            screen.hanging(
                console, Text("  "), screen.text(f"GPU {one.gpu.index}: {', '.join(more)}.", "quiet"), lead=2
            )
    if use.trouble:
        screen.hanging(console, Text("  "), screen.text(use.trouble, "careful"), lead=2)


def _row(one: GpuInUse) -> list[screen.Cell]:
    gpu = one.gpu
    name = f"{gpu.name}, divided ({', '.join(one.parts) or 'MIG'})" if gpu.is_divided else gpu.name
    memory = _size(gpu.used_bytes)
    if gpu.memory_bytes is not None:
        memory += f" of {size(gpu.memory_bytes)}"
    return [
        f"{gpu.index}", name, _value(gpu.busy_percent, "%"), memory, _value(gpu.celsius, "°C"), _value(gpu.watts, "W"),
    ]  # fmt: skip


def _value(number: float | None, unit: str) -> str:
    return "-" if number is None else f"{number:.0f} {unit}"


def _size(count: int | None) -> str:
    return "-" if count is None else size(count)
