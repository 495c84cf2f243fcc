"""A playground and a worker, both in threads of their own, for commands that talk to their user meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker_core.cli.loop_thread import LoopThread
from worker_core.cli.situation import hide_keys, log_file
from worker_core.cli.terminal import say
from worker_core.errors import KubiyaError
from worker_core.paths import Paths
from worker_core.playground.server import Playground, PlaygroundInfo
from worker_core.secrets import Secret, read_key
from worker_core.settings import Settings, load

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.engine.engine import Engine

START_LIMIT: Final = timedelta(seconds=60)
STOP_LIMIT: Final = timedelta(seconds=30)
ASK_LIMIT: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A playground that runs in its thread."""

    info: PlaygroundInfo
    playground: Playground
    thread: LoopThread

    def model_calls(self, execution_id: str) -> int:
        """How many model calls an execution has made, by its workflow's own history."""

        async def count() -> int:
            handle = self.playground.context.temporal.get_workflow_handle(f"agent-execution-{execution_id}")
            scheduled = [
                event.activity_task_scheduled_event_attributes.activity_type.name
                async for event in handle.fetch_history_events()
            ]
            return scheduled.count("call_model")

        return self.thread.call(count(), limit=ASK_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What runs."""

    backend: Backend
    engine: Engine
    paths: Paths

    @property
    def info(self) -> PlaygroundInfo:
        return self.backend.info

    def client(self) -> ControlPlaneClient:
        """A client for the loop that calls; close it there."""
        from worker_core.control_plane.client import ControlPlaneClient

        return ControlPlaneClient(base_url=self.info.control_plane_url, api_key=Secret(self.info.api_key))


def gateway_key() -> Secret:
    """The key for `--llm-url`."""
    name = "LITELLM_API_KEY" if os.environ.get("LITELLM_API_KEY") else "OPENAI_API_KEY"
    return read_key(os.environ.get(name, ""), name=name)


_OF_THE_USER: Final = ("KUBIYA_WORKER_ALLOW_HTTP", "KUBIYA_WORKER_SANDBOX", "KUBIYA_WORKER_REQUIRE_SANDBOX")


def worker_settings(info: PlaygroundInfo, environ: Mapping[str, str] = os.environ) -> Settings:
    """Its own, whatever the user's other workers have; but for a gateway without https, and for what isolates tools.

    Raises:
        ConfigurationError: a variable is not valid.
    """
    given = {name: value for name, value in environ.items() if name in _OF_THE_USER}
    return load(environ=given, flags={"control_plane_url": info.control_plane_url, "queue_ids": (info.queue_id,)})


def worker_paths(folder: Path) -> Paths:
    """The playground's worker keeps to its own folder: it has nothing to do with the user's other workers."""
    return Paths(config=folder / "config", state=folder / "state", runtime=folder / "run")


@contextmanager
def playground(
    *, data_dir: Path, port: int, llm_url: str | None, model: str | None, only_user: bool, discover: bool = True
) -> Iterator[Backend]:
    """The backend, in a thread that outlives its Temporal server."""
    thread = LoopThread("playground")
    backend = Playground(
        data_dir=data_dir,
        port=port,
        llm_url=llm_url,
        llm_api_key=gateway_key(),
        model=model,
        discover_models=discover,
        only_user=only_user,
    )
    try:
        info = thread.call(backend.start(), limit=START_LIMIT)
        hide_keys()
        if info.warning:
            say(info.warning, err=True)
        yield Backend(info=info, playground=backend, thread=thread)
    finally:
        try:
            thread.call(backend.stop(), limit=STOP_LIMIT)
        finally:
            thread.close()


@contextmanager
def stage(
    *, data_dir: Path, port: int, llm_url: str | None, model: str | None, only_user: bool, discover: bool = True
) -> Iterator[Stage]:
    """Backend and worker; both are gone behind the block. The worker logs to its file alone.

    Raises:
        KubiyaError: one of them did not start.
    """
    from worker_core.engine.engine import Engine
    from worker_core.logs.pipeline import install, uninstall
    from worker_core.logs.redaction import Redactor
    from worker_core.logs.ring import LogRing
    from worker_core.logs.sinks import FileSink

    where = worker_paths(data_dir / "worker")
    redactor, ring = Redactor(), LogRing()
    with playground(
        data_dir=data_dir, port=port, llm_url=llm_url, model=model, only_user=only_user, discover=discover
    ) as backend:
        info = backend.info
        pipeline = install(redactor=redactor, sinks=[FileSink(log_file(where), complain=sys.stderr)], ring=ring)
        thread = LoopThread("worker")

        async def start() -> Engine:
            engine = Engine(
                settings=worker_settings(info),
                api_key=Secret(info.api_key),
                paths=where,
                redactor=redactor,
                log_ring=ring,
            )
            await engine.start()
            return engine

        try:
            engine = thread.call(start(), limit=START_LIMIT)
            try:
                thread.call(_polling(engine), limit=START_LIMIT)
                yield Stage(backend=backend, engine=engine, paths=where)
            finally:
                thread.call(_stop(engine), limit=STOP_LIMIT)
        finally:
            thread.close()
            uninstall(pipeline)


async def _polling(engine: Engine) -> None:
    """Until the engine polls.

    Raises:
        KubiyaError: it failed before.
    """
    from worker_core.snapshot import EngineState

    with engine.events.subscribe() as events:
        while True:
            match engine.snapshot.state:
                case EngineState.RUNNING:
                    return
                case EngineState.FAILED | EngineState.STOPPED:
                    raise KubiyaError(engine.snapshot.reason)
                case _:
                    await events.get()


async def _stop(engine: Engine) -> None:
    from worker_core.snapshot import StopMode

    await engine.stop(mode=StopMode.CANCEL)
    await engine.wait_stopped()
