"""`kubiya-worker start`: a worker in the foreground."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

import click

from worker_core.basics.durations import read_duration
from worker_core.cli.root import Examples
from worker_core.cli.situation import control_plane_options


class _Time(click.ParamType[timedelta]):
    """Seconds, or a text such as `5 min`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            span = read_duration(value)
        except ValueError as error:
            self.fail(f"{value!r}; {error}.", param, ctx)
        if span <= timedelta(0):
            self.fail(f"{value!r}; it must be more than 0.", param, ctx)
        return span


_TIME = _Time()


@click.command(
    cls=Examples,
    help="""Serve worker queues in the foreground, with live logs on stderr.

    The API key comes from KUBIYA_API_KEY, else from the keychain, where `login` puts it. On stdout stands one line
    per queue, once it is polled:

    \b
        ready  queue=NAME (ID)  worker=ID

    The first Ctrl-C or SIGTERM lets running turns end, the second cancels them, the third leaves at once.""",
    examples=(
        "kubiya-worker start --queue-id 6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d",
        "kubiya-worker start --queue-id A,B --queue-id C --max-executions 4",
        "kubiya-worker start --queue-id A --single-execution",
        "kubiya-worker start --queue-id A --fail-fast --log-format json",
    ),
)
@click.option("--queue-id", "queue_ids", multiple=True, metavar="ID...", help="Queues to serve (QUEUE_ID).")
@control_plane_options
@click.option("--heartbeat-interval", type=_TIME, metavar="TIME", help="Default: what the server says, else 30.")
@click.option("--max-executions", type=click.IntRange(min=1), metavar="N", help="In mid-turn at once (by memory).")
@click.option("--max-activities", type=click.IntRange(min=1), metavar="N", help="Model and tool calls, per queue.")
@click.option("--drain-timeout", type=_TIME, metavar="TIME", help="Limit of the first stop (5 min).")
@click.option("--temporal-tls", type=click.Choice(["auto", "on", "off"]), help="TLS with Temporal (auto).")
@click.option("--model", "model_override", metavar="NAME", help="For all executions, whatever they name.")
@click.option("--single-execution", is_flag=True, default=None, help="Leave after one execution (SINGLE_EXECUTION).")
@click.option("--fail-fast", is_flag=True, default=None, help="Leave instead of retrying for ever.")
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    help="What is logged (INFO).",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of stderr and stdout (text).")
def command(*, queue_ids: tuple[str, ...], log_format: str, **flags: Any) -> NoReturn:
    import asyncio

    from worker_core.cli import leave, situation
    from worker_core.cli.foreground import Foreground

    ids = tuple(one.strip() for given in queue_ids for one in given.split(",") if one.strip())
    settings = situation.load_settings({"queue_ids": ids, **flags})

    async def run() -> NoReturn:
        key = await situation.take_api_key(settings)
        foreground = Foreground(
            settings=settings, api_key=key, paths=situation.paths(), style="json" if log_format == "json" else "text"
        )
        # The loop is not tidied up once a worker has run: the SDK may hold on to tasks that it was left with.
        leave(await foreground.run())

    asyncio.run(run())
    raise AssertionError("a worker that has run leaves by itself")
