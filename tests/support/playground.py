"""A running playground for tests: on its own event loop in its own thread, so that every test's loop may use it.

with running_playground(tmp_path) as stage:
    async with stage.client() as client: ...
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from worker_core.playground.server import Playground, PlaygroundInfo

T = TypeVar("T")
LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A playground that runs, and ways to reach it."""

    playground: Playground
    info: PlaygroundInfo
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the playground's own loop and wait for it; not from that loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(LIMIT_SECONDS)

    def inside(self, function: Callable[[], T]) -> T:
        """Call something in the playground's thread, such as its store."""

        async def call() -> T:
            return function()

        return self.run(call())

    def client(self, *, key: str | None = None, timeout: float = LIMIT_SECONDS) -> httpx2.AsyncClient:
        """An HTTP client below `/api/v1`. `key=""` sends no credential."""
        token = self.info.api_key if key is None else key
        return httpx2.AsyncClient(
            base_url=f"{self.info.control_plane_url}/api/v1",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout,
            trust_env=False,
        )

    def model_client(self) -> httpx2.AsyncClient:
        """An HTTP client of the scripted model, below `/llm/v1`."""
        return httpx2.AsyncClient(
            base_url=self.info.llm_url,
            headers={"Authorization": f"Bearer {self.info.llm_api_key}"},
            timeout=LIMIT_SECONDS,
            trust_env=False,
        )

    def model_calls(self, prompt_part: str) -> list[dict[str, Any]]:
        """The scripted model's log of conversations whose first user message contains `prompt_part`."""
        model = self.playground.scripted_model
        calls = self.inside(lambda: list(model.calls))
        return [call for call in calls if prompt_part in call["first_user_message"]]

    def outage(self, *, active: bool) -> None:
        """Let the control plane answer 503 while Temporal and the model go on; or end that."""
        self.inside(lambda: self.playground.set_outage(active=active))


@contextlib.contextmanager
def running_playground(data_dir: Path, **options: Any) -> Iterator[Stage]:
    """Start a playground (without looking for other models on this machine) and stop it afterwards."""
    ready: list[Stage | BaseException] = []
    arrived = threading.Event()
    leave: asyncio.Event

    async def host() -> None:
        nonlocal leave
        leave = asyncio.Event()
        playground = Playground(data_dir=data_dir, **{"discover_models": False, **options})
        try:
            info = await playground.start()
        except BaseException as error:
            ready.append(error)
            arrived.set()
            return
        ready.append(Stage(playground, info, asyncio.get_running_loop()))
        arrived.set()
        try:
            await leave.wait()
        finally:
            await playground.stop()

    thread = threading.Thread(target=lambda: asyncio.run(host()), name="playground")
    thread.start()
    assert arrived.wait(LIMIT_SECONDS * 2), "the playground did not start"
    stage = ready[0]
    if isinstance(stage, BaseException):
        thread.join(LIMIT_SECONDS)
        raise stage
    try:
        yield stage
    finally:
        stage.loop.call_soon_threadsafe(leave.set)
        thread.join(LIMIT_SECONDS)
        assert not thread.is_alive(), "the playground did not stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvent:
    event: str
    data: Any
    id: str | None


async def sse(response: httpx2.Response) -> AsyncIterator[SentEvent]:
    """The events of a stream, in order, until it ends."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            if "data" in fields:
                yield SentEvent(event=fields["event"], data=json.loads(fields["data"]), id=fields.get("id"))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


async def until(condition: Callable[[], Coroutine[Any, Any, T]], *, limit: float = LIMIT_SECONDS) -> T:
    """Ask until the answer is truthy.

    Raises:
        TimeoutError: it was not within `limit` seconds.
    """
    async with asyncio.timeout(limit):
        while not (answer := await condition()):
            await asyncio.sleep(0.02)
        return answer
