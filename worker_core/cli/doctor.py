"""`kubiya-worker doctor`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import control_plane_options, json_option

if TYPE_CHECKING:
    from worker_core.cli.checks import Check
    from worker_core.settings import Settings

LIMIT_SECONDS: Final = 30.0
"""For one check, whatever it does."""


@click.command(
    cls=Examples,
    help="""Check what a worker needs on this machine: settings, name resolution, proxy, TLS, the control plane and
    your key, Temporal, keychain, disk, clock, sandbox. What is wrong comes with its repair.

    It registers no worker and changes nothing. Exit code 1 if something has to be repaired.""",
    examples=(
        "kubiya-worker doctor",
        "kubiya-worker doctor --queue-id 6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d",
        "kubiya-worker doctor --json | jq '.checks[] | select(.verdict == \"fail\")'",
    ),
)
@click.option("--queue-id", "queue_ids", multiple=True, metavar="ID...", help="Check these queues too (QUEUE_ID).")
@click.option("--temporal-host", default="", metavar="HOST:PORT", help="Temporal's address, where you know it.")
@control_plane_options
@json_option
def command(*, as_json: bool, temporal_host: str, queue_ids: tuple[str, ...], **flags: Any) -> int:
    from worker_core.cli import screen
    from worker_core.cli.checks import fail
    from worker_core.cli.situation import load_settings
    from worker_core.errors import ConfigurationError

    ids = tuple(one.strip() for given in queue_ids for one in given.split(",") if one.strip())
    try:
        settings = load_settings({"queue_ids": ids, **flags})
    except ConfigurationError as error:
        checks: list[Check] = [fail("settings", error.sentence, "Correct it; nothing else was checked.")]
    else:
        checks = asyncio.run(_all(settings, temporal_host))
    failed = sum(check.verdict == "fail" for check in checks)
    if as_json:
        screen.say_json({"ok": not failed, "checks": [check.to_json() for check in checks]})
    else:
        _show(checks)
    return 1 if failed else 0


async def _all(settings: Settings, temporal_host: str) -> list[Check]:
    """All checks, side by side; in the order in which they build on each other."""
    from worker_core.cli import checks, network_checks
    from worker_core.cli.situation import hide_keys, paths
    from worker_core.secrets import API_KEY_VARIABLE, Secret

    where = paths()
    given = os.environ.get(API_KEY_VARIABLE, "").strip()
    hide_keys()

    async def key_side() -> list[Check]:
        keychain, stored = await checks.keychain(settings, key_in_environment=bool(given))
        key = Secret(given) if given else stored
        if key is None:
            found = [checks.fail("API key", "There is none.", f"kubiya-worker login, or set {API_KEY_VARIABLE}.")]
        else:
            source = API_KEY_VARIABLE if given else "the keychain"
            found = await network_checks.key_and_clock(settings, key, source=source, queues=settings.queue_ids)
        return [keychain, *found]

    async def server_side() -> list[Check]:
        healthy, named = await network_checks.health(settings)
        return [healthy, await network_checks.temporal(settings, temporal_host or named)]

    groups = await asyncio.gather(
        _limited("versions", _one(checks.versions())),
        _limited("settings", _one(checks.settings_file(where, settings))),
        _limited("state folder", _one(checks.state_folder(where))),
        _limited("disk", _one(checks.disk(where))),
        _limited("proxy", _one(network_checks.proxy(settings))),
        _limited("DNS", _one(network_checks.dns(settings))),
        _limited("TLS", _one(network_checks.tls(settings))),
        _limited("control plane", server_side()),
        _limited("API key", key_side()),
        _limited("sandbox", _one(checks.sandbox(where, settings))),
        _limited("workers", _one(checks.workers(where))),
    )
    return [check for group in groups for check in group]


async def _one(check: Coroutine[Any, Any, Check]) -> list[Check]:
    return [await check]


async def _limited(name: str, group: Coroutine[Any, Any, list[Check]]) -> list[Check]:
    """A check that hangs or breaks is a finding too."""
    from worker_core.cli.checks import fail
    from worker_core.errors import KubiyaError

    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await group
    except TimeoutError:
        return [fail(name, f"The check did not end within {LIMIT_SECONDS:g} s.", "Try again; check the network.")]
    except KubiyaError as error:
        return [fail(name, error.sentence, "")]
    except Exception as error:  # noqa: BLE001 - the other checks are worth showing
        return [fail(name, f"The check itself failed ({type(error).__name__}).", "Report it, please.")]


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
