"""`kubiya-worker login`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from worker_core.cli.root import Examples
from worker_core.cli.setting_options import CONTROL_PLANE, setting_options
from worker_core.cli.situation import json_option
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.secrets import Secret
    from worker_core.settings import Settings

KEY_LIMIT: Final = 16_384
"""Characters; longer than any key is."""


@click.command(
    cls=Examples,
    help="""Check an API key with the control plane, and store it in this machine's keychain.

    It is asked for without being shown, or read from stdin; it is never an argument.""",
    examples=(
        "kubiya-worker login",
        "pass show kubiya | kubiya-worker login --stdin",
        "kubiya-worker login --control-plane-url https://kubiya.example.com",
    ),
)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the key from stdin (also where it is no terminal).")
@setting_options(*CONTROL_PLANE)
@json_option
def command(*, from_stdin: bool, as_json: bool, **flags: Any) -> None:
    import asyncio

    from worker_core.basics.plain import one_line
    from worker_core.cli.screen import say_json
    from worker_core.cli.situation import load_settings
    from worker_core.secrets import Secret, account_of

    settings = load_settings(flags)
    key = Secret(_key_from(stdin=from_stdin or not sys.stdin.isatty(), url=settings.control_plane_url))
    who = asyncio.run(_store(settings, key))
    said = {name: one_line(str(who.get(name) or ""), 200) for name in ("organization", "user", "keychain")}
    url = account_of(settings.control_plane_url)
    if as_json:
        say_json({"control_plane_url": url, **said})
        return
    user = f" as {said['user']}" if said["user"] else ""
    say(f"Logged in to {said['organization'] or url}{user}. The key for {url} is in {said['keychain']}.")


def _key_from(*, stdin: bool, url: str) -> str:
    """The key, as it was given.

    Raises:
        click.UsageError: nothing was given, or something that cannot be a key.
    """
    if stdin:
        text = sys.stdin.read(KEY_LIMIT + 1)
    else:
        text = click.prompt(f"API key for {url}", hide_input=True, default="", show_default=False, err=True)
    key = text.strip()
    if not key:
        raise click.UsageError("No key was given. Type it at the prompt, or give it on stdin.")
    if len(key) > KEY_LIMIT or len(key.split()) > 1:
        raise click.UsageError("This is no API key: it must be one word. Nothing was stored.")
    return key


async def _store(settings: Settings, key: Secret) -> dict[str, Any]:
    """Validate and store; who the key belongs to."""
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.secrets import KeyringStore

    store = KeyringStore()
    keychain = await store.name()  # without one there is no need to ask the control plane
    client = ControlPlaneClient.of(settings, key)
    try:
        who = await client.validate_key()
    finally:
        await client.aclose()
    await store.set(settings.control_plane_url, key)
    return {
        "organization": who.get("name") or who.get("slug") or who.get("id"),
        "user": who.get("user_email") or who.get("user_name"),
        "keychain": keychain,
    }
