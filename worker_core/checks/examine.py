"""All checks, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, Final

from worker_core.basics.sentences import worded
from worker_core.checks import check, folders, network
from worker_core.checks.calls_for_you import calls_for_you
from worker_core.checks.catalogue import CATALOGUE, id_of
from worker_core.checks.check import Check, fail, skip
from worker_core.checks.confinement import confinement
from worker_core.checks.gpus import gpus
from worker_core.checks.granted_folders import granted_folders
from worker_core.checks.installed_service import service
from worker_core.errors import KubiyaError
from worker_core.key_sources import API_KEY, GivenKey
from worker_core.logs.redaction import Redactor
from worker_core.paths import Paths
from worker_core.settings import Fault, Settings

WITH: Final = {"API key": ("queue", "clock")}
"""What is asked in one go with a check."""

LIMIT_SECONDS: Final = 30.0
"""For one check, whatever it does."""


def _nothing(found: Check) -> None:
    pass


async def examine(
    settings: Settings,
    *,
    paths: Paths,
    given: GivenKey | None = None,
    temporal_host: str = "",
    connection_only: bool = False,
    redactor: Redactor | None = None,
    only: Collection[str] = CATALOGUE.keys(),
    remarks: Sequence[Fault] = (),
    notify: bool = False,
    heard: Callable[[Check], object] = _nothing,
) -> list[Check]:
    """Look at everything. Nothing is changed, and no worker is registered. Never raises.

    Args:
        settings: as a worker would start with them.
        paths: of this installation.
        given: the API key where it came from the environment or a file; else the keychain is asked.
        temporal_host: `host:port`, where the caller knows it.
        connection_only: leave out what is no matter of the network and the key.
        redactor: learns the key that is found.
        only: ids of the checks that are wanted; what they build on is asked too, and not told.
        remarks: about settings that have no effect.
        notify: send a test message by `notify_command` and `notify_webhook`.
        heard: called with each finding as it is made, in whatever order.

    Returns:
        All findings, in the order in which they build on each other.
    """

    async def keychain_side() -> list[Check]:
        return [await check.timed(_finding(asked_keychain))]

    async def key_side() -> list[Check]:
        _, stored = await asyncio.shield(asked_keychain)
        key, source = given or (stored, worded("the keychain"))
        if key is not None and redactor is not None:
            redactor.add(key)
        if key is None:
            repair = f"kubiya-worker login, or set {API_KEY.variable} or {API_KEY.file_variable}."
            return [fail("API key", worded("There is none."), repair, in_window=worded("Enter one above."))]
        return await network.key_and_clock(settings, key, source=source, queues=settings.queue_ids)

    async def server_side() -> list[Check]:
        return [await check.timed(_finding(asked_server))]

    async def temporal_side() -> list[Check]:
        _, named = await asyncio.shield(asked_server)
        return [await check.timed(network.temporal(settings, temporal_host or named))]

    async def told(name: str, group: Coroutine[Any, Any, list[Check]]) -> list[Check]:
        found = [one for one in await _limited(name, group) if one.id in only]
        for one in found:
            heard(one)
        return found

    asked_keychain = asyncio.create_task(
        check.keychain(settings, given_by="" if given is None else given.source), name="ask the keychain"
    )
    asked_server = asyncio.create_task(network.health(settings), name="ask the control plane")
    of_machine: list[tuple[str, Callable[[], Coroutine[Any, Any, list[Check]]]]] = [
        ("versions", lambda: _one(check.versions())),
        ("settings", lambda: _one(check.settings_file(paths, settings, remarks=remarks))),
        ("policy", lambda: _one(check.policy(paths))),
        ("state folder", lambda: _one(check.state_folder(paths))),
        ("temporary folder", lambda: _one(folders.temporary_folder(paths))),
        ("logs", lambda: _one(folders.logs(paths))),
        ("disk", lambda: _one(check.disk(paths))),
    ]
    of_network: list[tuple[str, Callable[[], Coroutine[Any, Any, list[Check]]]]] = [
        ("proxy", lambda: _one(check.timed(network.proxy(settings)))),
        ("DNS", lambda: _one(check.timed(network.dns(settings)))),
        ("TLS", lambda: _one(check.timed(network.tls(settings)))),
        ("control plane", server_side),
        ("Temporal", temporal_side),
        ("model gateway", lambda: _one(check.timed(network.gateway(settings)))),
        ("keychain", keychain_side),
        ("API key", key_side),
    ]
    of_tools: list[tuple[str, Callable[[], Coroutine[Any, Any, list[Check]]]]] = [
        ("MCP hosts", lambda: _one(check.timed(network.mcp_hosts(settings)))),
        ("sandbox", lambda: _one(check.sandbox(paths, settings))),
        ("confinement", lambda: _one(confinement())),
        ("GPUs", lambda: _one(check.timed(gpus(settings)))),
        ("folders", lambda: granted_folders(paths, settings)),
        ("calls for you", lambda: _one(check.timed(calls_for_you(settings, paths, tell=notify)))),
        ("control socket", lambda: _one(folders.control_socket(paths))),
        ("workers", lambda: _one(check.workers(paths))),
        ("service", lambda: _one(service())),
    ]
    every = of_network if connection_only else [*of_machine, *of_network, *of_tools]
    groups = [(name, begin()) for name, begin in every if {id_of(name), *WITH.get(name, ())} & set(only)]
    try:
        found = await asyncio.gather(*(told(name, group) for name, group in groups))
    finally:
        for asked in (asked_keychain, asked_server):
            asked.cancel()
        await asyncio.gather(asked_keychain, asked_server, return_exceptions=True)
    told_of = [check for group in found for check in group]
    if len(only) < len(CATALOGUE):  # somebody named them: each gets an answer
        ids = {one.id for one in told_of}
        for name, why in (("queue", "No queue is set, or"), ("clock", "It cannot be compared:")):
            if id_of(name) in only and id_of(name) not in ids:
                told_of.append(skip(name, f"{why} the control plane did not take the API key. See the check api-key."))
    return told_of


async def _finding(asked: asyncio.Task[tuple[Check, Any]]) -> Check:
    """What was found, of something that others wait for too."""
    found, _ = await asyncio.shield(asked)
    return found


async def _one(check: Coroutine[Any, Any, Check]) -> list[Check]:
    return [await check]


async def _limited(name: str, group: Coroutine[Any, Any, list[Check]]) -> list[Check]:
    """A check that hangs or breaks is a finding too."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await group
    except TimeoutError:
        said = worded("The check did not end within {n} s.", n=LIMIT_SECONDS)
        return [fail(name, said, worded("Try again; check the network."))]
    except KubiyaError as error:
        return [fail(name, error, "")]
    except Exception as error:  # noqa: BLE001 - the other checks are worth showing
        said = worded("The check itself failed ({kind}).", kind=type(error).__name__)
        return [fail(name, said, worded("Report it, please."))]
