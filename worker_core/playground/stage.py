"""A playground, and a worker for it, in threads of their own: for a terminal that waits for its user, and a window."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from worker_core.basics.loop_thread import LoopThread, TookTooLong
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import KubiyaError
from worker_core.key_sources import LLM_API_KEY, given_key
from worker_core.paths import Paths
from worker_core.playground.server import Playground, PlaygroundInfo
from worker_core.secrets import Secret, read_key
from worker_core.settings import Settings, load

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.engine.engine import Engine


_T = TypeVar("_T")

START_LIMIT: Final = timedelta(seconds=60)
STOP_LIMIT: Final = timedelta(seconds=30)
ASK_LIMIT: Final = timedelta(seconds=5)

DEMO_PROMPT: Final = (
    "Show what you can do on this machine: run one harmless shell command, then write a short text file about what it "
    "printed into your workspace, and tell me in one or two sentences what you did."
)

_OF_THE_USER: Final = ("KUBIYA_WORKER_ALLOW_HTTP", "KUBIYA_WORKER_SANDBOX", "KUBIYA_WORKER_REQUIRE_SANDBOX")


def gateway_key(environ: Mapping[str, str] = os.environ) -> Secret:
    """The key for a gateway that the user named: LITELLM_API_KEY or its file, else OPENAI_API_KEY; empty: none.

    Raises:
        ConfigurationError: it is none.
    """
    file = environ.get(LLM_API_KEY.file_variable)
    if given := given_key(LLM_API_KEY, environ, Path(file) if file else None):
        return given.secret
    return read_key(environ.get("OPENAI_API_KEY", ""), name="OPENAI_API_KEY")


class Backend:
    """A playground in a thread that outlives it: its Temporal server is tied to the thread that starts it."""

    def __init__(self, playground: Playground, *, folder: Path) -> None:
        """`folder` is the playground's own; the worker's is below it. Nothing is started."""
        self._playground = playground
        self._thread = LoopThread("playground")
        self._info: PlaygroundInfo | None = None
        self.worker_paths = worker_paths(folder)

    @property
    def info(self) -> PlaygroundInfo:
        """Where everything is.

        Raises:
            RuntimeError: it was not started.
        """
        if self._info is None:
            raise RuntimeError("The playground does not run.")
        return self._info

    @property
    def is_running(self) -> bool:
        return self._info is not None

    def start(self) -> PlaygroundInfo:
        """Start it, and block until it answers. A second call answers at once.

        Raises:
            KubiyaError: something did not start; nothing is left running.
        """
        if self._info is None:
            try:
                self._info = _called(self._thread, self._playground.start(), limit=START_LIMIT)
            except BaseException:
                self.stop()
                raise
        return self._info

    def stop(self) -> None:
        """Block until all of it is gone. Does nothing where it does not run."""
        self._info = None
        try:
            if self._thread.is_running:
                _called(self._thread, self._playground.stop(), limit=STOP_LIMIT)
        finally:
            self._thread.close()

    def client(self) -> ControlPlaneClient:
        """A client for the loop that calls; close it there."""
        from worker_core.control_plane.client import ControlPlaneClient

        return ControlPlaneClient(base_url=self.info.control_plane_url, api_key=Secret(self.info.api_key))

    async def submit(self, prompt: str = DEMO_PROMPT) -> str:
        """Give its agent something to do; the execution's id.

        Raises:
            KubiyaError: the control plane did not take it.
        """
        from worker_core.control_plane.models import Execute

        client = self.client()
        try:
            request = Execute(prompt=prompt, worker_queue_id=self.info.queue_id)
            return (await client.execute_agent(self.info.agent_id, request)).execution_id
        finally:
            await client.aclose()

    def model_calls(self, execution_id: str) -> int:
        """How many model calls an execution has made, by its workflow's own history."""
        from worker_core.agents.messages import Begun
        from worker_core.temporal.converter import DATA_CONVERTER

        async def count() -> int:
            temporal = self._playground.context.temporal
            names: dict[int, str] = {}
            calls = 0
            async for event in temporal.get_workflow_handle(f"agent-execution-{execution_id}").fetch_history_events():
                if event.HasField("activity_task_scheduled_event_attributes"):
                    names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
                elif event.HasField("activity_task_completed_event_attributes"):
                    ended = event.activity_task_completed_event_attributes
                    if names.get(ended.scheduled_event_id) == "begin_execution":
                        [begun] = await DATA_CONVERTER.decode(ended.result.payloads, [Begun])
                        calls += begun.answer is not None  # the first answer came with the beginning
            return calls + sum(name == "call_model" for name in names.values())

        return _called(self._thread, count(), limit=ASK_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A playground and its worker, which run."""

    backend: Backend
    engine: Engine

    @property
    def info(self) -> PlaygroundInfo:
        return self.backend.info

    @property
    def paths(self) -> Paths:
        return self.backend.worker_paths

    @property
    def home(self) -> Path:
        """What `KUBIYA_WORKER_HOME` is for commands that are to see its worker."""
        return self.paths.runtime.parent


def worker_settings(info: PlaygroundInfo, environ: Mapping[str, str] = os.environ) -> Settings:
    """Its own, whatever the user's other workers have; but for a gateway without https, and for what isolates tools.

    Raises:
        ConfigurationError: a variable is not valid.
    """
    given = {name: value for name, value in environ.items() if name in _OF_THE_USER}
    return load(environ=given, flags={"control_plane_url": info.control_plane_url, "queue_ids": (info.queue_id,)})


def worker_paths(folder: Path) -> Paths:
    """Below a playground's folder: its worker has nothing to do with the user's other workers."""
    own = folder / "worker"
    return Paths(config=own / "config", state=own / "state", runtime=own / "run")


@contextmanager
def stage(backend: Backend, *, log_file: Path) -> Iterator[Stage]:
    """A worker for a backend that runs; it is gone behind the block. It logs to its file alone, and other commands see
    it where `KUBIYA_WORKER_HOME` is `Stage.home`: what it asks is answered so.

    Raises:
        KubiyaError: it did not start.
    """
    from worker_core.control_socket.server import ControlSocket
    from worker_core.engine.engine import Engine
    from worker_core.logs.pipeline import install, uninstall
    from worker_core.logs.redaction import Redactor
    from worker_core.logs.ring import LogRing
    from worker_core.logs.sinks import FileSink

    info = backend.info
    redactor, ring = Redactor(), LogRing()
    pipeline = install(redactor=redactor, sinks=[FileSink(log_file, complain=sys.stderr)], ring=ring)
    thread = LoopThread("worker")

    async def start() -> tuple[Engine, ControlSocket]:
        engine = Engine(
            settings=worker_settings(info),
            api_key=Secret(info.api_key),
            paths=backend.worker_paths,
            redactor=redactor,
            log_ring=ring,
        )
        await engine.start()
        socket = ControlSocket(engine=engine, log_ring=ring, folder=backend.worker_paths.runtime)
        socket.open_if_possible()
        return engine, socket

    try:
        engine, socket = _called(thread, start(), limit=START_LIMIT)
        try:
            _called(thread, _polling(engine), limit=START_LIMIT)
            yield Stage(backend=backend, engine=engine)
        finally:
            try:
                _called(thread, _stop(engine), limit=STOP_LIMIT)
            finally:
                socket.close()
    finally:
        thread.close()
        uninstall(pipeline)


def _called(thread: LoopThread, work: Coroutine[Any, Any, _T], *, limit: timedelta) -> _T:
    try:
        return thread.call(work, limit=limit)
    except TookTooLong as error:
        raise KubiyaError(str(error)) from None


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
