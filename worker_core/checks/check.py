"""What can be found out about this machine without asking the network."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from worker_core import __version__
from worker_core.basics.files import nearest_existing
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.basics.shortage import more_files
from worker_core.basics.sizes import size
from worker_core.checks.catalogue import id_of, page_name
from worker_core.data_format import OURS
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.paths import Paths
from worker_core.secrets import API_KEY_VARIABLE, KeyringStore, Secret, account_of
from worker_core.settings import Fault, Settings

Verdict = Literal["ok", "warn", "fail", "skip"]

DISK_FAIL_BYTES: Final = 500 * 10**6
DISK_WARN_BYTES: Final = 5 * 10**9
OLDEST_PYTHON: Final = (3, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `repair` says what to do where it is not ok; `skip` could not be looked at.

    `name` is one of the catalogue's. `took_seconds` is None where nothing was waited for.
    """

    name: str
    verdict: Verdict
    sentence: str
    repair: str = ""
    took_seconds: float | None = None
    facts: Mapping[str, Any] | None = None
    """The same for scripts, where it is more than a sentence."""

    fact: str = ""
    """The sentence without what repairs it in a terminal, where it ends so."""

    in_window: str = ""
    """What a window says instead of `repair`, which is for a terminal."""

    @property
    def id(self) -> str:
        return id_of(self.name)

    def to_json(self) -> dict[str, Any]:
        """For scripts: these keys stay."""
        return {
            "id": self.id,
            "name": self.name,
            "status": self.verdict,
            "sentence": str(self.sentence),
            "repair": str(self.repair),
            "page": page_name(self.id),
            "seconds": self.took_seconds,
        } | ({} if self.facts is None else {"facts": dict(self.facts)})


def ok(name: str, sentence: str) -> Check:
    return Check(name=name, verdict="ok", sentence=sentence)


def warn(name: str, sentence: str, repair: str, *, in_window: str = "") -> Check:
    return Check(name=name, verdict="warn", sentence=sentence, repair=repair, in_window=in_window)


def fail(name: str, said: str | KubiyaError, repair: str, *, in_window: str = "") -> Check:
    """`said`: a sentence, or an error that has one."""
    sentence, fact = (said.said, said.fact) if isinstance(said, KubiyaError) else (said, "")
    return Check(name=name, verdict="fail", sentence=sentence, repair=repair, fact=fact, in_window=in_window)


def skip(name: str, sentence: str) -> Check:
    return Check(name=name, verdict="skip", sentence=sentence)


async def timed(check: Awaitable[Check]) -> Check:
    """The finding, with the time that it took; one that was skipped took none."""
    begun = time.monotonic()
    found = await check
    return found if found.verdict == "skip" else replace(found, took_seconds=time.monotonic() - begun)


async def versions() -> Check:
    from importlib import metadata

    said = (
        f"kubiya-worker {__version__}, Python {platform.python_version()}, temporalio {metadata.version('temporalio')}"
    )
    where = f"{platform.system()} {platform.release()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return fail("versions", f"{said}, {where}.", f"Install Python {oldest} or newer.")
    return ok("versions", f"{said}, {where}.")


async def settings_file(paths: Paths, settings: Settings, *, remarks: Sequence[Fault] = ()) -> Check:
    """`remarks` are about what has no effect, and looks as if it should."""
    if remarks:
        more = f" `kubiya-worker config check` names {len(remarks) - 1} more." if len(remarks) > 1 else ""
        return warn("settings", f"{remarks[0].sentence}{more}", "Correct the name, or take it away.")
    there = "is read" if paths.settings_file.is_file() else "does not exist, which is fine"
    queues = f"queues: {', '.join(settings.queue_ids)}" if settings.queue_ids else "no queue is set"
    return ok("settings", f"{settings.control_plane_url}; {queues}; {paths.settings_file} {there}.")


async def policy(paths: Paths) -> Check:
    from worker_core.policy.decision import policy_file
    from worker_core.policy.file import BrokenPolicy

    try:
        rules = await asyncio.to_thread(policy_file(paths).rules)
    except BrokenPolicy as error:
        return fail("policy", f"{error.sentence} Every call of a tool is denied.", "Repair the file, or remove it.")
    there = f"has {len(rules)} rules" if paths.policy_file.exists() else "does not exist, which is fine"
    return ok("policy", f"{paths.policy_file} {there}.")


