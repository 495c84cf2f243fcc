"""`kubiya-worker reload`."""

from __future__ import annotations

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, worker_option


@click.command(
    cls=Examples,
    help="""Let a running worker read its settings file and its policy file again, without stopping anything.

    What may change while it runs holds at once; the rest is named, and waits for the next start. Where something is
    wrong, nothing is changed, and the exit code is 3. `kubiya-worker config show --running` shows what holds.""",
    examples=(
        "kubiya-worker reload",
        "kubiya-worker config check && kubiya-worker reload --json | jq .later",
    ),
)
@worker_option
@json_option
def command(*, wanted: str, as_json: bool) -> int:
    import msgspec

    from worker_core.cli import screen
    from worker_core.cli.root import complain
    from worker_core.cli.steering import the_worker
    from worker_core.cli.terminal import say
    from worker_core.errors import ExitCode

    reloaded = the_worker(wanted).reload()
    if as_json:
        plain = msgspec.to_builtins(reloaded)
        for fault in plain["faults"]:
            del fault["told"]
        screen.say_json(plain)
    elif reloaded.faults:
        complain(reloaded.sentence)
    else:
        say(reloaded.sentence)
    return ExitCode.NOT_CONFIGURED if reloaded.faults else ExitCode.OK
