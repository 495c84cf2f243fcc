"""`kubiya-worker playground`."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from worker_core.cli.root import Examples, ExamplesGroup
from worker_core.cli.situation import json_option, paths
from worker_core.cli.terminal import say


def _options(command: Any) -> Any:
    for option in (
        click.option("--model", metavar="NAME", help="The demo agent's model (the gateway's first)."),
        click.option("--llm-url", metavar="URL", help="OpenAI-compatible gateway; key from LITELLM_API_KEY."),
        # Whole: programs in the sandbox begin in folders of their own.
        click.option(
            "--data-dir",
            type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
            help="Where it keeps its data.",
        ),
        click.option("--only-user", is_flag=True, help="Nobody else uses this machine: SECURITY.md, Playground."),
        click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the control plane (a free one)."),
    ):
        command = option(command)
    return command


@click.group(
    cls=ExamplesGroup,
    invoke_without_command=True,
    help="""Try everything on this machine, without an account.

    It starts a small control plane, a real Temporal dev server and a worker, and asks for prompts. Its model is the
    one of --llm-url, else a local Ollama or LM Studio, else a scripted one that says so.

    With --demo it runs one agent task with tools, prints its live stream and a summary, and leaves nothing running.""",
    examples=(
        "kubiya-worker playground --demo",
        "kubiya-worker playground",
        "kubiya-worker playground --llm-url https://api.openai.com/v1 --model gpt-5-mini",
        "kubiya-worker playground serve --json",
    ),
)
@click.option("--demo", is_flag=True, help="One agent task, and out.")
@_options
@click.pass_context
def command(ctx: click.Context, /, *, demo: bool, **options: Any) -> int | None:
    if ctx.invoked_subcommand is not None:
        given = [name for name, value in options.items() if value not in {None, 0}]
        if demo or given:
            raise click.UsageError("Options of `serve` stand behind it: kubiya-worker playground serve --port 8080")
        return None
    _need_extra()
    _have_temporary()
    if sys.stdin.isatty() or demo:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does: in good order
    if demo:
        from worker_core.cli.demo import demonstrate

        return demonstrate(**options)
    if sys.stdin.isatty():
        from worker_core.cli.playroom import play

        return play(**{**options, "data_dir": options["data_dir"] or paths().playground})
    from worker_core.cli.playroom import serve_with_worker

    return serve_with_worker(**{**options, "data_dir": options["data_dir"] or paths().playground})


@command.command(
    cls=Examples,
    short_help="Start the backend alone.",
    help="Start the backend alone, say where it is, and go on until a signal ends it. Its data stays.",
    examples=(
        "kubiya-worker playground serve",
        "kubiya-worker playground serve --json --port 8080",
    ),
)
@_options
@json_option
def serve(*, as_json: bool, data_dir: Path | None, **options: Any) -> None:
    _need_extra()
    _have_temporary()
    import asyncio

    from worker_core.playground import command as backend

    asyncio.run(backend.serve(data_dir=data_dir or paths().playground, json=as_json, **options))


def _have_temporary() -> None:
    if said := paths().have_temporary():
        say(said, err=True)


def _need_extra() -> None:
    """Raise a ConfigurationError unless the playground's packages are installed."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        from worker_core.errors import ConfigurationError

        raise ConfigurationError(
            f"The playground's packages are not installed ({', '.join(missing)} is missing). Install them: "
            "pip install 'kubiya-worker[playground]'"
        )
