"""`kubiya-worker logout`."""

from __future__ import annotations

from typing import Any

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option
from worker_core.cli.terminal import say


@click.command(
    cls=Examples,
    help="Take the API key of a control plane out of the keychain. Running workers keep theirs.",
    examples=("kubiya-worker logout", "kubiya-worker logout --control-plane-url https://kubiya.example.com"),
)
@click.option("--control-plane-url", metavar="URL", help="Whose key (CONTROL_PLANE_URL).")
@json_option
def command(*, as_json: bool, **flags: Any) -> None:
    import asyncio

    from worker_core.cli.screen import say_json
    from worker_core.cli.situation import load_settings
    from worker_core.secrets import KeyringStore, account_of

    settings = load_settings(flags)
    url = account_of(settings.control_plane_url)
    removed = asyncio.run(KeyringStore().delete(settings.control_plane_url))
    if as_json:
        say_json({"control_plane_url": url, "removed": removed})
    elif removed:
        say(f"Logged out: the key for {url} is no longer in the keychain.")
    else:
        say(f"There was no key for {url} in the keychain.")
