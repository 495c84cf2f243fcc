"""Who keeps the servers: one session per execution and server, from the first use to the execution's end.

What is about servers is imported with the first one: most workers that wait for work have none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from worker_core.basics.loop_thread import LoopThread
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import KubiyaError
from worker_core.mcp.fetching import fetches
from worker_core.mcp.folders import ServerFolders
from worker_core.mcp.memory import Memory

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ReadResourceResult

    from worker_core.logs.redaction import Redactor
    from worker_core.mcp.configuration import ServerConfig, Servers
    from worker_core.mcp.listing import ResourcePage
    from worker_core.mcp.offering import Listing, Offer
    from worker_core.mcp.session import Progress, ServerSession
    from worker_core.mcp.under_way import Asking
    from worker_core.sandbox.launcher import Launcher
    from worker_core.settings import SettingsInForce
    from worker_core.tools.base import UserAnswer

log = logging.getLogger(__name__)
Found = TypeVar("Found")

IDLE = timedelta(minutes=15)
"""An execution that waits for its user keeps its servers for so long; they are started anew when it goes on."""

TOLD_AFTER = timedelta(seconds=2)
TOLD_EVERY = timedelta(seconds=15)
"""When those who look on hear that a server takes long to start, and how often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A result, and as a clause what of its structured part is not as the server declared it."""

    result: CallToolResult
    misfit: str = ""
    remarks: tuple[str, ...] = ()
    """Sentences about what the server asked for and did not get."""


class McpPool:
    """Belongs to the engine's loop; the sessions live on a loop of their own."""

    def __init__(
        self,
        *,
        launcher: Launcher,
        workspace: Callable[[str], Path],
        settings: SettingsInForce,
        redactor: Redactor,
        folders: ServerFolders,
        idle: timedelta = IDLE,
    ) -> None:
        """`workspace` makes the folder of an execution; called in a thread. `folders`: what servers keep."""
        self._launcher = launcher
        self._workspace = workspace
        self._in_force = settings
        self._redactor = redactor
        self.folders = folders
        self._idle = idle
        self._thread = LoopThread("mcp")
        self._sessions: dict[tuple[str, str], ServerSession] = {}
        self._memory = Memory()
        self._asking: set[tuple[str, str]] = set()
        """Calls that have stopped at a question."""

        self._used: dict[str, float] = {}
        self._busy: dict[str, int] = {}
        self._making = asyncio.Lock()
        self._fetching: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self._sweeping: asyncio.Task[None] | None = None

    async def offer(
        self,
        execution_id: str,
        servers: Servers,
        *,
        taken: set[str],
        tell: Callable[[str], None] = lambda _: None,
    ) -> Offer:
        """Start all servers at once, and ask each for its tools. One that fails is left out, with a sentence.

        Args:
            execution_id: whose servers they are.
            servers: as they were read.
            taken: names of tools that the agent has already.
            tell: hears which ones take long, and what they are busy with: a sentence, now and then.
        """
        from worker_core.mcp.offering import Offer

        offer = Offer(mask=self._redactor.mask, taken=set(taken), left_out=list(servers.left_out.values()))
        starting = {
            alias: asyncio.create_task(self._list(execution_id, config), name="mcp start")
            for alias, config in servers.usable.items()
        }
        waiting = self._tell_of_waiting(execution_id, servers, starting, tell)
        telling = asyncio.create_task(waiting, name="mcp waiting")
        try:
            listed = await asyncio.gather(*starting.values(), return_exceptions=True)
        finally:
            telling.cancel()
        for alias, found in zip(servers.usable, listed, strict=True):
            if isinstance(found, asyncio.CancelledError):
                raise found
            if isinstance(found, BaseException):
                sentence = self._redactor.mask(str(found)) or type(found).__name__
                log.warning("Execution %s: %s", execution_id, sentence)
                offer.left_out.append(f"{sentence} Its tools are left out.")
                continue
            offer.add(alias, found.tools, more=found.more)
            if found.has_resources:
                offer.add_resources(alias)
            offer.add_words(alias, found.instructions)
        return offer

    def has_resources(self, config: ServerConfig) -> bool:
        """Whether a server said that something can be read there."""
        listing = self._memory.listing(config.identity)
        return listing is not None and listing.has_resources

    async def call(
        self,
        execution_id: str,
        config: ServerConfig,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        limit: timedelta,
        on_progress: Progress,
        asked: Callable[[], None],
        call_id: str = "",
        answer: UserAnswer | None = None,
    ) -> Answer | Asking:
        """One call, or more of one that had stopped at a question.

        `on_progress` and `asked` are called on the MCP thread.

        Raises:
            ServerTrouble: no answer came; its sentence is for the model.
            ThreadClosed: the worker leaves.
        """
        from worker_core.mcp.output_schema import misfit
        from worker_core.mcp.under_way import Asking

        if answer is None and self._memory.listing(config.identity) is None:
            with contextlib.suppress(KubiyaError):  # the call itself says what is wrong
                await self._list(execution_id, config)
        if (execution_id, call_id) in self._asking:
            self._asking.discard((execution_id, call_id))
            self._touch(execution_id, -1)
        found = await self._ask(
            execution_id,
            config,
            lambda session, least: session.call(
                tool,
                dict(arguments),
                limit=least,
                on_progress=on_progress,
                asked=asked,
                call_id=call_id,
                answer=answer,
            ),
            limit=limit,
        )
        if isinstance(found, Asking):
            self._asking.add((execution_id, call_id))
            self._touch(execution_id, +1)  # it does not rest while it waits for its user
            return found
        result = found.result
        listing = self._memory.listing(config.identity)
        offered = listing.tools if listing is not None else ()
        promised = next((one.output_schema for one in offered if one.name == tool), None)
        if promised is None or result.is_error:
            return Answer(result=result, remarks=found.remarks)
        wrong = await asyncio.to_thread(misfit, promised, result.structured_content)
        return Answer(result=result, misfit=wrong, remarks=found.remarks)

    async def resources(
        self, execution_id: str, config: ServerConfig, cursor: str, *, limit: timedelta, asked: Callable[[], None]
    ) -> ResourcePage:
        """A page of what can be read at a server. Raises what `call` does."""
        return await self._ask(
            execution_id,
            config,
            lambda session, least: session.resources(cursor, limit=least, asked=asked),
            limit=limit,
        )

    async def read(
        self, execution_id: str, config: ServerConfig, uri: str, *, limit: timedelta, asked: Callable[[], None]
    ) -> ReadResourceResult:
        """Read a resource. Raises what `call` does."""
        return await self._ask(
            execution_id, config, lambda session, least: session.read(uri, limit=least, asked=asked), limit=limit
        )

    async def end(self, execution_id: str) -> None:
        """The execution is over, or rests: its servers end."""
        ending = [self._sessions.pop(key) for key in [key for key in self._sessions if key[0] == execution_id]]
        self._asking = {one for one in self._asking if one[0] != execution_id}
        self._used.pop(execution_id, None)
        self._busy.pop(execution_id, None)
        if ending:
            await asyncio.gather(*(self._thread.run(session.close()) for session in ending), return_exceptions=True)

    async def close(self) -> None:
        """End all of them."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for execution_id in {key[0] for key in self._sessions}:
            await self.end(execution_id)
        await asyncio.to_thread(self._thread.close)

    # --- below --------------------------------------------------------------------------------------------

    async def _list(self, execution_id: str, config: ServerConfig) -> Listing:
        self._redactor.add(*config.secrets, owner=execution_id)
        if (known := self._memory.fresh(config.identity)) is not None:
            if (token := self._memory.tokens(config.identity).kept) is not None:
                # Of another execution, with which it was forgotten: what was listed then may hold it.
                self._redactor.add(token.access_token, token.refresh_token or "", owner=execution_id)
            return known  # it is started when it is called
        session = await self._session(execution_id, config)
        folder = self.folders.of(config)
        if folder is None or folder.is_ready or not fetches(config.command):
            return await self._thread.run(session.tools())
        # Several that fetch the same into the same folder get into each other's way.
        async with self._fetching.setdefault(folder.path, asyncio.Lock()):
            return await self._thread.run(session.tools())

    async def _ask(
        self,
        execution_id: str,
        config: ServerConfig,
        ask: Callable[[ServerSession, timedelta], Coroutine[Any, Any, Found]],
        *,
        limit: timedelta,
    ) -> Found:
        session = await self._session(execution_id, config)
        self._touch(execution_id, +1)
        try:
            return await self._thread.run(ask(session, min(limit, config.call_timeout or limit)))
        finally:
            self._touch(execution_id, -1)

    async def _session(self, execution_id: str, config: ServerConfig) -> ServerSession:
        key = (execution_id, config.identity)
        async with self._making:
            self._redactor.add(*config.secrets, owner=execution_id)
            if key not in self._sessions:
                workspace = await asyncio.to_thread(self._workspace, execution_id)
                self._sessions[key] = await self._thread.run(self._made(config, execution_id, workspace))
        self._touch(execution_id, 0)
        return self._sessions[key]

    async def _made(self, config: ServerConfig, execution_id: str, workspace: Path) -> ServerSession:
        from worker_core.mcp.reach import reach_of
        from worker_core.mcp.session import ServerSession

        settings = self._in_force.current
        return ServerSession(
            config,
            launcher=self._launcher,
            workspace=workspace,
            reach=reach_of(settings),
            ca_file=settings.ca_file,
            mask=self._redactor.mask,
            call_mark=f"{execution_id}/mcp/{config.identity[:12]}",
            memory=self._memory,
            may_ask=settings.approvals == "ask",
            learn_secret=lambda text: self._redactor.add(text, owner=execution_id),
            folder=self.folders.of(config),
            readable=settings.sandbox_readable,
        )

    def _touch(self, execution_id: str, change: int) -> None:
        self._used[execution_id] = time.monotonic()
        self._busy[execution_id] = self._busy.get(execution_id, 0) + change
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep(), name="mcp sweep")

    async def _sweep(self) -> None:
        """While there are servers: end those that nobody used for long."""
        while self._sessions:
            await asyncio.sleep(self._idle.total_seconds() / 4)
            limit = time.monotonic() - self._idle.total_seconds()
            for execution_id, used in list(self._used.items()):
                if used < limit and not self._busy.get(execution_id):
                    await self.end(execution_id)

    async def _tell_of_waiting(
        self,
        execution_id: str,
        servers: Servers,
        starting: Mapping[str, asyncio.Task[Any]],
        tell: Callable[[str], None],
    ) -> None:
        began = time.monotonic()
        await asyncio.sleep(TOLD_AFTER.total_seconds())
        while True:
            for alias, task in starting.items():
                if not task.done():
                    config = servers.usable[alias]
                    session = self._sessions.get((execution_id, config.identity))
                    busy = fetches(config.command) or "it has not answered yet"
                    said = f" It says: {session.doing}" if session is not None and session.doing else ""
                    waited = time.monotonic() - began
                    tell(f"Waiting for the MCP server {alias[:100]!r}: {busy} ({waited:.0f} s).{said}")
            await asyncio.sleep(TOLD_EVERY.total_seconds())