async def state_folder(paths: Paths) -> Check:
    return await asyncio.to_thread(_state_folder, paths)


def _state_folder(paths: Paths) -> Check:
    new = not paths.state.exists()
    nearest = nearest_existing(paths.state)
    try:
        if new and not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(nearest))
        if not new:
            paths.check()
            OURS.check(paths)
            with tempfile.NamedTemporaryFile(dir=paths.state, prefix=".doctor-") as probe:
                probe.write(b"ok")
                probe.flush()
    except ConfigurationError as error:
        return fail("state folder", error.sentence, "No worker starts before that.")
    except OSError as error:
        return fail(
            "state folder",
            f"{paths.state} cannot be written ({error.strerror}).",
            "Repair its owner and permissions, or name another folder in KUBIYA_WORKER_HOME.",
        )
    return ok("state folder", f"{paths.state} {'can be made' if new else 'can be written'}.")


async def disk(paths: Paths) -> Check:
    try:
        usage = await asyncio.to_thread(shutil.disk_usage, nearest_existing(paths.state))
    except OSError as error:
        return fail("disk", f"The disk of {paths.state} does not answer ({error.strerror}).", "Check its mount.")
    said = f"{size(usage.free)} of {size(usage.total)} are free."
    repair = "Free some space: executions keep their workspaces there, and events while the control plane is away."
    if usage.free < DISK_FAIL_BYTES:
        return fail("disk", said, repair)
    return warn("disk", said, repair) if usage.free < DISK_WARN_BYTES else ok("disk", said)


async def keychain(settings: Settings, *, given_by: str = "") -> tuple[Check, Secret | None]:
    """The keychain, and the key it holds for this control plane. `given_by`: where there is a key already."""
    store = KeyringStore()
    try:
        name = await store.name()
        found = await store.get(settings.control_plane_url)
    except KubiyaError as error:
        if given_by:
            where = worded("the environment") if given_by == API_KEY_VARIABLE else given_by
            said = worded("None can be used here, and none is needed: the key is in {where}.", where=where)
            return skip("keychain", said), None
        repair = worded("Unlock or install a keychain, or set {variable}.", variable=API_KEY_VARIABLE)
        return fail("keychain", error, repair), None
    server = account_of(settings.control_plane_url)
    holds = (
        worded("{keychain} holds a key for {server}.", keychain=name, server=server)
        if found
        else worded("{keychain} holds no key for {server}.", keychain=name, server=server)
    )
    return ok("keychain", holds), found


async def workers(paths: Paths) -> Check:
    from worker_core.control_socket.client import WorkerSilent, running_workers

    def look() -> Check:
        said = []
        for worker in running_workers(paths.runtime):
            try:
                said.append(f"pid {worker.pid} is {worker.status().state.value}")
            except WorkerSilent as error:
                return warn("workers", error.sentence, f"If it hangs, end it: kill {worker.pid}")
        return ok("workers", f"Running here: {'; '.join(said)}." if said else "None runs here at the moment.")

    return await asyncio.to_thread(look)


async def sandbox(paths: Paths, settings: Settings) -> Check:
    return await asyncio.to_thread(_sandbox, paths, settings)


def _sandbox(paths: Paths, settings: Settings) -> Check:
    from worker_core.sandbox.choice import choose

    try:
        with tempfile.TemporaryDirectory(prefix="kubiya-doctor-") as folder:  # it changes nothing, not even the state
            choice = choose(settings, replace(paths, runtime=Path(folder)))
            choice.close()
    except OSError as error:
        why = worded("No sandbox could be looked for: {why}.", why=error.strerror or str(error))
        return fail("sandbox", why, more_files(error) or worded("Try again later."))
    if choice.launcher is None:
        return fail("sandbox", choice.reason, str(choice.remedy) or "Repair that: no tool can be started before.")
    if choice.view.name == "none":
        return warn("sandbox", choice.reason, 'Repair that, and set require_sandbox = "always" or "ask".')
    return ok("sandbox", choice.reason)
