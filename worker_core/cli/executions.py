"""`kubiya-worker executions`."""

from __future__ import annotations

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, paths, worker_option


@click.command(
    cls=Examples,
    help="List the executions that live on your running workers on this machine: what each does, or waits for.",
    examples=(
        "kubiya-worker executions",
        "kubiya-worker executions --worker build-7",
        "kubiya-worker executions --json | jq -r '.executions[] | select(.status == \"running\") | .execution_id'",
    ),
)
@worker_option
@json_option
def command(*, wanted: str, as_json: bool) -> None:
    import msgspec

    from worker_core.cli import screen
    from worker_core.cli.terminal import say
    from worker_core.daemon.instances import workers_of

    snapshots = [(worker, worker.status()) for worker in workers_of(paths().runtime, wanted)]
    if as_json:
        found = [
            {"worker": worker.pid, "name": worker.name, **msgspec.to_builtins(one)}
            for worker, snapshot in snapshots
            for one in snapshot.executions
        ]
        screen.say_json({"executions": found})
        return
    shown = [(worker, snapshot) for worker, snapshot in snapshots if snapshot.executions]
    if not shown:
        say("No execution lives here.")
    console = screen.console()
    for worker, snapshot in shown:
        if len(snapshots) > 1:
            say(f"{worker.name or 'worker'} (pid {worker.pid})")
        screen.executions(console, snapshot.executions)
