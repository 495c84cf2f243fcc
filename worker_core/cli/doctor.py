"""`kubiya-worker doctor`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker_core.cli.root import Examples
from worker_core.cli.setting_options import CONTROL_PLANE, queue_ids_in, setting_options
from worker_core.cli.situation import json_option
from worker_core.cli.terminal import say
from worker_core.errors import KubiyaError

if TYPE_CHECKING:
    from worker_core.checks.check import Check


@click.command(
    cls=Examples,
    help="""Check what a worker needs on this machine: settings, name resolution, proxy, TLS, the control plane and
    your key, Temporal, keychain, disk, clock, sandbox. What is wrong comes with its repair.

    It registers no worker and changes nothing. Exit code 1 if something has to be repaired.

    With ids, only those checks are made: --list names them, --explain ID says what one asks, why it matters and how to
    repair what it finds, system by system.

    --notify sends a test message to the program and the web address that are told when something waits for you.

    --bundle writes all that into a ZIP file for a bug report, with the settings, the last log lines and the crash
    reports, secrets masked. Nothing is sent: look into it before you give it to anybody.""",
    examples=(
        "kubiya-worker doctor",
        "kubiya-worker doctor --queue-id 6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d",
        "kubiya-worker doctor sandbox confinement",
        "kubiya-worker doctor --explain tls",
        "kubiya-worker doctor --notify calls-for-you",
        "kubiya-worker doctor --bundle diagnostics.zip",
        "kubiya-worker doctor --json | jq '.checks[] | select(.status == \"fail\")'",
    ),
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--list", "only_list", is_flag=True, help="Name all checks, and make none.")
@click.option("--explain", default="", metavar="ID", help="Show the page of a check, and make none.")
@click.option("--notify", is_flag=True, help="Send a test message by notify_command and notify_webhook.")
@click.option("--queue-id", "queue_ids", multiple=True, metavar="ID...", help="Check these queues too (QUEUE_ID).")
@click.option("--temporal-host", default="", metavar="HOST:PORT", help="Temporal's address, where you know it.")
@click.option(
    "--bundle", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a ZIP file for a report."
)
@setting_options(*CONTROL_PLANE)
@json_option
def command(
    *,
    ids: tuple[str, ...],
    only_list: bool,
    explain: str,
    as_json: bool,
    temporal_host: str,
    queue_ids: tuple[str, ...],
    bundle: Path | None,
    notify: bool,
    **flags: Any,
) -> int:
    from worker_core.checks.catalogue import CATALOGUE

    _known(*ids, *filter(None, [explain]))
    if only_list or explain:
        return _tell(explain, as_json=as_json)
    from worker_core.basics.files import nearest_existing
    from worker_core.basics.temporary import have_one
    from worker_core.checks.check import fail
    from worker_core.checks.diagnostics import collect, redactor_of, write_bundle
    from worker_core.checks.examine import examine
    from worker_core.cli import screen
    from worker_core.cli.situation import hide_keys, paths
    from worker_core.errors import ConfigurationError
    from worker_core.key_sources import API_KEY, given_key
    from worker_core.network.proxy import use_proxy
    from worker_core.settings import read

    environ = dict(os.environ)
    # It changes nothing, not even the state: what it puts there for a moment stands where something is already.
    have_one(lambda: nearest_existing(paths().state))
    redactor = redactor_of(environ)
    flags = {"queue_ids": queue_ids_in(queue_ids), **flags}
    reading = read(environ=environ, flags=flags, file=paths().settings_file)
    try:
        settings = reading.settings()
        use_proxy(settings.proxy)
        hide_keys()
        given = given_key(API_KEY, environ, settings.api_key_file)
    except ConfigurationError as error:
        repair = "Correct it; nothing else was checked. All that is wrong: kubiya-worker config check"
        checks: list[Check] = [fail("settings", error.sentence, repair)]
    else:
        checks = asyncio.run(
            examine(
                settings,
                paths=paths(),
                given=given,
                temporal_host=temporal_host,
                redactor=redactor,
                only=ids or CATALOGUE.keys(),
                remarks=reading.remarks,
                notify=notify,
            )
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


def _known(*ids: str) -> None:
    """Raises UsageError for one that is no check's, with the one that was probably meant."""
    from worker_core.checks.catalogue import CATALOGUE

    for one in ids:
        if one not in CATALOGUE:
            import difflib

            near = difflib.get_close_matches(one.lower().replace("_", "-"), CATALOGUE, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}?" if near else "`kubiya-worker doctor --list` names them all."
            raise click.UsageError(f"There is no check {one!r}. {hint}")


def _tell(explain: str, *, as_json: bool) -> int:
    """What checks there are, or the page of one."""
    from worker_core.checks.catalogue import CATALOGUE, page, page_name
    from worker_core.cli import screen

    if explain:
        try:
            text = page(explain)
        except OSError:
            raise KubiyaError(f"The page {page_name(explain)} was not installed with this program.") from None
        if as_json:
            screen.say_json({"id": explain, "text": text})
        else:
            say(text.rstrip())
        return 0
    if as_json:
        rows = [
            {"id": one.id, "name": one.name, "asks": one.asks, "page": page_name(one.id)} for one in CATALOGUE.values()
        ]
        screen.say_json({"checks": rows})
    else:
        screen.table(screen.console(), ("ID", "ASKS"), [[one.id, one.asks] for one in CATALOGUE.values()])
    return 0


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
    if wrong := [check.id for check in checks if check.repair and check.verdict in {"warn", "fail"}]:
        ids = screen.text(
            f"More about each: kubiya-worker doctor --explain {' | '.join(dict.fromkeys(wrong))}", "quiet"
        )
        console.print(ids, soft_wrap=True)
    failed = sum(check.verdict == "fail" for check in checks)
    warned = sum(check.verdict == "warn" for check in checks)
    if failed:
        console.print(Text(f"{screen.count(failed, 'thing')} to repair.", style="bad"))
    elif warned:
        console.print(Text(f"Good, with {screen.count(warned, 'warning')}.", style="careful"))
    else:
        console.print(Text("All good.", style="good"))
