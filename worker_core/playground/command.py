"""`kubiya-worker playground serve`: the backend alone, until a signal ends it."""

from __future__ import annotations

import asyncio
import json as json_text
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from worker_core.basics.plain import plain
from worker_core.playground.server import Playground, PlaygroundInfo
from worker_core.playground.stage import gateway_key


async def serve(
    *,
    data_dir: Path,
    port: int = 0,
    llm_url: str | None = None,
    model: str | None = None,
    only_user: bool = False,
    json: bool = False,
    temporal_port: int = 0,
    out: TextIO | None = None,
) -> None:
    """Start the playground, say where it is, wait for SIGINT or SIGTERM, and stop it.

    The caller ends the process with `os._exit` (temporalio may crash at interpreter exit).

    Args:
        data_dir: where the playground keeps everything.
        port: of the control plane; 0 takes a free one. Likewise `temporal_port`.
        temporal_port: of Temporal's gRPC face.
        llm_url: OpenAI-compatible base URL; its key is read from LITELLM_API_KEY, else OPENAI_API_KEY.
        model: the demo agent's model; by default the gateway's first.
        only_user: nobody else uses this machine: see `Playground`.
        json: print one line of JSON instead of text for people.
        out: where to print; stdout by default.

    Raises:
        KubiyaError: it did not start; nothing is left running.
    """
    stream = out or sys.stdout
    playground = Playground(
        data_dir=data_dir,
        port=port,
        llm_url=llm_url,
        llm_api_key=gateway_key(),
        model=model,
        temporal_port=temporal_port,
        only_user=only_user,
    )
    with _stop_signals() as stop:
        starting = asyncio.create_task(playground.start())
        waiting = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                info = starting.result()
                if info.warning:
                    sys.stderr.write(f"{plain(info.warning)}\n")
                print(json_text.dumps(info.public()) if json else plain(_text(info)), file=stream, flush=True)
                await waiting
        finally:
            waiting.cancel()
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await playground.stop()


def _text(info: PlaygroundInfo) -> str:
    return (
        f"The playground is ready.\n"
        f"  control plane  {info.control_plane_url}\n"
        f"  Temporal       {info.temporal_host}\n"
        f"  model          {info.llm_name} at {info.llm_url}\n"
        f"  queue          {info.queue_id}\n"
        f"  agent          {info.agent_id} (demo-agent)\n"
        f"Start a worker in another terminal:\n"
        f"  export CONTROL_PLANE_URL={info.control_plane_url} KUBIYA_API_KEY={info.api_key}\n"
        f"  kubiya-worker start --queue-id {info.queue_id}\n"
        f"Ctrl-C stops the playground; its data stays."
    )


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set. `signal.signal` works on every OS, loop and thread that may use it."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def ask(number: int, frame: object) -> None:  # noqa: ARG001 - the signature of signal handlers
        loop.call_soon_threadsafe(event.set)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
