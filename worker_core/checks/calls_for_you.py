"""Whether a call for the user arrives: a program and a web address are told something, where that is wanted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from worker_core.checks.check import Check, fail, ok, skip
from worker_core.errors import KubiyaError
from worker_core.hooks.occasion import HookFailed, Told
from worker_core.key_sources import KeyInFile
from worker_core.logs.redaction import Redactor
from worker_core.machine import identity
from worker_core.paths import Paths
from worker_core.settings import Settings

NAME: Final = "calls for you"
LIMIT: Final = timedelta(seconds=20)
"""For the program."""


async def calls_for_you(settings: Settings, paths: Paths, *, tell: bool) -> Check:
    """Send a test message, also in quiet hours, where `tell` says so."""
    command, address = settings.notify_command, settings.notify_webhook
    if not (command or address):
        return skip(NAME, "Neither notify_command nor notify_webhook is set.")
    ways = " and ".join(name for name, set_to in (("notify_command", command), ("notify_webhook", address)) if set_to)
    if not tell:
        return skip(NAME, f"Set: {ways}. Nothing was told: `kubiya-worker doctor --notify` sends a test message.")
    told = Told(occasion="test", host_id=await asyncio.to_thread(identity.host_id, paths.host_id_file))
    wrong = [why for why in await asyncio.gather(_program(settings, told, paths), _address(settings, told)) if why]
    if wrong:
        return fail(
            NAME, " ".join(wrong), "Correct the setting, and try again: kubiya-worker doctor --notify calls-for-you"
        )
    return ok(NAME, f"A test message was taken ({ways}).")


async def _program(settings: Settings, told: Told, paths: Paths) -> str:
    if not settings.notify_command:
        return ""
    from worker_core.hooks.program import run_program

    try:
        await run_program(settings.notify_command, told, folder=paths.state, limit=LIMIT, mask=Redactor().mask)
    except HookFailed as error:
        return error.sentence
    return ""


async def _address(settings: Settings, told: Told) -> str:
    if not settings.notify_webhook:
        return ""
    from worker_core.hooks.webhook import Webhook

    try:
        file = settings.notify_webhook_secret_file
        secret = None if file is None else await asyncio.to_thread(KeyInFile, file)
    except KubiyaError as error:
        return error.sentence
    hook = Webhook(settings.notify_webhook, secret=secret, ca_file=settings.ca_file, form=settings.notify_format)
    why = await hook.deliver(told)
    return f"The web address of notify_webhook did not take it as {settings.notify_format} ({why})." if why else ""
