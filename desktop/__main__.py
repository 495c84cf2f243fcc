"""`kubiya-worker-desktop`: what must happen before anything else is imported, and errors that people can read."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from desktop.shell import qt_import
from desktop.shell.display import EXIT_CODE, MISSING, is_missing, leave, unusable
from worker_core import bundle
from worker_core.basics import collector, streams


def main() -> NoReturn:
    """Run what the arguments name, and end the process with its exit code."""
    bundle.restore_environment()
    streams.give()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = parser().parse_args()
    leave(_run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    if arguments.self_test:
        from desktop.shell.self_test import self_test

        return self_test(as_json=arguments.json)
    if arguments.has_login_entry or arguments.remove_login_entry:
        return _login_entry(remove=arguments.remove_login_entry)
    if arguments.quit:
        return _quit()
    if is_missing(os.environ):
        print(MISSING, file=sys.stderr)  # noqa: T201
        return EXIT_CODE
    os.environ["QT_API"] = "pyside6"
    try:
        qt_import.import_qt()
        with collector.resting():
            from desktop.shell import app

            collector.let_stand()
    except ImportError as error:
        if not str(error.name or error).startswith(("PySide6", "shiboken6", "qasync", "lib")):
            raise
        print(unusable(str(error)), file=sys.stderr)  # noqa: T201
        return EXIT_CODE
    from worker_core.errors import KubiyaError

    try:
        return app.run(
            app.Options(
                at_login=arguments.at_login,
                playground=arguments.playground,
                demo=arguments.demo,
                data_dir=arguments.data_dir,
                ask=arguments.ask,
            )
        )
    except KubiyaError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201
        return int(error.exit_code)


def _quit() -> int:
    """Let the tray that runs leave, as its menu does; 0 once it has, 3 where none runs."""
    from desktop.shell.single_instance import SingleInstance
    from worker_core.paths import Paths

    if SingleInstance(Paths.from_environment().runtime).let_first_leave():
        return 0
    print("No tray of yours runs on this machine.", file=sys.stderr)  # noqa: T201
    return 3


def _login_entry(*, remove: bool) -> int:
    """0: there is one, and with `remove` it is gone now; 1: there is none, or it stays."""
    from desktop.system.platforms import platform

    entry = platform().autostart
    try:
        if entry is None or entry.configured() is None:
            return 1
        if remove:
            entry.remove()
    except OSError as error:
        print(f"The entry that starts this program at login cannot be used: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubiya-worker-desktop", description="Kubiya Worker in the tray. A second start shows the first one."
    )
    from worker_core import __version__

    parser.add_argument("--version", action="version", version=f"kubiya-worker-desktop {__version__}")
    parser.add_argument(
        "--self-test", action="store_true", help="check what the program needs, and say what is missing"
    )
    parser.add_argument("--json", action="store_true", help="with --self-test: as JSON")
    parser.add_argument("--playground", action="store_true", help="try everything on this machine, without an account")
    parser.add_argument("--demo", action="store_true", help="the playground, with one agent task under way")
    parser.add_argument("--data-dir", type=Path, metavar="FOLDER", help="where the playground keeps its data")
    parser.add_argument("--ask", action="store_true", help="ask for a new task; in the tray that runs, where one does")
    parser.add_argument("--quit", action="store_true", help="let the tray that runs leave; running turns end first")
    for option in ("--has-login-entry", "--remove-login-entry"):  # for `kubiya-worker purge`
        parser.add_argument(option, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--at-login", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
