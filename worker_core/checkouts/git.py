"""Git, at two places that must not be mixed up: in the owner's repository, and in a copy that an agent can write.

A repository's own configuration can name programs (hooks, filters, monitors). The owner's is his; that of a copy is
whatever its agent has made of it, so git reads it in the sandbox alone, where the agent's tools are.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from worker_core.basics.console import window_flags
from worker_core.basics.sentences import worded
from worker_core.checkouts.record import CheckoutError
from worker_core.network.reachable import Network
from worker_core.sandbox.call import run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Launcher

LIMIT: Final = timedelta(minutes=10)
_OUTPUT_BYTES: Final = 4 << 20
_QUIET: Final = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "core.safecrlf=false",
)
"""Nothing of a repository's own runs beside what was asked for."""


def at_owners(folder: Path, *words: str, hooks: bool = False, environment: Mapping[str, str] | None = None) -> str:
    """Run git in a folder of the owner's, outside of the sandbox; what it printed. Blocks.

    Args:
        folder: where.
        words: behind `git`.
        hooks: the owner's own hooks run, as when he types it.
        environment: more variables.

    Raises:
        CheckoutError: git is not installed, or failed; its last line is in the sentence.
    """
    command = ["git", *(() if hooks else _QUIET), *words]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**tool_environment({}, call_mark="checkout"), "GIT_TERMINAL_PROMPT": "0", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT.total_seconds(),
            check=False,
            creationflags=window_flags(),
        )
    except FileNotFoundError as error:
        raise CheckoutError(
            worded(
                "git is not installed on this machine, and a working copy is made with it. Install it, or take the "
                "folder out of [folders]."
            )
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        said = worded(
            "git {command} did not end in {folder}: {why}.", command=words[0], folder=str(folder), why=str(error)
        )
        raise CheckoutError(said) from error
    if done.returncode:
        why = _last_line(done.stderr or done.stdout)
        raise CheckoutError(
            worded("git {command} failed in {folder}: {why}.", command=words[0], folder=str(folder), why=why)
        )
    return done.stdout.decode("utf-8", "replace").strip()


async def in_sandbox(
    launcher: Launcher, workspace: Path, words: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> str:
    """Run git in an agent's copy, in the sandbox of its tools, without a network; what it printed.

    Raises:
        CheckoutError: it failed, or nothing may be started.
    """
    command = Command(
        argv=["git", *_QUIET, *words],
        cwd=workspace,
        environment={**tool_environment({}, call_mark="checkout"), **(environment or {})},
        workspace=workspace,
    )
    try:
        wrapped = await asyncio.to_thread(launcher.wrap, command, workspace=workspace, network=Network.OFF)
        result = await run_process(wrapped, timeout=LIMIT, output_limit_bytes=_OUTPUT_BYTES)
    except OSError as error:
        why = str(error.strerror or error)
        raise CheckoutError(worded("git cannot be started in the sandbox: {why}.", why=why)) from error
    printed = await asyncio.to_thread(lambda: b"".join(result.output.pieces()))
    result.output.close()
    if result.too_much_output:
        raise CheckoutError(
            worded("git {command} has more to say of the working copy than can be read.", command=words[0])
        )
    if result.exceeded or result.timed_out or result.exit_code:
        why = result.exceeded or (worded("it did not end in time") if result.timed_out else _last_line(printed))
        raise CheckoutError(worded("git {command} failed in the working copy: {why}.", command=words[0], why=why))
    return printed.decode("utf-8", "replace").strip("\n")


def _last_line(printed: bytes) -> str:
    lines = printed.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300].rstrip(".") if lines else worded("it said nothing")
