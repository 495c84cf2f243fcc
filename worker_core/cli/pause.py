"""`kubiya-worker pause`."""

from __future__ import annotations

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, worker_option
from worker_core.cli.steering import steer


@click.command(
    cls=Examples,
    help="Let a running worker take no new executions; what runs goes on. `kubiya-worker resume` ends it.",
    examples=(
        "kubiya-worker pause",
        "kubiya-worker pause --worker build-7 --reason 'On battery.'",
    ),
)
@worker_option
@click.option("--reason", default="", metavar="TEXT", help="Shown wherever the worker's state is shown.")
@json_option
def command(*, wanted: str, reason: str, as_json: bool) -> None:
    steer(lambda worker: worker.pause(reason=reason), wanted=wanted, as_json=as_json)
