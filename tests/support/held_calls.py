"""A control plane whose answers a test holds back: what a worker does next shows what it waited for.

Calls of one round are answered together. A call of a later round that needs the answer of an earlier one cannot come
before it, so the number of rounds is the length of the path, whatever the machine is busy with. A call that the worker
makes again, since its answer was held for longer than it waits for one, is still the same call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.support.fake_control_plane import FakeControlPlane, Reply, Request
from tests.support.playground import Stage

LIMIT_SECONDS = 60.0
NAMES = {"resolved": "skills", "full": "environment", "turns": "numbers"}
"""What the last part of a path is called, where it says little."""


@dataclass(slots=True)
class _Call:
    name: str
    said: tuple[str, str, bytes]
    """Method, path and body."""

    answered: asyncio.Event = field(default_factory=asyncio.Event)


class HeldCalls:
    """Between a worker and its control plane. Lets everything through until `hold` says otherwise."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[str] = []
        """What was held, in the order in which it came: method, and what it is about (`GET session`)."""

        self._held: list[_Call] = []
        self._changes: list[_Call] = []
        self._came = asyncio.Condition()
        self._wanted: Callable[[str], bool] = lambda _path: False
        self._to_refuse: list[str] = []
        self.refused: list[str] = []

    def refuse(self, *names: str) -> None:
        """Do nothing, and answer 503, to the next call of each of these names."""
        self._to_refuse.extend(names)

    def refuses(self, method: str, path: str) -> bool:
        """Whether this call is to be refused; then it is written down in `refused`."""
        name = _name(method, path)
        if name not in self._to_refuse:
            return False
        self._to_refuse.remove(name)
        self.refused.append(name)
        return True

    def hold(self, wanted: Callable[[str], bool]) -> None:
        """From now on keep back, and write down, the calls whose path is wanted."""
        self._wanted = wanted

    async def answer(self, *names: str) -> None:
        """Wait until these are all held at once, and let them have their answers.

        Raises:
            TimeoutError: they did not come; its words are what did.
        """
        wanted = Counter(names)
        try:
            async with asyncio.timeout(LIMIT_SECONDS), self._came:
                await self._came.wait_for(lambda: Counter(call.name for call in self._held) >= wanted)
        except TimeoutError:
            came = [call.name for call in self._held]
            raise TimeoutError(f"{names} were waited for, {came} are held, after {self.calls}") from None
        for name in names:
            call = next(one for one in self._held if one.name == name)
            self._held.remove(call)
            call.answered.set()

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._wanted = lambda _path: False
        for call in self._held:
            call.answered.set()
        self._held.clear()

    async def pass_by(self, method: str, path: str, body: bytes) -> None:
        """A call came: return when it may have its answer."""
        if not self._wanted(path):
            return
        said = (method, path, body)
        call = next((one for one in (*self._held, *self._changes) if one.said == said), None)
        if call is None:
            call = _Call(_name(method, path), said)
            self.calls.append(call.name)
            if method != "GET":
                self._changes.append(call)
            async with self._came:
                self._held.append(call)
                self._came.notify_all()
        await call.answered.wait()


@contextlib.asynccontextmanager
async def held_calls(stage: Stage) -> AsyncIterator[HeldCalls]:
    """Its `url` is a control plane for a worker."""
    async with FakeControlPlane(api_key=stage.info.api_key) as plane, stage.client() as api:
        held = HeldCalls(plane.url)

        async def forward(request: Request) -> Reply:
            await held.pass_by(request.method, request.path, request.body)
            if held.refuses(request.method, request.path):
                return Reply(status=503)
            answer = await _sent(api, request)
            body: Any = answer.json() if answer.content else b""
            return Reply(status=answer.status_code, body=body)

        for method in ("GET", "POST", "PATCH"):
            plane.on(method, ".*", forward)
        try:
            yield held
        finally:
            held.let_go()


async def _sent(api: httpx2.AsyncClient, request: Request) -> httpx2.Response:
    return await api.request(
        request.method, request.path, content=request.body, params=request.query,
        headers={"content-type": "application/json"},
    )  # fmt: skip


def _name(method: str, path: str) -> str:
    last = path.rstrip("/").rsplit("/", 1)[-1]
    return f"{method} {NAMES.get(last, last if last.isalpha() else 'execution')}"
