"""`kubiya-worker stop`."""

from __future__ import annotations

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, worker_option


@click.command(
    cls=Examples,
    help="""Let a running worker leave: it takes nothing new, lets running turns end, and signs off.

    With --cancel running calls are cancelled and their process trees killed; with --now it leaves at once, and the
    next worker takes up what was running. A stronger stop may follow a weaker one.

    The exit code is the worker's own (0, or 8 and 130 where work was cancelled or left), unless --no-wait is given.""",
    examples=(
        "kubiya-worker stop",
        "kubiya-worker stop --no-wait",
        "kubiya-worker stop --worker 4242 --cancel",
    ),
)
@worker_option
@click.option("--cancel", is_flag=True, help="Cancel what runs.")
@click.option("--now", is_flag=True, help="Leave at once.")
@click.option("--wait/--no-wait", default=True, help="Wait until it has left (the default).")
@json_option
def command(*, pid: int | None, cancel: bool, now: bool, wait: bool, as_json: bool) -> int:
    from worker_core.cli.steering import show, the_worker
    from worker_core.errors import KubiyaError
    from worker_core.snapshot import EngineState

    if cancel and now:
        raise click.UsageError("--cancel and --now exclude each other.")
    worker = the_worker(pid)
    last = None
    for snapshot in worker.stop(mode="now" if now else "cancel" if cancel else "drain", wait=wait):
        if wait and last is None and snapshot.state not in {EngineState.STOPPED, EngineState.FAILED}:
            last = snapshot  # the answer to the request is the state before it
            continue
        said, last = last, snapshot
        if not as_json and (said is None or (said.state, said.reason) != (last.state, last.reason)):
            show(snapshot, as_json=False)
    assert last is not None
    if as_json:
        show(last, as_json=True)
    if wait and last.state not in {EngineState.STOPPED, EngineState.FAILED}:
        raise KubiyaError(f"The worker with pid {worker.pid} ended before it said how. Its log says more.")
    return last.exit_code if wait else 0
