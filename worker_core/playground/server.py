"""The playground as a whole: what starts, in which order, and how all of it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.network.urls import base_url
from worker_core.paths import private_directory
from worker_core.playground.context import ORGANIZATION, Context
from worker_core.secrets import Secret
from worker_core.settings import shown

if TYPE_CHECKING:
    import uvicorn

    from worker_core.playground.app import Outage
    from worker_core.playground.gateway import PlaygroundGateway
    from worker_core.playground.scripted import ScriptedModel
    from worker_core.playground.store import Store
    from worker_core.playground.temporal_server import TemporalServer

LOOPBACK: Final = "127.0.0.1"

STOP_LIMIT: Final = timedelta(seconds=3)
"""How long open requests may go on after `stop`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaygroundInfo:
    """Where everything is. The ids and `api_key` survive a restart; the ports may change."""

    control_plane_url: str
    api_key: str
    queue_id: str
    agent_id: str
    temporal_host: str
    llm_url: str
    environment_id: str
    organization_id: str
    llm_name: str
    """Server and model, for people."""

    llm_api_key: str
    """Key of the scripted model; empty where another gateway is used."""

    warning: str = ""
    """Who else can reach it, in a sentence; empty where nobody can."""

    def __repr__(self) -> str:
        return f"PlaygroundInfo({self.control_plane_url}, queue {self.queue_id})"

    def public(self) -> dict[str, str]:
        """What `playground serve --json` prints."""
        names = ("control_plane_url", "api_key", "queue_id", "agent_id", "temporal_host", "llm_url")
        return {name: asdict(self)[name] for name in names}


