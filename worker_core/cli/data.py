"""`kubiya-worker data`: show, lead-back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from worker_core.cli.root import ExamplesGroup
from worker_core.cli.situation import json_option, paths
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.data_format import DataMark
    from worker_core.paths import Paths


@click.group(
    cls=ExamplesGroup,
    help="""What this machine keeps for the worker, and the format it has: for a change to another version, up or down.

    A newer version brings data up by itself when it starts. Before an older one is installed, let this one lead them
    back where `data show` says that it has to.""",
    examples=("kubiya-worker data show", "kubiya-worker data lead-back 1"),
)
def command() -> None:
    pass


@command.command("show", help="Show which format the data have, and which versions can use them. Changes nothing.")
@json_option
def show(*, as_json: bool) -> None:
    from worker_core.data_format import OURS

    where = paths()
    _say(where, OURS.check(where), as_json=as_json)


@command.command(
    "lead-back",
    help="""Bring the data to an earlier FORMAT, for an older version that is to be installed. Nothing is lost: this
    version brings them up again when it starts. It refuses while a worker runs.""",
)
@click.argument("format_", metavar="FORMAT", type=int)
@json_option
def lead_back(*, format_: int, as_json: bool) -> None:
    from worker_core.control_socket.client import running_workers
    from worker_core.data_format import OURS

    where = paths()
    now = OURS.lead_back(where, format_, in_use_by=lambda: [one.pid for one in running_workers(where.runtime)])
    _say(where, now, as_json=as_json)


def _say(where: Paths, mark: DataMark, *, as_json: bool) -> None:
    from worker_core.cli.screen import say_json
    from worker_core.data_format import OURS

    if as_json:
        said = {"state": str(where.state), **asdict(mark), "program_format": OURS.format, "program": OURS.version}
        say_json(said)
        return
    used = f", last used by version {mark.version}" if mark.version else ""
    say(f"The data in {where.state} have format {mark.settled}{used}. This is {OURS.version}: format {OURS.format}.")
    if mark.unfinished:
        say(f"A change to format {mark.format} broke off; the next start of this version ends it.")
    say(f"Versions of format {mark.readable_from} and later can use them as they are.")
