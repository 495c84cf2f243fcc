"""`kubiya-worker doctor`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker_core.cli.root import Examples
from worker_core.cli.setting_options import CONTROL_PLANE, setting_options
from worker_core.cli.situation import json_option
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.checks.check import Check


@click.command(
    cls=Examples,
    help="""Check what a worker needs on this machine: settings, name resolution, proxy, TLS, the control plane and
    your key, Temporal, keychain, disk, clock, sandbox. What is wrong comes with its repair.

    It registers no worker and changes nothing. Exit code 1 if something has to be repaired.

    --bundle writes all that into a ZIP file for a bug report, with the settings, the last log lines and the crash
    reports, secrets masked. Nothing is sent: look into it before you give it to anybody.""",
    examples=(
        "kubiya-worker doctor",
        "kubiya-worker doctor --queue-id 6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d",
        "kubiya-worker doctor --bundle diagnostics.zip",
        "kubiya-worker doctor --json | jq '.checks[] | select(.verdict == \"fail\")'",
    ),
)
@click.option("--queue-id", "queue_ids", multiple=True, metavar="ID...", help="Check these queues too (QUEUE_ID).")
@click.option("--temporal-host", default="", metavar="HOST:PORT", help="Temporal's address, where you know it.")
@click.option(
    "--bundle", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a ZIP file for a report."
)
@setting_options(*CONTROL_PLANE)
@json_option
def command(*, as_json: bool, temporal_host: str, queue_ids: tuple[str, ...], bundle: Path | None, **flags: Any) -> int:
    from worker_core.checks.check import fail
    from worker_core.checks.diagnostics import collect, redactor_of, write_bundle
    from worker_core.checks.examine import examine
    from worker_core.cli import screen
    from worker_core.cli.situation import hide_keys, load_settings, paths
    from worker_core.errors import ConfigurationError
    from worker_core.key_sources import API_KEY, given_key

    environ = dict(os.environ)
    redactor = redactor_of(environ)
    ids = tuple(one.strip() for given in queue_ids for one in given.split(",") if one.strip())
    try:
        settings = load_settings({"queue_ids": ids, **flags})
        hide_keys()
        given = given_key(API_KEY, environ, settings.api_key_file)
    except ConfigurationError as error:
        checks: list[Check] = [fail("settings", error.sentence, "Correct it; nothing else was checked.")]
    else:
        checks = asyncio.run(
            examine(settings, paths=paths(), given=given, temporal_host=temporal_host, redactor=redactor)
        )
    failed = sum(check.verdict == "fail" for check in checks)
    if bundle is not None:
        write_bundle(bundle, collect(paths(), environ=environ, redactor=redactor, checks=checks))
    if as_json:
        said = {"ok": not failed, "checks": [check.to_json() for check in checks]}
        screen.say_json(said | ({"bundle": str(bundle)} if bundle is not None else {}))
    else:
        _show(checks)
        if bundle is not None:
            say(f"\nWritten: {bundle}. Nothing was sent; look into it before you give it to anybody.")
    return 1 if failed else 0


def _show(checks: Sequence[Check]) -> None:
    from rich.text import Text

    from worker_core.cli import screen

    console = screen.console()
    marks = {
        "ok": (screen.OK, "good"),
        "warn": ("!", "careful"),
        "fail": (screen.FAILED, "bad"),
        "skip": (screen.IDLE, "quiet"),
    }
    wide = max(len(check.name) for check in checks)
    lead = wide + 4
    for check in checks:
        mark, style = marks[check.verdict]
        said = screen.text(check.sentence, "quiet" if check.verdict == "skip" else "")
        head = Text().append(f"{mark} ", style=style).append(check.name.ljust(wide), style="strong").append("  ")
        screen.hanging(console, head, said, lead=lead)
        if check.repair and check.verdict in {"warn", "fail"}:
            screen.hanging(
                console,
                Text(" " * lead),
                Text().append("→ ", style="accent").append_text(screen.text(check.repair)),
                lead=lead + 2,
            )
    console.print()
    failed = sum(check.verdict == "fail" for check in checks)
    warned = sum(check.verdict == "warn" for check in checks)
    if failed:
        console.print(Text(f"{screen.count(failed, 'thing')} to repair.", style="bad"))
    elif warned:
        console.print(Text(f"Good, with {screen.count(warned, 'warning')}.", style="careful"))
    else:
        console.print(Text("All good.", style="good"))
