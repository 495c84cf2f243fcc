"""`kubiya-worker stop`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, paths, worker_option
from worker_core.cli.terminal import say
from worker_core.errors import KubiyaError

if TYPE_CHECKING:
    from worker_core.control_socket.client import RunningWorker, StopName
    from worker_core.daemon.instances import Instance


@click.command(
    cls=Examples,
    help="""Let a running worker leave: it takes nothing new, lets running turns end, and signs off.

    With --cancel running calls are cancelled and their process trees killed; with --now it leaves at once, and the
    next worker takes up what was running. A stronger stop may follow a weaker one. A daemon leaves with its worker.

    The exit code is the worker's own (0, or 8 and 130 where work was cancelled or left), unless --no-wait is given; of
    several, the highest.""",
    examples=(
        "kubiya-worker stop",
        "kubiya-worker stop --all",
        "kubiya-worker stop --no-wait",
        "kubiya-worker stop --worker build-7 --cancel",
    ),
)
@worker_option
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.option("--cancel", is_flag=True, help="Cancel what runs.")
@click.option("--now", is_flag=True, help="Leave at once.")
@click.option("--wait/--no-wait", default=True, help="Wait until it has left (the default).")
@json_option
def command(*, wanted: str, every: bool, cancel: bool, now: bool, wait: bool, as_json: bool) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from worker_core.daemon.instances import NOBODY, chosen, instances

    if cancel and now:
        raise click.UsageError("--cancel and --now exclude each other.")
    if every and wanted:
        raise click.UsageError("--all and --worker exclude each other.")
    mode: StopName = "now" if now else "cancel" if cancel else "drain"
    if not every:
        return _stop(chosen(paths().runtime, wanted), mode=mode, wait=wait, as_json=as_json)
    from worker_core.control_socket.client import NoWorker

    running = instances(paths().runtime)
    if not running:
        raise NoWorker(NOBODY)
    with ThreadPoolExecutor(len(running)) as at_once:  # each may take its time
        codes = at_once.map(lambda one: _stop(one, mode=mode, wait=wait, as_json=as_json), running)
        return max(codes)


def _stop(instance: Instance, *, mode: StopName, wait: bool, as_json: bool) -> int:
    if instance.daemon is None:
        return _stop_worker(instance.the_worker(), mode=mode, wait=wait, as_json=as_json)
    leaving = instance.daemon.stop(mode)
    if not wait:
        leaving.close()
        _say("stopping", f"The daemon {instance.name} was told to stop.", 0, as_json=as_json)
        return 0
    if instance.worker is not None and not as_json:
        with contextlib.suppress(KubiyaError):  # the daemon knows how it ended
            _stop_worker(instance.worker, mode=mode, wait=True, as_json=False)
    ended = leaving.wait()
    _say("stopped", ended.why or f"The daemon {instance.name} has ended.", ended.code, as_json=as_json)
    return ended.code


def _stop_worker(worker: RunningWorker, *, mode: StopName, wait: bool, as_json: bool) -> int:
    from worker_core.cli.steering import show
    from worker_core.snapshot import EngineState

    last = None
    for snapshot in worker.stop(mode=mode, wait=wait):
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


def _say(state: str, reason: str, code: int, *, as_json: bool) -> None:
    if as_json:
        from worker_core.cli.screen import say_json

        say_json({"state": state, "reason": reason, "exit_code": code})
    else:
        say(f"{state}  {reason}")
