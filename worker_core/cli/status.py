"""`kubiya-worker status`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from worker_core.basics.sizes import size
from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, paths, worker_option

if TYPE_CHECKING:
    from rich.console import Console

    from worker_core.cli import screen
    from worker_core.daemon.instances import Instance
    from worker_core.snapshot import EngineSnapshot, QueueView

_STYLES: Final = {
    "running": "good", "starting": "accent", "paused": "careful", "draining": "careful", "failed": "bad",
}  # fmt: skip


@click.command(
    cls=Examples,
    help="Show what your running workers on this machine do. Exit code 3 if none runs.",
    examples=(
        "kubiya-worker status",
        "kubiya-worker status --worker build-7",
        "kubiya-worker status --json | jq '.workers[].state'",
    ),
)
@worker_option
@json_option
def command(*, wanted: str, as_json: bool) -> int:
    import msgspec

    from worker_core.basics.sentences import in_english
    from worker_core.cli import gpu_table, screen
    from worker_core.cli.root import complain
    from worker_core.cli.standing import sentence
    from worker_core.control_socket.client import NoWorker, WorkerSilent
    from worker_core.daemon.instances import NOBODY, chosen, ended_daemons, instances
    from worker_core.errors import ExitCode
    from worker_core.summary import summary

    folder = paths().runtime
    running = [chosen(folder, wanted)] if wanted else instances(folder)
    ended = [] if wanted else ended_daemons(folder)
    seen: list[tuple[Instance, EngineSnapshot]] = []
    silent = []
    for one in running:
        try:
            seen.append((one, one.the_worker().status()))
        except (NoWorker, WorkerSilent) as error:
            silent.append(error.sentence)
        if one.daemon is not None and one.facts is None:
            silent.append(f"The daemon {one.name} (pid {one.daemon.pid}) does not answer.")
    used = gpu_table.ask([one.the_worker() for one, _ in seen])
    if as_json:
        workers = [
            {
                **in_english(msgspec.to_builtins(snapshot)),
                "name": one.name,
                "daemon": msgspec.to_builtins(one.facts),
                "standing": (said := summary(snapshot)).standing.value,
                "sentence": sentence(said, datetime.now(UTC)),
                "needs_attention": said.needs_attention,
                **gpu_table.as_json(gpus),
            }
            for (one, snapshot), gpus in zip(seen, used, strict=True)
        ]
        alone = [msgspec.to_builtins(one.facts) for one in running if one.worker is None and one.facts is not None]
        screen.say_json({"workers": workers, "daemons_without_worker": alone, "ended": msgspec.to_builtins(ended)})
    else:
        console = screen.console()
        for number, (one, snapshot) in enumerate(seen):
            if number:
                console.print()
            show(console, snapshot, one)
            gpu_table.show(console, used[number])
    for daemon in ended:
        when = screen.ago(datetime.fromtimestamp(daemon.at, UTC))
        silent.append(
            f"The daemon {daemon.name} ended by itself {when} (exit code {daemon.code}): {daemon.why} "
            f"`kubiya-worker start --daemon --name {daemon.name}` begins it again."
        )
    for trouble in silent:
        complain(trouble)
    if not running:
        complain(NOBODY)
        return ExitCode.NOT_CONFIGURED
    return ExitCode.UNREACHABLE if len(seen) < len(running) else ExitCode.OK


def show(console: Console, snapshot: EngineSnapshot, instance: Instance) -> None:
    """One worker, for people."""
    from rich.text import Text

    from worker_core.budgets.amounts import view_text
    from worker_core.cli import screen
    from worker_core.cli.standing import sentence
    from worker_core.summary import summary

    said = summary(snapshot)
    style = _STYLES.get(snapshot.state.value, "quiet")
    if said.needs_attention and style != "bad":
        style = "careful"
    dot = screen.RUNNING if snapshot.state.value in {"running", "starting", "draining"} else screen.IDLE
    head = Text(f"{dot} {snapshot.state.value}  ", style=style)
    screen.hanging(console, head, screen.text(sentence(said, datetime.now(UTC))), lead=len(head))
    console.print()
    since = f", {snapshot.state.value} for {screen.age(snapshot.since)}" if snapshot.since else ""
    name = f"{instance.name}, " if instance.name else ""
    pairs: list[tuple[str, screen.Cell]] = [
        ("worker", f"{name}pid {snapshot.pid}, version {snapshot.version}{since}"),
        *_daemon(instance),
        ("control plane", snapshot.control_plane_url),
        (
            "executions",
            f"{snapshot.tasks_in_flight} of {snapshot.executions_limit} at work, {snapshot.tasks_processed} finished, "
            f"{snapshot.turns_ended} turns done",
        ),
    ]
    if snapshot.health is not None:
        health = snapshot.health
        processor = "" if health.cpu_percent is None else f"cpu {health.cpu_percent:.0f} %, "
        pairs.append(
            (
                "machine",
                f"{processor}memory {health.memory_percent:.0f} %, disk "
                f"{health.disk_percent:.0f} %; the worker takes {size(health.process_rss_bytes)}",
            )
        )
    if snapshot.sandbox.name:
        style = {"refused": "bad", "none": "careful"}.get(snapshot.sandbox.name, "")
        pairs.append(("tools", screen.text(snapshot.sandbox.reason, style)))
    if snapshot.budget:
        pairs.append(("budget", "; ".join(map(view_text, snapshot.budget))))
    outbox = snapshot.outbox
    waiting = outbox.pending + outbox.spooled
    events = f"{outbox.delivered:,} delivered" + (f", {waiting:,} waiting" if waiting else "")
    pairs.append(("events", events + (f", {outbox.dropped:,} dropped" if outbox.dropped else "")))
    if outbox.interrupted_reason:
        pairs.append(("", screen.text(outbox.interrupted_reason, "careful")))
    screen.fields(console, pairs, indent="  ")
    _queues(console, snapshot)
    if snapshot.executions:
        console.print()
        screen.executions(console, snapshot.executions, indent="  ")


def _daemon(instance: Instance) -> Iterator[tuple[str, screen.Cell]]:
    from worker_core.cli import screen

    facts = instance.facts
    if facts is None:
        return
    since = screen.age(datetime.fromtimestamp(facts.since, UTC))
    restarts = f"{facts.restarts} restart{'s' * (facts.restarts != 1)}"
    if facts.restarts:
        restarts += f", the last {screen.ago(datetime.fromtimestamp(facts.worker_since, UTC))}"
    yield "daemon", f"pid {facts.pid}, for {since}, {restarts}; log {facts.log_file}"
    if facts.last_crash:
        ago = screen.ago(datetime.fromtimestamp(facts.last_crash_at, UTC))
        yield "", screen.text(f"{ago}: {facts.last_crash}", "careful")


def _polling(queue: QueueView) -> screen.Cell:
    from worker_core.cli import screen

    if not queue.polling:
        return screen.text(screen.IDLE, "bad")
    if queue.is_silent:
        return screen.text(f"{screen.IDLE} no answer", "careful")
    return screen.text(f"{screen.RUNNING} polling", "good")


def _queues(console: Console, snapshot: EngineSnapshot) -> None:
    from rich.text import Text

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
                _polling(queue),
                f"{statistics.backlog}" if statistics else "-",
                screen.ago(queue.last_heartbeat_at),
                queue.worker_id or "-",
            ]
        )
    screen.table(console, ("QUEUE", "STATE", "BACKLOG", "HEARTBEAT", "WORKER"), rows, indent="  ")
    for queue in snapshot.queues:
        remarks = [queue.reason] if queue.reason and not queue.polling else []
        for remark in (*remarks, *queue.config.remarks):
            said = screen.text(f"{queue.queue_name or queue.queue_id}: {remark}", "careful")
            screen.hanging(console, Text("  "), said, lead=2)
