"""An engine in this process, with a control socket and a status port, so that others see it."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Unpack

from desktop.worker.sandbox_question import SandboxQuestion
from desktop.worker.wanted import Provide, Wanted
from worker_core.basics.threads import apart
from worker_core.errors import ConfigurationError
from worker_core.events import Event
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.paths import Paths
from worker_core.sandbox.gpu_look import gpus
from worker_core.settings import Reloaded
from worker_core.snapshot import AnswerParts, EngineSnapshot, EngineState, StopMode, WholeQuestion
from worker_core.status_server import serving_status

if TYPE_CHECKING:
    from worker_core.control_socket.server import ControlSocket
    from worker_core.engine.engine import Engine
    from worker_core.machine.gpu_use import GpuUse
    from worker_core.settings import Settings

log = logging.getLogger(__name__)


class Here:
    """From `begin` to `over`."""

    attached = False

    def __init__(self, engine: Engine, socket: ControlSocket, settings: Settings, sandbox: SandboxQuestion) -> None:
        self._sandbox = sandbox
        self._engine, self._socket, self._settings = engine, socket, settings
        self._opened = False
        self._status = ExitStack()

    @classmethod
    async def make(
        cls, wanted: Wanted, *, paths: Paths, redactor: Redactor, log_ring: LogRing, publish: Callable[[Event], None]
    ) -> Here:
        """One that is not started; `publish` gets everything that its engine publishes."""
        # A second of imports: in a thread, while the window draws.
        await asyncio.to_thread(importlib.import_module, "worker_core.engine.engine")
        from worker_core.control_socket.server import ControlSocket
        from worker_core.engine.engine import Engine

        sandbox = SandboxQuestion()
        engine = Engine(
            settings=wanted.settings,
            api_key=wanted.api_key,
            paths=paths,
            redactor=redactor,
            log_ring=log_ring,
            ask_sandbox=sandbox.ask,
            asks_early=True,
        )
        engine.events.listen(publish)
        socket = ControlSocket(engine=engine, log_ring=log_ring, folder=paths.runtime)
        return cls(engine, socket, wanted.settings, sandbox)

    async def begin(self) -> None:
        """Raises KubiyaError: it cannot be started."""
        try:
            self._status.enter_context(
                serving_status(self._engine, host=self._settings.status_host, port=self._settings.status_port)
            )
        except ConfigurationError as error:
            log.warning("%s", error.sentence)
        await self._engine.start()
        self._opened = self._socket.open_if_possible()

    async def over(self) -> EngineSnapshot:
        """Until it has stopped; its last snapshot."""
        final = await self._engine.wait_stopped()
        self._sandbox.close()
        await self.close()
        return final

    async def pause(self, reason: str) -> None:
        if self._engine.snapshot.state is EngineState.PAUSED:  # the engine keeps its first reason
            await self._engine.resume()
        await self._engine.pause(reason)

    async def resume(self) -> None:
        await self._engine.resume()

    async def answer_sandbox(self, *, allow: bool) -> None:
        if self._engine.snapshot.sandbox.name == "asked":  # nobody may say yes to what was not shown
            self._sandbox.answer(allow=allow)

    async def reload(self, provide: Provide) -> Reloaded:
        """The settings that `provide` gives, as far as they may change meanwhile."""
        adopted = self._engine.adopt((await provide()).settings)
        return Reloaded(sentence="", applied=adopted.applied, later=adopted.later)

    async def stop(self, mode: StopMode) -> None:
        self._sandbox.close()
        await self._engine.stop(mode=mode)

    async def whole_question(self, approval_id: str) -> WholeQuestion:
        return self._engine.whole_question(approval_id)

    async def answer_approval(self, approval_id: str, **answer: Unpack[AnswerParts]) -> None:
        await self._engine.answer_approval(approval_id, **answer)

    async def gpus(self) -> GpuUse | None:
        return await apart(lambda: gpus(self._engine), name="gpus")

    def reconnect(self, reason: str) -> None:
        if self._engine.snapshot.state not in {EngineState.STOPPED, EngineState.FAILED}:
            self._engine.reconnect(reason)

    async def close(self) -> None:
        """Nobody sees it any more. The engine must have been stopped before."""
        opened, self._opened = self._opened, False
        if opened:
            await asyncio.to_thread(self._socket.close)
        self._status.close()
