"""`kubiya-worker start`: a worker in the foreground, or a daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from worker_core.cli.root import Examples
from worker_core.cli.setting_options import as_arguments, queue_ids_in, setting_options
from worker_core.cli.situation import json_option

if TYPE_CHECKING:
    from worker_core.settings import Settings


@click.command(
    cls=Examples,
    help="""Serve worker queues in the foreground, with live logs on stderr; or as a daemon.

    The API key comes from KUBIYA_API_KEY or from a file, else from the keychain, where `login` puts it. On stdout
    stands one line per queue, once it is polled:

    \b
        ready  queue=NAME (ID)  worker=ID

    The first Ctrl-C or SIGTERM lets running turns end, the second cancels them, the third leaves at once. SIGHUP is a
    stop too where the worker has a terminal, which hangs up so; without one, as in a service or a container, it reads
    the settings again, as `kubiya-worker reload` does anywhere.

    With --daemon the command returns once the worker serves its queues, or with the error that kept it from it. The
    daemon starts it again where it crashes or hangs; `status`, `logs` and `stop` find it.""",
    examples=(
        "kubiya-worker start --queue-id 6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d",
        "kubiya-worker start --queue-id A,B --queue-id C --max-executions 4",
        "kubiya-worker start --queue-id A --api-key-file /run/secrets/kubiya-api-key",
        "kubiya-worker start --queue-id A --single-execution",
        "kubiya-worker start --queue-id A --daemon",
        "kubiya-worker start --queue-id B --daemon --name build-7",
        "kubiya-worker start --queue-id A --fail-fast --log-format json",
    ),
)
@setting_options()
@click.option("--daemon", is_flag=True, help="In the background: started again where it crashes or hangs.")
@click.option("--name", default="", metavar="NAME", help="What to call it, where several run (of a daemon: worker).")
@click.option("--supervised", is_flag=True, hidden=True)
@json_option
def command(
    *, queue_ids: tuple[str, ...], daemon: bool, name: str, supervised: bool, as_json: bool, **flags: Any
) -> int:
    from worker_core.cli import leave, situation
    from worker_core.daemon.names import DEFAULT_NAME, check_name

    if name:
        check_name(name)
    if as_json and not daemon:
        raise click.UsageError("--json is for --daemon; a worker in the foreground has --log-format json.")
    if supervised:
        from worker_core.daemon import life_line

        life_line.take_keys()
    given = {"queue_ids": queue_ids_in(queue_ids), **flags}
    settings, source = situation.settings_with_source(given)
    if daemon:
        return _launch(name or DEFAULT_NAME, given, settings, as_json=as_json)

    import asyncio

    from worker_core.basics import collector
    from worker_core.basics.allocator import keep_little

    keep_little()
    with collector.resting():
        from worker_core.cli.foreground import Foreground
    collector.let_stand()

    async def run() -> NoReturn:
        key = await situation.take_api_key(settings)
        foreground = Foreground(
            settings=settings,
            api_key=key,
            paths=situation.paths(),
            source=source,
            name=name,
            supervised=supervised,
        )
        # The loop is not tidied up once a worker has run: the SDK may hold on to tasks that it was left with.
        leave(await foreground.run())

    asyncio.run(run())
    raise AssertionError("a worker that has run leaves by itself")


def _launch(name: str, given: Mapping[str, Any], settings: Settings, *, as_json: bool) -> int:
    from worker_core.cli import situation
    from worker_core.cli.terminal import say
    from worker_core.daemon.launch import launch

    up = launch(name=name, arguments=as_arguments(given), settings=settings, paths=situation.paths())
    if as_json:
        from worker_core.cli.screen import say_json

        say_json(
            {
                "name": up.name,
                "pid": up.pid,
                "worker_pid": up.worker.pid,
                "state": up.worker.state.value,
                "reason": up.worker.reason,
                "log_file": str(up.log_file),
            }
        )
    else:
        say(f"{up.worker.state.value}  {up.worker.reason}  daemon={up.name}  pid={up.worker.pid}  log={up.log_file}")
    return up.worker.exit_code