class Playground:
    """An embedded control plane, a Temporal dev server and a model gateway.

    It listens on loopback. Everything it keeps is in `data_dir`, which one playground at a time
    may use. Start and stop it on one event loop, in a thread that outlives it.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int = 0,
        llm_url: str | None = None,
        llm_api_key: Secret | None = None,
        model: str | None = None,
        temporal_port: int = 0,
        discover_models: bool = True,
        only_user: bool = False,
    ) -> None:
        """Say what shall be; nothing starts.

        Args:
            data_dir: created if missing, readable by its owner alone.
            port: of the control plane; 0 takes a free one.
            temporal_port: of Temporal's gRPC face; likewise.
            llm_url: OpenAI-compatible base URL, such as `https://api.openai.com/v1`.
            llm_api_key: for `llm_url`.
            model: the demo agent's model; by default the gateway's first.
            discover_models: look for Ollama and LM Studio on this machine where no `llm_url` is given.
            only_user: nobody else has an account on this machine. Where Temporal cannot be closed to others, they could
                make model calls with `llm_api_key`; so a key is taken there only if this is said.

        Raises:
            ConfigurationError: `llm_url` is not a URL.
        """
        if llm_url is not None:
            try:
                base_url(llm_url)
            except ValueError as error:
                raise ConfigurationError(f"llm_url is {shown(llm_url)}; {error}.") from error
        self._data_dir = data_dir
        self._port = port
        self._llm_url = llm_url
        self._llm_api_key = llm_api_key or Secret("")
        self._model = model
        self._temporal_port = temporal_port
        self._discover_models = discover_models
        self._only_user = only_user
        self._temporal: TemporalServer | None = None
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._store: Store | None = None
        self._context: Context | None = None
        self._outage: Outage | None = None
        self._scripted: ScriptedModel | None = None

    @property
    def context(self) -> Context:
        """The running control plane's inside, for tests.

        Raises:
            RuntimeError: it does not run.
        """
        if self._context is None:
            raise RuntimeError("The playground does not run.")
        return self._context

    @property
    def scripted_model(self) -> ScriptedModel:
        """The scripted model, for tests; it answers even where another gateway is handed out."""
        if self._scripted is None:
            raise RuntimeError("The playground does not run.")
        return self._scripted

    @property
    def temporal_pid(self) -> int | None:
        return self._temporal.pid if self._temporal else None

    async def start(self) -> PlaygroundInfo:
        """Start everything. When this returns, everything answers.

        Raises:
            ConfigurationError: something cannot be used as it was given; nothing is left running.
            KubiyaError: something did not start; likewise.
        """
        if self._store is not None:
            raise RuntimeError("The playground runs already.")
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End everything; streams are told to reconnect. May be called at any time, and twice."""
        if self._context is not None:
            self._context.hub.stop()
        serving, self._serving = self._serving, None
        if self._server is not None and serving is not None:
            self._server.should_exit = True
            _, late = await asyncio.wait([serving], timeout=STOP_LIMIT.total_seconds())
            if late:
                self._server.force_exit = True
                serving.cancel()
                await asyncio.wait([serving], timeout=STOP_LIMIT.total_seconds())
        temporal, self._temporal = self._temporal, None
        if temporal is not None:
            await temporal.stop()
        if self._socket is not None:
            self._socket.close()
        if self._store is not None:
            self._store.close()
        self._server = self._socket = self._store = self._context = None

    def set_outage(self, *, active: bool) -> None:
        """For tests: let the control plane answer 503 (Temporal and the model go on), or end that."""
        if self._outage is not None:
            self._outage.active = active

    async def _start(self) -> PlaygroundInfo:
        from worker_core.playground.seed import adopt_model, credentials, seed
        from worker_core.playground.store import Store
        from worker_core.playground.temporal_server import TemporalServer

        try:
            private_directory(self._data_dir)
            keys = credentials(self._data_dir / "credentials.json")
        except OSError as error:
            raise ConfigurationError(f"The folder {self._data_dir} cannot be used: {error.strerror}.") from error
        self._store = Store(self._data_dir / "playground.db")
        (self._data_dir / "playground.db").chmod(0o600)
        seeded = seed(self._store)
        self._socket = _listening(self._port)
        public_url = f"http://{LOOPBACK}:{self._socket.getsockname()[1]}"
        self._temporal = TemporalServer(data_dir=self._data_dir.resolve(), port=self._temporal_port)
        self._temporal.spawn()
        self._check_key(self._temporal.open_because)
        # Temporal boots in its own process while this one imports the web server and looks for a model.
        connecting = asyncio.create_task(self._temporal.connect())
        try:
            from worker_core.playground.app import Outage, build
            from worker_core.playground.hub import Hub
            from worker_core.playground.scripted import ScriptedModel

            gateway = await self._gateway(public_url, keys.llm_api_key)
            client = await connecting
        finally:
            connecting.cancel()
        adopt_model(self._store, agent_id=seeded.agent_id, model_id=gateway.model)
        self._context = Context(
            store=self._store,
            hub=Hub(self._store),
            temporal=client,
            temporal_host=self._temporal.target,
            public_url=public_url,
            gateway=gateway,
            api_key=keys.api_key,
        )
        self._outage = Outage()
        self._scripted = ScriptedModel(keys.llm_api_key)
        await self._serve(build(self._context, model=self._scripted, outage=self._outage), self._socket)
        return PlaygroundInfo(
            control_plane_url=public_url,
            api_key=keys.api_key.reveal(),
            queue_id=seeded.queue_id,
            agent_id=seeded.agent_id,
            temporal_host=self._temporal.target,
            llm_url=gateway.url,
            environment_id=seeded.environment_id,
            organization_id=ORGANIZATION,
            llm_name=gateway.shown,
            llm_api_key=keys.llm_api_key.reveal() if gateway.scripted else "",
            warning=_open_to_others(self._temporal.open_because),
        )

    def _check_key(self, open_because: str) -> None:
        if open_because and self._llm_api_key and not self._only_user:
            raise ConfigurationError(
                f"{_open_to_others(open_because)} They could make model calls with your key for {self._llm_url}, so "
                "the playground does not take it. If you alone use this machine, add --only-user; else leave out "
                "--llm-url."
            )

    async def _gateway(self, public_url: str, key: Secret) -> PlaygroundGateway:
        from worker_core.playground import gateway

        if self._llm_url is not None:
            return await gateway.given(self._llm_url, self._llm_api_key, model=self._model)
        found = await gateway.discovered() if self._discover_models else None
        return found or gateway.scripted(public_url, key)

    async def _serve(self, app: object, listener: socket.socket) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # signals belong to the command line

        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            if self._serving.done():
                raise KubiyaError(f"The control plane did not start: {self._serving.exception()}")
            await asyncio.sleep(0.001)


def _open_to_others(open_because: str) -> str:
    """What a person is told where Temporal could not be closed to other users of the machine."""
    if not open_because:
        return ""
    return (
        "Whoever has an account on this machine can reach the playground's Temporal server, and run tools through its "
        f"worker. {open_because}"
    )


def _listening(port: int) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, answers wait 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there the option would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"The control plane cannot listen on {LOOPBACK}:{port}: {error.strerror}. Choose another port with --port."
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - socket's own signature
    return listener
