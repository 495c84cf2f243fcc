"""`kubiya-worker queues`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from worker_core.cli.root import Examples
from worker_core.cli.setting_options import CONTROL_PLANE, setting_options
from worker_core.cli.situation import json_option
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.control_plane.models import Queue


@click.command(
    cls=Examples,
    help="List the worker queues of your organization.",
    examples=("kubiya-worker queues", "kubiya-worker queues --json | jq -r '.queues[].id'"),
)
@setting_options(*CONTROL_PLANE)
@json_option
def command(*, as_json: bool, **flags: Any) -> None:
    import asyncio

    from worker_core.cli import screen
    from worker_core.cli.situation import connected, load_settings

    settings = load_settings(flags)

    async def ask() -> list[Queue]:
        async with connected(settings) as client:
            return await client.list_queues()

    queues = sorted(asyncio.run(ask()), key=lambda queue: (queue.environment_name, queue.name))
    if as_json:
        screen.say_json(
            {
                "queues": [
                    {
                        "id": queue.id,
                        "name": queue.name,
                        "environment": queue.environment_name,
                        "status": queue.status,
                        "active_workers": queue.active_workers,
                        "max_workers": queue.max_workers,
                        "heartbeat_interval": queue.heartbeat_interval,
                    }
                    for queue in queues
                ]
            }
        )
        return
    if not queues:
        say("This organization has no worker queue yet. Make one on the control plane, in an environment.")
        return
    rows: list[list[screen.Cell]] = [
        [
            queue.id,
            queue.display_name or queue.name,
            queue.environment_name or "-",
            screen.text(queue.status or "-", "good" if queue.status == "active" else "careful"),
            str(queue.active_workers),
        ]
        for queue in queues
    ]
    screen.table(screen.console(), ("ID", "NAME", "ENVIRONMENT", "STATUS", "WORKERS"), rows)
