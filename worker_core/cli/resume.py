"""`kubiya-worker resume`."""

from __future__ import annotations

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, worker_option
from worker_core.cli.steering import steer


@click.command(
    cls=Examples,
    help="Let a paused worker take executions again.",
    examples=("kubiya-worker resume", "kubiya-worker resume --worker build-7"),
)
@worker_option
@json_option
def command(*, wanted: str, as_json: bool) -> None:
    steer(lambda worker: worker.resume(), wanted=wanted, as_json=as_json)
