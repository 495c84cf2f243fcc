"""The group of all commands, their overview, and what every error ends as."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from worker_core import __version__
from worker_core.basics import collector, streams
from worker_core.errors import ExitCode, KubiyaError


class CommandEntry(NamedTuple):
    """A command in the overview. Its module holds it under the name `command`."""

    module: str
    summary: str


SECTIONS: Final[Mapping[str, Mapping[str, CommandEntry]]] = {
    "Work": {
        "start": CommandEntry("start", "Serve worker queues, with live logs, until stopped."),
        "execute": CommandEntry("execute", "Submit a prompt to an agent and follow its stream."),
        "queues": CommandEntry("queues", "List the worker queues that your key can use."),
        "playground": CommandEntry("playground", "Try everything on this machine, without an account."),
    },
    "Running workers of yours on this machine": {
        "status": CommandEntry("status", "Show what they do."),
        "logs": CommandEntry("logs", "Show their log lines."),
        "pause": CommandEntry("pause", "Take no new executions; what runs goes on."),
        "resume": CommandEntry("resume", "Take executions again."),
        "reload": CommandEntry("reload", "Let them read their settings again."),
        "stop": CommandEntry("stop", "Let them leave: running turns end first."),
        "executions": CommandEntry("executions", "List the executions that live on them."),
        "approvals": CommandEntry("approvals", "Show and answer tool calls that wait for you."),
        "artefacts": CommandEntry("artefacts", "List and copy out the files that they left."),
        "changes": CommandEntry("changes", "Show, merge or discard what they changed in copies of your repositories."),
    },
    "This machine": {
        "login": CommandEntry("login", "Store your API key in the keychain."),
        "logout": CommandEntry("logout", "Take it out of the keychain."),
        "config": CommandEntry("config", "Show the settings with their origins, and check their file."),
        "usage": CommandEntry("usage", "Show what executions took, by day, agent or queue."),
        "policy": CommandEntry("policy", "Show, check and audit what agents may do here."),
        "service": CommandEntry("service", "Install and steer a worker that starts by itself."),
        "doctor": CommandEntry("doctor", "Check what a worker needs, and say how to repair it."),
        "data": CommandEntry("data", "Show which versions can use what is kept here, and lead it back."),
        "purge": CommandEntry("purge", "Remove everything that the worker keeps here."),
    },
}

HIDDEN: Final[Mapping[str, str]] = {"record-output": "record_output"}
"""Commands for programs of ours, and their modules."""

EXIT_CODES: Final = (
    (0, "done"),
    (1, "an unexpected error; the log has the details"),
    (2, "wrong usage"),
    (3, "something is not configured, or no worker runs"),
    (4, "the API key was refused"),
    (5, "the queue does not exist, is not yours, or takes no workers"),
    (6, "the control plane or Temporal cannot be reached"),
    (7, "the execution failed; `playground --demo`: a tool call in it did"),
    (8, "running work was cancelled"),
    (9, "in single-execution mode, none came or nobody answered it"),
    (10, "`policy check`: it would be asked for"),
    (11, "`policy check`: it is denied; `policy audit`: broken"),
    (12, "another version was installed: to be started again"),
    (130, "left at once"),
)


class LazyGroup(click.Group):
    """Knows its commands by name, and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name for entries in SECTIONS.values() for name in entries]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        modules = {name: entry.module for entries in SECTIONS.values() for name, entry in entries.items()}
        module = modules.get(cmd_name) or HIDDEN.get(cmd_name)
        if module is None:
            return None
        with collector.resting():
            found = import_module(f"worker_core.cli.{module}").command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        # click would import every command for its one line.
        wide = max(len(name) for entries in SECTIONS.values() for name in entries)
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(wide), entry.summary) for name, entry in entries.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Exit codes"):
            formatter.write_dl([(f"{code:>3}", meaning) for code, meaning in EXIT_CODES])
        formatter.write_paragraph()
        formatter.write_text("`kubiya-worker COMMAND --help` explains each command with examples.")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its return value is the exit code, and errors become sentences."""
        try:
            code = super().invoke(ctx)
        except KubiyaError as error:
            if _debug(ctx):
                raise
            complain(error.sentence)
            ctx.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo(err=True)
            ctx.exit(130)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if _debug(ctx) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
                raise
            if unwritable(error):
                ctx.exit(1)
            from worker_core.cli.system_refusal import refusal

            if (sentence := refusal(error)) is not None:
                complain(sentence)
                ctx.exit(ExitCode.NOT_CONFIGURED)
            complain(_unexpected(error))
            ctx.exit(1)
        ctx.exit(code if isinstance(code, int) else 0)


def complain(sentence: str) -> None:
    """One sentence on stderr."""
    from worker_core.cli.terminal import say
    from worker_core.logs.sinks import wants_colour

    word = "\x1b[1;31merror:\x1b[0m" if wants_colour(sys.stderr) else "error:"
    say(sentence, err=True, styled=f"{word} ")


def unwritable(error: Exception) -> bool:
    """Whether an error is that of printing; if so, it is said, as far as it can be."""
    if not isinstance(error, OSError) or not streams.failed(error):
        return False
    if error.errno != errno.EPIPE:
        with contextlib.suppress(OSError):
            complain(f"What this command prints cannot be written ({error.strerror}).")
    return True


def _debug(ctx: click.Context) -> bool:
    return bool(ctx.params.get("debug")) or os.environ.get("KUBIYA_DEBUG", "") not in {"", "0"}


def _unexpected(error: Exception) -> str:
    """Keep the traceback in the log file, and say where it is."""
    from worker_core.cli.situation import keep_traceback

    kind = type(error).__name__
    file = keep_traceback(error)
    where = f"The details are in {file}." if file else "Run it again with --debug for the details."
    return f"Something unexpected went wrong ({kind}). {where}"


class Examples(click.Command):
    """A command whose examples stand at the end of its help, one a line, as they are typed."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class ExamplesGroup(Examples, click.Group):
    """A group of commands with examples of them all."""


def _self_test(ctx: click.Context) -> None:
    from worker_core.checks.self_test import CHECKS, run

    ctx.exit(run({**CHECKS, "commands": lambda: _loaded(ctx)}, as_json="--json" in sys.argv))


def _loaded(ctx: click.Context) -> str:
    """Every command, with all that it imports at its start."""
    names = command.list_commands(ctx)
    for name in (*names, *HIDDEN):
        command.get_command(ctx, name)
    return ", ".join(names)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="A self-hosted Kubiya worker: executes AI-agent workflows on your own machine.",
)
@click.option("--json", "as_json", is_flag=True, hidden=True, is_eager=True, help="With --self-test: as JSON.")
@click.option(
    "--self-test",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _, wanted: _self_test(ctx) if wanted else None,
    help="Check what the program needs, and say what is missing.",
)
@click.version_option(__version__, "-V", "--version", message="kubiya-worker %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors (also: KUBIYA_DEBUG=1).")
def command(**_: object) -> None:
    pass
