"""`kubiya-worker status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from worker_core.basics.sizes import size
from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, paths, worker_option

if TYPE_CHECKING:
    from rich.console import Console

    from worker_core.snapshot import EngineSnapshot

_STYLES: Final = {
    "running": "good", "starting": "accent", "paused": "careful", "draining": "careful", "failed": "bad",
}  # fmt: skip


@click.command(
    cls=Examples,
    help="Show what your running workers on this machine do. Exit code 3 if none runs.",
    examples=(
        "kubiya-worker status",
        "kubiya-worker status --json | jq '.workers[].state'",
    ),
)
@worker_option
@json_option
def command(*, pid: int | None, as_json: bool) -> int:
    import msgspec

    from worker_core.cli import screen
    from worker_core.cli.root import complain
    from worker_core.control_socket.client import NOBODY, WorkerSilent, one_worker, running_workers
    from worker_core.errors import ExitCode

    folder = paths().runtime
    workers = running_workers(folder) if pid is None else [one_worker(folder, pid=pid)]
    snapshots, silent = [], []
    for worker in workers:
        try:
            snapshots.append(worker.status())
        except WorkerSilent as error:
            silent.append(error.sentence)
    if as_json:
        screen.say_json({"workers": msgspec.to_builtins(snapshots)})
    else:
        console = screen.console()
        for number, snapshot in enumerate(snapshots):
            if number:
                console.print()
            show(console, snapshot)
    for sentence in silent:
        complain(sentence)
    if not workers:
        complain(NOBODY)
        return ExitCode.NOT_CONFIGURED
    return ExitCode.UNREACHABLE if silent else ExitCode.OK


def show(console: Console, snapshot: EngineSnapshot) -> None:
    """One worker, for people."""
    from rich.text import Text

    from worker_core.cli import screen

    style = _STYLES.get(snapshot.state.value, "quiet")
    dot = screen.RUNNING if snapshot.state.value in {"running", "starting", "draining"} else screen.IDLE
    head = Text(f"{dot} {snapshot.state.value}  ", style=style)
    screen.hanging(console, head, screen.text(snapshot.reason), lead=len(head))
    console.print()
    since = f", {snapshot.state.value} for {screen.age(snapshot.since)}" if snapshot.since else ""
    pairs: list[tuple[str, screen.Cell]] = [
        ("worker", f"pid {snapshot.pid}, version {snapshot.version}{since}"),
        ("control plane", snapshot.control_plane_url),
        (
            "executions",
            f"{snapshot.tasks_in_flight} of {snapshot.executions_limit} at work, {snapshot.tasks_processed} finished",
        ),
    ]
    if snapshot.health is not None:
        health = snapshot.health
        pairs.append(
            (
                "machine",
                f"cpu {health.cpu_percent:.0f} %, memory {health.memory_percent:.0f} %, disk "
                f"{health.disk_percent:.0f} %; the worker takes {size(health.process_rss_bytes)}",
            )
        )
    if snapshot.sandbox.name:
        style = {"refused": "bad", "none": "careful"}.get(snapshot.sandbox.name, "")
        pairs.append(("tools", screen.text(snapshot.sandbox.reason, style)))
    outbox = snapshot.outbox
    waiting = outbox.pending + outbox.spooled
    events = f"{outbox.delivered:,} delivered" + (f", {waiting:,} waiting" if waiting else "")
    pairs.append(("events", events + (f", {outbox.dropped:,} dropped" if outbox.dropped else "")))
    if outbox.interrupted_reason:
        pairs.append(("", screen.text(outbox.interrupted_reason, "careful")))
    screen.fields(console, pairs, indent="  ")
    _queues(console, snapshot)
    _executions(console, snapshot)


def _queues(console: Console, snapshot: EngineSnapshot) -> None:
    from worker_core.cli import screen

    if not snapshot.queues:
        return
    console.print()
    rows: list[list[screen.Cell]] = []
    for queue in snapshot.queues:
        statistics = queue.statistics
        rows.append(
            [
                queue.queue_name or queue.queue_id,
                screen.text(f"{screen.RUNNING} polling", "good") if queue.polling else screen.text(screen.IDLE, "bad"),
                f"{statistics.backlog}" if statistics else "-",
                screen.ago(queue.last_heartbeat_at),
                queue.worker_id or "-",
            ]
        )
    screen.table(console, ("QUEUE", "STATE", "BACKLOG", "HEARTBEAT", "WORKER"), rows, indent="  ")
    for queue in snapshot.queues:
        if queue.reason and not queue.polling:
            console.print(screen.text(f"  {queue.queue_name or queue.queue_id}: {queue.reason}", "careful"))
        for remark in queue.config.remarks:
            console.print(screen.text(f"  {queue.queue_name or queue.queue_id}: {remark}", "careful"))


def _executions(console: Console, snapshot: EngineSnapshot) -> None:
    from worker_core.cli import screen

    if not snapshot.executions:
        return
    console.print()
    rows = [
        [one.execution_id, one.status, f"{one.turn}", one.step or "-", screen.ago(one.started_at)]
        for one in snapshot.executions
    ]
    screen.table(console, ("EXECUTION", "STATUS", "TURN", "STEP", "STARTED"), rows, indent="  ")
