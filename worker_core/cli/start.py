"""`kubiya-worker start`: a worker in the foreground."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from worker_core.cli.root import Examples
from worker_core.cli.setting_options import setting_options


@click.command(
    cls=Examples,
    help="""Serve worker queues in the foreground, with live logs on stderr.

    The API key comes from KUBIYA_API_KEY or from a file, else from the keychain, where `login` puts it. On stdout
    stands one line per queue, once it is polled:

    \b
        ready  queue=NAME (ID)  worker=ID

    The first Ctrl-C or SIGTERM lets running turns end, the second cancels them, the third leaves at once. SIGHUP is a
    stop too where the worker has a terminal, which hangs up so; without one, as in a service or a container, it reads
    the settings again, as `kubiya-worker reload` does anywhere.""",
    examples=(
        "kubiya-worker start --queue-id 6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d",
        "kubiya-worker start --queue-id A,B --queue-id C --max-executions 4",
        "kubiya-worker start --queue-id A --api-key-file /run/secrets/kubiya-api-key",
        "kubiya-worker start --queue-id A --single-execution",
        "kubiya-worker start --queue-id A --fail-fast --log-format json",
    ),
)
@setting_options()
def command(*, queue_ids: tuple[str, ...], **flags: Any) -> NoReturn:
    import asyncio

    from worker_core.basics.allocator import keep_little
    from worker_core.cli import leave, situation

    keep_little()
    from worker_core.cli.foreground import Foreground

    ids = tuple(one.strip() for given in queue_ids for one in given.split(",") if one.strip())
    settings, source = situation.settings_with_source({"queue_ids": ids, **flags})

    async def run() -> NoReturn:
        key = await situation.take_api_key(settings)
        foreground = Foreground(settings=settings, api_key=key, paths=situation.paths(), source=source)
        # The loop is not tidied up once a worker has run: the SDK may hold on to tasks that it was left with.
        leave(await foreground.run())

    asyncio.run(run())
    raise AssertionError("a worker that has run leaves by itself")
