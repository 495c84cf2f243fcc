"""Which tool calls are given GPUs, and how many of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from worker_core.agents.messages import RunTool
from worker_core.basics.durations import duration_as_typed
from worker_core.basics.threads import uninterrupted
from worker_core.settings import Settings

if TYPE_CHECKING:
    from worker_core.machine.gpus import Found
    from worker_core.tools.registry import SkillDefinition

SKILLS: Final = frozenset({"shell", "python", "workflow_executor"})
"""Types of skills whose calls run what an agent chooses. Others need no GPU, and servers of MCP are given none: they
outlive their calls."""


def gpus_of_call(settings: Settings, request: RunTool, *, queue_id: str, skill: SkillDefinition | None) -> Found | None:
    """For one call. It looks at the machine: call it in a thread. None: the settings switch GPUs off."""
    names = (queue_id, request.entity_id, *request.granted_as)
    if skill is None:
        return gpus_for(settings, skill_type="", names=names)
    return gpus_for(settings, skill_type=skill.type, names=(*names, skill.type, skill.name))


def gpus_for(settings: Settings, *, skill_type: str, names: Iterable[str]) -> Found | None:
    """What a call is given, by the type of its skill and all names that the owner may have said it by."""
    if settings.gpu == "off":
        return None
    from worker_core.machine import gpus

    if skill_type not in SKILLS or (settings.gpu_for and not set(settings.gpu_for) & set(names)):
        return gpus.Found()
    return gpus.MACHINE.find(settings.gpu)


def longest_wait(settings: Settings) -> timedelta:
    """Of a call for a place with a GPU."""
    return timedelta() if settings.gpu == "off" or settings.gpu_calls is None else settings.tool_timeout


class NoPlace(Exception):
    """None became free in time. Nothing was run."""


class GpuPlaces:
    """How many calls have GPUs at once. Used in one loop."""

    def __init__(self) -> None:
        self._taken = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def place(self, settings: Callable[[], Settings], *, say: Callable[[str], None]) -> AsyncIterator[None]:
        """Hold a place meanwhile. A limit that was raised is seen when a place becomes free.

        Args:
            settings: as they are now.
            say: tells whoever looks on that the call waits.

        Raises:
            NoPlace: after `longest_wait`; the message is a sentence for the model.
        """

        def is_free() -> bool:
            most = settings().gpu_calls
            return most is None or self._taken < most

        async with self._freed:
            if not is_free():
                say(f"Waits for a GPU: {self._taken} calls have one.")
                limit = longest_wait(settings())
                try:
                    async with asyncio.timeout(limit.total_seconds()):
                        await self._freed.wait_for(is_free)
                except TimeoutError:
                    raise NoPlace(
                        f"Nothing was run: for {duration_as_typed(limit)}, other calls had all places with a GPU. Do "
                        "something else meanwhile, or try again later."
                    ) from None
            self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            await uninterrupted(self._tell())

    async def _tell(self) -> None:
        async with self._freed:
            self._freed.notify_all()
