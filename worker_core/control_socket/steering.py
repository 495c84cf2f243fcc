"""A worker as threads steer it: what its engine and its settings do, they do on the event loop that they live on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, Unpack

from worker_core.basics.pulse import Pulse
from worker_core.errors import KubiyaError
from worker_core.events import Event, EventBus
from worker_core.logs.ring import LogRing
from worker_core.settings import Reloaded, ShownSetting
from worker_core.snapshot import AnswerParts, EngineSnapshot, StopMode, WholeQuestion

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.control_plane.connections import HttpAnswer
    from worker_core.control_plane.relay import RelayedCall
    from worker_core.machine.gpu_use import GpuUse
    from worker_core.settings import Settings

ASK_LIMIT_SECONDS: Final = 10.0
"""For a request to arrive, for the engine to answer, and for the other side to take a line."""

Answer = TypeVar("Answer")


class Steered(Protocol):
    """What the socket needs of an engine."""

    snapshot: EngineSnapshot
    events: EventBus

    @property
    def settings(self) -> Settings: ...
    @property
    def control_plane(self) -> ControlPlaneClient: ...

    async def pause(self, reason: str = ...) -> None: ...
    async def resume(self) -> None: ...
    async def stop(self, *, mode: StopMode = ...) -> None: ...
    def whole_question(self, approval_id: str) -> WholeQuestion: ...
    async def answer_approval(self, approval_id: str, **answer: Unpack[AnswerParts]) -> None: ...


class Reloading(Protocol):
    """What the socket needs of the settings of a worker."""

    async def reload(self) -> Reloaded: ...
    def rows(self) -> list[ShownSetting]: ...


class Steering:
    """One worker. Made on its event loop; everything else is for other threads."""

    def __init__(self, *, engine: Steered, ring: LogRing, settings: Reloading | None) -> None:
        """As `ControlSocket` is told."""
        self._engine = engine
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._pulse = Pulse(self._loop)
        self.ring = ring

    @property
    def snapshot(self) -> EngineSnapshot:
        return self._engine.snapshot

    def silent_seconds(self) -> float:
        return self._pulse.silent_seconds()

    def pause(self, reason: str) -> None:
        self._on_loop(self._engine.pause(reason) if reason else self._engine.pause())

    def resume(self) -> None:
        self._on_loop(self._engine.resume())

    def approve(self, approval_id: str, **answer: Unpack[AnswerParts]) -> None:
        self._on_loop(self._engine.answer_approval(approval_id, **answer))

    def whole_question(self, approval_id: str) -> WholeQuestion:
        async def read() -> WholeQuestion:
            return self._engine.whole_question(approval_id)

        return self._on_loop(read())

    def reload(self) -> Reloaded:
        return self._on_loop(self._of_settings().reload())

    def rows(self) -> list[ShownSetting]:
        async def read() -> list[ShownSetting]:
            return self._of_settings().rows()

        return self._on_loop(read())

    def gpus(self) -> GpuUse | None:
        """In this thread: it takes up to seconds."""
        from worker_core.sandbox.gpu_look import gpus

        return gpus(self._engine)

    def ask_control_plane(self, call: RelayedCall) -> HttpAnswer:
        return self._on_loop(
            self._engine.control_plane.pass_on(call), limit_seconds=call.limit_seconds + ASK_LIMIT_SECONDS
        )

    def stop(self, mode: StopMode) -> None:
        self._on_loop(self._engine.stop(mode=mode))

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """All events, on the engine's loop; returns what ends it. Costly ones are made only while somebody listens."""
        return self._engine.events.listen(listener)

    def _of_settings(self) -> Reloading:
        if self._settings is None:
            raise KubiyaError(
                "This worker was not started with settings that could be read again: it is a playground's, or a "
                "window's. Restart it, or change them in the window."
            )
        return self._settings

    def _on_loop(self, call: Coroutine[Any, Any, Answer], *, limit_seconds: float = ASK_LIMIT_SECONDS) -> Answer:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(limit_seconds)
