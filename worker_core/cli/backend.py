"""The playground's backend for a command: with the user's key for a gateway, and with what its user must know said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker_core.cli.situation import hide_keys
from worker_core.cli.terminal import say
from worker_core.playground.server import Playground
from worker_core.playground.stage import Backend, Stage, gateway_key, stage


@contextmanager
def backend(
    *, data_dir: Path, port: int, llm_url: str | None, model: str | None, only_user: bool, discover: bool = True
) -> Iterator[Backend]:
    """One that runs; it is gone behind the block. Arguments as those of `Playground`.

    Raises:
        KubiyaError: it did not start.
    """
    made = Backend(
        Playground(
            data_dir=data_dir,
            port=port,
            llm_url=llm_url,
            llm_api_key=gateway_key(),
            model=model,
            discover_models=discover,
            only_user=only_user,
        ),
        folder=data_dir,
    )
    try:
        info = made.start()
        hide_keys()
        if info.warning:
            say(info.warning, err=True)
        yield made
    finally:
        made.stop()


@contextmanager
def backend_and_worker(
    *, data_dir: Path, port: int, llm_url: str | None, model: str | None, only_user: bool, discover: bool = True
) -> Iterator[Stage]:
    """The same, and a worker that polls its queue.

    Raises:
        KubiyaError: one of them did not start.
    """
    with (
        backend(
            data_dir=data_dir, port=port, llm_url=llm_url, model=model, only_user=only_user, discover=discover
        ) as started,
        stage(started, log_file=started.worker_paths.worker_log) as running,
    ):
        yield running
