"""Whether the worker has the places that it writes to."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Final

from worker_core.basics.files import nearest_existing
from worker_core.basics.sizes import size
from worker_core.basics.temporary import systems_folder
from worker_core.checks.check import Check, fail, ok, skip, warn
from worker_core.paths import Paths

TEMPORARY_WARN_BYTES: Final = 200 * 10**6


async def temporary_folder(paths: Paths) -> Check:
    return await asyncio.to_thread(_temporary_folder, paths)


def _temporary_folder(paths: Paths) -> Check:
    name = "temporary folder"
    repair = (
        "Name one in TMPDIR, or make room there; in a read-only container mount an emptyDir or a tmpfs at /tmp, in a "
        "unit set PrivateTmp=yes."
    )
    try:
        folder = systems_folder()
        with tempfile.NamedTemporaryFile(dir=folder, prefix="kubiya-doctor-") as probe:
            probe.write(b"ok")
            probe.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return fail(
            name,
            f"No folder for temporary files can be written, or they are full ({error.strerror or error}).",
            repair,
        )
    if folder in {str(paths.temporary), str(nearest_existing(paths.state))}:
        return warn(
            name, f"The system has none that can be written, or they are full: {paths.temporary} is used.", repair
        )
    if free < TEMPORARY_WARN_BYTES:
        return warn(name, f"{folder} has {size(free)} left.", "Free some space there, or name another one in TMPDIR.")
    return ok(name, f"{folder} can be written, and has {size(free)} left.")


async def logs(paths: Paths) -> Check:
    return await asyncio.to_thread(_logs, paths)


def _logs(paths: Paths) -> Check:
    file = paths.worker_log
    repair = f"Repair its owner and permissions: chown -R $(id -u) {file.parent}"
    try:
        if file.exists():
            with file.open("ab"):
                pass
            kept = sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))
            return ok("logs", f"{file} can be written; it and the older ones hold {size(kept)}.")
        nearest = nearest_existing(file.parent)
        if not os.access(nearest, os.W_OK | os.X_OK):
            return fail("logs", f"{file} cannot be made: {nearest} cannot be written.", repair)
    except OSError as error:
        return fail("logs", f"{file} cannot be written ({error.strerror or error}).", repair)
    return ok("logs", f"{file} can be made.")


async def control_socket(paths: Paths) -> Check:
    return await asyncio.to_thread(_control_socket, paths)


def _control_socket(paths: Paths) -> Check:
    """A socket is made and removed in a folder of its own: where there is no runtime folder yet, none is left."""
    name = "control socket"
    if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
        return skip(name, "Here it is a port of this machine alone, with a password.")
    folder = nearest_existing(paths.runtime)
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail(
            name,
            f"{paths.runtime} cannot be written: `status`, `stop`, `pause` and `approvals` would find no worker.",
            "Repair its owner and permissions, or name another folder in KUBIYA_WORKER_HOME.",
        )
    try:
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".d") as probe,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one,
        ):
            one.bind(os.path.relpath(Path(probe, "s")))
    except OSError as error:
        return fail(
            name,
            f"{folder} takes no sockets ({error.strerror or error}), as some network and shared folders do not.",
            "Name a folder on a local disk in KUBIYA_WORKER_HOME.",
        )
    return ok(name, f"One can be made in {paths.runtime}.")
