"""The command line `kubiya-worker`: one file per command, each imported only when it is used."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
from typing import Any, NoReturn

from worker_core import bundle
from worker_core.basics import streams


def main() -> NoReturn:
    """Run the command that the arguments name, and end the process with its exit code."""
    streams.give()
    with contextlib.suppress(Exception):  # stderr may be no file
        faulthandler.enable()
    bundle.restore_environment()
    for stream in (sys.stdout, sys.stderr):
        make_writable(stream)
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr] # repaired where it is read
    from worker_core.cli.root import command, unwritable

    code = 0
    try:
        command.main(prog_name="kubiya-worker")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except OSError as error:  # of what is printed before a command is known: --help, --version
        if not unwritable(error):
            raise
        code = 1
    leave(code)


def make_writable(stream: Any, *, platform: str = sys.platform) -> None:
    """Let a stream take every character.

    Into a pipe or a file, Python writes the ANSI code page on Windows, which lacks the marks of what passed and what
    failed; a console takes everything (Python's documentation of `sys.stdout`). PYTHONIOENCODING is followed.
    """
    with contextlib.suppress(AttributeError, ValueError, OSError):
        stream.reconfigure(errors="replace")
        if platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
            stream.reconfigure(encoding="utf-8")


def leave(code: int) -> NoReturn:
    """Flush what was printed, and go."""
    streams.end()
    # Threads that go on crash the interpreter now and then while it finalises: the SDK's, and the keychain's, in a
    # library that is not Python's, where it was not waited for.
    if "temporalio" in sys.modules or any(one.daemon for one in threading.enumerate()):
        os._exit(code)
    sys.exit(code)
