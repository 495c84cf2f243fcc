"""The command line `kubiya-worker`: one file per command, each imported only when it is used."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from typing import NoReturn

from worker_core import bundle


def main() -> NoReturn:
    """Run the command that the arguments name, and end the process with its exit code."""
    with contextlib.suppress(Exception):  # there may be no stderr to write to
        faulthandler.enable()
    bundle.restore_environment()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr] # repaired where it is read
    from worker_core.cli.root import command

    code = 0
    try:
        command.main(prog_name="kubiya-worker")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    leave(code)


def leave(code: int) -> NoReturn:
    """Flush what was printed, and go."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()
    if "temporalio" in sys.modules:
        os._exit(code)  # the SDK's threads crash the interpreter now and then while it finalises
    sys.exit(code)
