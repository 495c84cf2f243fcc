"""Runs a hook's program: as the owner, outside the sandbox, without a key, within its time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from worker_core.basics.command_line import command_words
from worker_core.basics.durations import duration_as_typed
from worker_core.basics.plain import one_line
from worker_core.hooks.occasion import HookFailed, Told
from worker_core.sandbox.call import ProcessResult, run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command

log = logging.getLogger(__name__)

OUTPUT_KEPT_BYTES: Final = 16_384
LONGEST_LINE: Final = 500


async def run_program(line: str, told: Told, *, folder: Path, limit: timedelta, mask: Callable[[str], str]) -> str:
    """Run it to its end; what it prints goes to the log, and is the result: its beginning and its end, if it is long.

    Args:
        line: the program and its arguments, as the settings have it.
        told: becomes its environment, besides what every tool inherits.
        folder: where it starts: never a workspace, whose files are an agent's.
        limit: then its tree is ended.
        mask: of what it prints.

    Raises:
        HookFailed: the sentence says why.
    """
    words = command_words(line)
    what = f"The hook {told.occasion} ({one_line(words[0], 200)})"
    environment = {**tool_environment({}, call_mark=f"hook_{told.occasion}"), **told.environment()}
    command = Command(argv=words, cwd=folder, environment=environment)
    try:
        result = await run_process(command, timeout=limit, output_limit_bytes=OUTPUT_KEPT_BYTES)
    except OSError as error:
        raise HookFailed(f"{what} could not be started ({error.strerror or error}). Look at the setting.") from error
    try:
        printed = _printed(result)
        _log_output(told, mask(printed))
    finally:
        result.output.close()
    if result.timed_out:
        raise HookFailed(f"{what} did not end within {duration_as_typed(limit)} (hook_timeout), and was ended.")
    if result.too_much_output:
        raise HookFailed(f"{what} printed too much, and was ended.")
    if result.exit_code != 0:
        raise HookFailed(f"{what} ended with exit code {result.exit_code}; the log has what it printed.")
    return printed


def _printed(result: ProcessResult) -> str:
    head, tail = result.output.ends()
    return head.decode("utf-8", "replace") + ("\n[…]\n" if tail else "") + tail.decode("utf-8", "replace")


def _log_output(told: Told, text: str) -> None:
    for line in text.splitlines():
        if line.strip():
            log.info("Hook %s: %s", told.occasion, one_line(line, LONGEST_LINE))
