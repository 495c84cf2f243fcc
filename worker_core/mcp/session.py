"""One server, connected: started, greeted, listed, called, and started anew when it broke off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from worker_core.errors import KubiyaError
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.fetching import fetches
from worker_core.mcp.flow import Flow, Incoming, Outgoing
from worker_core.mcp.folders import ServerFolder
from worker_core.mcp.greeting import greet, hear_of_changes, other_era, quiet_sdk
from worker_core.mcp.listing import ResourcePage, listed, resource_page
from worker_core.mcp.memory import Era, Memory
from worker_core.mcp.offering import Listing
from worker_core.mcp.progress import Coalesced
from worker_core.mcp.reach import Reach
from worker_core.mcp.trouble import ServerTrouble, Wording
from worker_core.mcp.under_way import Asking, Called, Forgotten, UnderWay, call_with_questions, result_of
from worker_core.network.backoff import Backoff
from worker_core.sandbox.launcher import Launcher

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.client.session import ClientRequestContext, IncomingMessage
    from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, ErrorData, ReadResourceResult

    from worker_core.mcp.remote import Guard
    from worker_core.mcp.stdio import StdioServer
    from worker_core.tools.base import UserAnswer

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

CONNECT_LIMIT = timedelta(seconds=30)
"""Start, handshake and list of tools, where the configuration names no limit."""

FETCH_LIMIT = timedelta(minutes=10)
"""The same, at least, where a program such as `npx` has to fetch the server first."""

MOST_RESTARTS = 5
"""In the life of an execution."""

ENDED_EARLY = "ended before it could be talked to"
_SIGN_IN = frozenset({401, 403})

Progress = Callable[[float, float | None, str | None], None]
"""Progress, total, message."""


class ServerSession:
    """Lives on the loop of the MCP thread; all methods are called there.

    Args:
        config: of the server.
        launcher: isolates its process.
        workspace: where it runs.
        reach: what remote ones are allowed to be.
        ca_file: additional authorities, for remote ones.
        mask: hides secrets in what it prints.
        call_mark: marks its processes, so that none is overlooked.
        memory: of what servers offer, and how they are greeted.
        learn_secret: hears what is to be masked from then on. May be called from another thread.
        folder: where it keeps what it keeps; None: nowhere.
        readable: what the settings let tools read.
        may_ask: there is a user that it can ask something in mid-call. Otherwise it is told so.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        launcher: Launcher,
        workspace: Path,
        reach: Reach,
        ca_file: Path | None,
        mask: Callable[[str], str],
        call_mark: str,
        memory: Memory | None = None,
        learn_secret: Callable[[str], None] = lambda _: None,
        folder: ServerFolder | None = None,
        readable: tuple[Path, ...] = (),
        may_ask: bool = True,
    ) -> None:
        self.config = config
        self._launcher = launcher
        self._workspace = workspace
        self._reach = reach
        self._ca_file = ca_file
        self._mask = mask
        self._wording = Wording(config=config, mask=mask)
        self._sentence, self._what = self._wording.sentence, self._wording.what
        self._call_mark = call_mark
        self._memory = memory or Memory()
        self._learn_secret = learn_secret
        self._may_ask = may_ask
        self._under_way: dict[str, UnderWay[CallToolResult]] = {}
        self._changes = 0
        self._listed_on: ClientSession | None = None
        self._folder = folder
        self._readable = readable
        self._session: ClientSession | None = None
        self._flow: Flow | None = None
        self._owner: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._opening = asyncio.Lock()
        self._starts = 0
        self._backoff = Backoff(first=timedelta(milliseconds=500), limit=timedelta(seconds=15))
        self._server: StdioServer | None = None
        self._guard: Guard | None = None

    async def tools(self) -> Listing:
        """What it offers.

        Raises:
            ServerTrouble: it cannot be reached, or does not answer in time.
        """
        limit = self._start_limit
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self._offered()
        except TimeoutError:
            raise await self._too_late(limit) from None
        except ServerTrouble:
            raise
        except Exception as error:
            what = "could not say what it offers"
            if self._flow is None or not self._flow.over.is_set():
                raise ServerTrouble(self._sentence(f"{what} ({self._what(error)})")) from error
            why = self._flow.violation or f"It broke off.{self._ended()}{self._said()}"
            raise ServerTrouble(f"{self._sentence(what)} {why}") from error

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        limit: timedelta,
        on_progress: Progress,
        asked: Callable[[], None],
        call_id: str = "",
        answer: UserAnswer | None = None,
    ) -> Called | Asking:
        """Call a tool once, or go on with a call that had stopped at a question.

        Args:
            tool: its name at the server.
            arguments: as the model gave them.
            limit: of the call.
            on_progress: hears progress and total, and a message.
            asked: called right before the server is asked.
            call_id: by which a call goes on.
            answer: to the question that it had stopped at.

        Raises:
            ServerTrouble: no answer came.
        """

        def begun(session: ClientSession, flow: Flow) -> UnderWay[CallToolResult]:
            one: UnderWay[CallToolResult] = UnderWay(flow, alias=self.config.alias, mask=self._mask)
            one.told = Coalesced(on_progress)
            one.begin(self._called(session, one, tool, arguments, answer))
            return one

        one = self._under_way.get(call_id)
        if answer is not None and one is not None and one.asking is not None:
            one.told = Coalesced(on_progress)
            one.asking.answer.set_result(result_of(answer))
        elif answer is not None and not answer.state:
            what = "asked its user something in mid-call, and was ended before the answer"
            raise ServerTrouble(self._sentence(what), in_mid_call=True)
        else:
            ready = await self._ready()
            asked()
            one = begun(*ready)
        self._under_way[call_id] = one
        try:
            try:
                found = await self._waited(one, limit)
            except Forgotten:
                one = self._under_way[call_id] = begun(*await self._ready())
                found = await self._waited(one, limit, again=True)
            return found if isinstance(found, Asking) else Called(result=found, remarks=tuple(one.remarks))
        finally:
            one.told.end()
            if one.asking is None:
                self._under_way.pop(call_id, None)

    async def _called(
        self,
        session: ClientSession,
        one: UnderWay[CallToolResult],
        tool: str,
        arguments: dict[str, Any],
        answer: UserAnswer | None,
    ) -> CallToolResult:
        listing = self._memory.listing(self.config.identity)
        has_headers = self.config.transport != "stdio" and listing is not None and listing.names_headers
        if has_headers and self._listed_on is not session:
            await self._list(session)  # the SDK makes headers of what it has listed alone
        return await call_with_questions(session, one, tool, arguments, answer=answer, list_anew=self._list)

    async def _elicited(
        self,
        context: ClientRequestContext,  # noqa: ARG002 - the SDK's signature
        params: ElicitRequestParams,
    ) -> ElicitResult | ErrorData:
        """A server before 2026-07-28 does not say which call asks: it is the newest that waits for nothing else."""
        from mcp.types import INVALID_REQUEST, ErrorData

        for one in reversed(self._under_way.values()):
            if one.asking is None:
                return await one.put(params)
        return ErrorData(code=INVALID_REQUEST, message="no call is under way")

    async def resources(self, cursor: str, *, limit: timedelta, asked: Callable[[], None]) -> ResourcePage:
        """A page of what can be read there; with the first one, the patterns of addresses as well.

        Raises:
            ServerTrouble: no answer came.
        """

        async def page_of(session: ClientSession) -> ResourcePage:
            assert self._flow is not None
            return await resource_page(session, self._flow, cursor)

        return await self._asked(page_of, limit=limit, asked=asked)

    async def read(self, uri: str, *, limit: timedelta, asked: Callable[[], None]) -> ReadResourceResult:
        """Read a resource.

        Raises:
            ServerTrouble: no answer came.
        """
        return await self._asked(lambda session: session.read_resource(uri), limit=limit, asked=asked)

    async def _asked(
        self, ask: Callable[[ClientSession], Awaitable[Answer]], *, limit: timedelta, asked: Callable[[], None]
    ) -> Answer:
        def begun(session: ClientSession, flow: Flow) -> UnderWay[Answer]:
            one: UnderWay[Answer] = UnderWay(flow, alias=self.config.alias)
            one.begin(ask(session))
            return one

        ready = await self._ready()
        asked()
        try:
            found = await self._waited(begun(*ready), limit)
        except Forgotten:
            found = await self._waited(begun(*await self._ready()), limit, again=True)
        assert not isinstance(found, Asking)
        return found

    async def _offered(self) -> Listing:
        session, flow = await self._connected()
        try:
            return await self._list(session)
        except Exception:
            if not flow.forgotten:
                raise
        return await self._list((await self._connected())[0])

    async def _ready(self) -> tuple[ClientSession, Flow]:
        connect = self._start_limit
        try:
            async with asyncio.timeout(connect.total_seconds()):
                return await self._connected()
        except TimeoutError:
            raise await self._too_late(connect) from None

    async def _waited(self, one: UnderWay[Answer], limit: timedelta, *, again: bool = False) -> Answer | Asking:
        """`again`: it was asked in another session before, which the server no longer knew."""
        try:
            found = await one.wait(limit)
        except Exception as error:
            if one.flow.forgotten and not one.flow.over.is_set() and not again:
                raise Forgotten from error
            raise self._failed_call(error, one.flow) from error
        if found is not None:
            return found
        if one.flow.over.is_set():
            raise self._broken_off(one.flow)
        what = f"did not answer the call within {limit.total_seconds():g} s"
        raise ServerTrouble(self._sentence(what), in_mid_call=True)

    @property
    def doing(self) -> str:
        """The last line that its process printed beside messages; empty: none. For any thread."""
        server = self._server
        return "" if server is None else " ".join(self._mask(server.errors.last()).split())[:200]

    @property
    def _start_limit(self) -> timedelta:
        limit = self.config.connect_timeout or CONNECT_LIMIT
        has_to_fetch = self._folder is not None and not self._folder.is_ready and fetches(self.config.command)
        return max(limit, FETCH_LIMIT) if has_to_fetch else limit

    async def _too_late(self, limit: timedelta) -> ServerTrouble:
        if self._folder is not None:  # there may be a newer version, which has to be fetched
            self._folder.mark(ready=False)
        await self.close()
        return ServerTrouble(f"{self._sentence(f'did not answer within {limit.total_seconds():g} s')}{self._said()}")

    def _broken_off(self, flow: Flow) -> ServerTrouble:
        why = flow.violation or f"It broke off in mid-call.{self._ended()}{self._said()}"
        return ServerTrouble(f"{self._sentence('did not answer the call')} {why}", in_mid_call=True)

    def _failed_call(self, error: Exception, flow: Flow) -> ServerTrouble:
        status = 0 if self._guard is None else self._guard.status
        return self._broken_off(flow) if flow.over.is_set() else self._wording.failed_call(error, status=status)

    async def close(self) -> None:
        """End it, with everything that it started. It may be used again: then it is started anew."""
        owner, self._owner, self._session = self._owner, None, None
        self._closing.set()
        for one in list(self._under_way.values()):
            if one.asking is not None:
                await one.end()
        self._under_way.clear()
        if owner is not None:
            await asyncio.wait({owner})

    # --- below --------------------------------------------------------------------------------------------

    async def _connected(self) -> tuple[ClientSession, Flow]:
        async with self._opening:
            if self._session is not None and self._flow is not None and self._flow.is_usable:
                return self._session, self._flow
            tried: set[Era] = set()
            while True:
                tried.add(self._memory.era(self.config.identity))
                try:
                    return await self._started()
                except ServerTrouble:
                    if self._memory.era(self.config.identity) in tried:
                        raise

    async def _started(self) -> tuple[ClientSession, Flow]:
        is_forgotten = self._flow is not None and self._flow.forgotten
        await self.close()
        if is_forgotten:  # servers forget sessions that rest; it is there, and a call begins one other at most
            self._starts -= 1
        elif self._starts > MOST_RESTARTS:
            raise ServerTrouble(
                self._sentence(f"was started {self._starts} times and is not there; it is not started again")
            )
        elif self._starts:
            log.warning("%s is started anew.%s", self._wording.name, self._said())
            await asyncio.sleep(self._backoff.next_delay().total_seconds())
        self._starts += 1
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ready.add_done_callback(lambda done: done.cancelled() or done.exception())  # who waits may have gone
        self._closing = asyncio.Event()
        self._flow = Flow()
        self._server = self._guard = None
        # The transports' cancel scopes belong to one task, so one task opens and closes them.
        self._owner = asyncio.create_task(self._own(self._flow, self._closing, ready), name="mcp server")
        try:
            await asyncio.shield(ready)
        except BaseException:
            await self.close()
            raise
        assert self._session is not None
        return self._session, self._flow

    async def _own(self, flow: Flow, closing: asyncio.Event, ready: asyncio.Future[None]) -> None:
        import mcp
        from mcp.types import Implementation

        from worker_core import __version__

        quiet_sdk()
        gone = False
        try:
            async with AsyncExitStack() as stack:
                incoming, outgoing = await self._transport(stack, flow)
                session = await stack.enter_async_context(
                    mcp.ClientSession(
                        Incoming(incoming, flow),
                        Outgoing(outgoing, flow),
                        client_info=Implementation(name="kubiya-worker", version=__version__),
                        message_handler=self._heard,
                        elicitation_callback=self._elicited if self._may_ask else None,
                    )
                )
                era = self._memory.era(self.config.identity)
                greeting = asyncio.ensure_future(greet(session, era))
                listening: asyncio.Future[None] | None = None
                waits = [asyncio.ensure_future(one.wait()) for one in (closing, flow.over)]
                try:
                    await asyncio.wait({greeting, *waits}, return_when=asyncio.FIRST_COMPLETED)
                    gone = flow.over.is_set()
                    if self._greeted(greeting, era, flow) is Era.DISCOVER:
                        listening = asyncio.ensure_future(hear_of_changes(session))
                    self._session = session
                    if self._folder is not None:
                        self._folder.mark(ready=True)
                    if not ready.done():
                        ready.set_result(None)
                    await asyncio.wait(set(waits), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in (greeting, *waits):
                        task.cancel()
                    if listening is not None:
                        listening.cancel()
                        await asyncio.wait({listening})
        except Exception as error:  # noqa: BLE001 - the transports raise many kinds
            if not ready.done():
                said = "" if flow.violation else self._said()
                ready.set_exception(ServerTrouble(f"{self._why_unusable(error, gone=gone)}{said}"))
            elif not closing.is_set():
                log.warning("%s broke off: %s", self._wording.name, self._what(error))
        except BaseException:
            if not ready.done():
                ready.cancel()
            raise
        finally:
            flow.over.set()
            if self._server is not None and self._server.overfull and self._folder is not None:
                self._folder.discard()

    def _greeted(self, greeting: asyncio.Future[Era], era: Era, flow: Flow) -> Era:
        error: BaseException | None = ServerTrouble(self._sentence(ENDED_EARLY))
        if greeting.done():
            error = greeting.exception()
        if error is not None:
            ended = self.config.transport == "stdio" and flow.over.is_set()
            self._memory.note_era(self.config.identity, other_era(era, error, ended=ended))
            raise error
        self._memory.note_era(self.config.identity, greeting.result())
        return greeting.result()

    def _why_unusable(self, error: Exception, *, gone: bool) -> str:
        if self._guard is not None and self._guard.status in _SIGN_IN:
            return self._wording.sign_in(self._guard.status, self._guard.failure)
        if gone and self._flow is not None and self._flow.violation:
            return f"{self._sentence('cannot be used')} {self._flow.violation}"
        if gone and self._server is not None:
            hidden = self._wording.unseen(self._launcher, seen=(self._workspace, *self._readable))
            return f"{self._sentence(ENDED_EARLY)}{self._ended()}{hidden}"
        return str(error) if isinstance(error, KubiyaError) else self._sentence(f"cannot be used ({self._what(error)})")

    async def _transport(self, stack: AsyncExitStack, flow: Flow) -> tuple[Any, Any]:
        if self.config.transport == "stdio":
            from worker_core.mcp.stdio import StdioServer, running

            name = self._wording.name
            server = StdioServer(self.config, flow=flow, log=lambda line: log.debug("%s: %s", name, line))
            self._server = server
            runs = running(
                server, self._launcher, workspace=self._workspace, folder=self._folder, call_mark=self._call_mark
            )
            await stack.enter_async_context(runs)
            return server.incoming, server.outgoing
        from worker_core.mcp.remote import Guard, connected

        self._guard = Guard(self._reach, flow)
        return await connected(
            stack,
            self.config,
            self._guard,
            ca_file=self._ca_file,
            limit=self.config.connect_timeout or CONNECT_LIMIT,
            tokens=self._memory.tokens(self.config.identity),
            learn_secret=self._learn_secret,
        )

    async def _heard(self, message: IncomingMessage) -> None:
        from mcp.types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._changes += 1
            self._memory.tools_changed(self.config.identity)

    async def _list(self, session: ClientSession) -> Listing:
        assert self._flow is not None
        changes = self._changes
        listing = await listed(session, self._flow)
        if changes != self._changes:
            listing = replace(listing, fresh_for=timedelta(0))
        self._listed_on = session
        self._memory.keep(self.config.identity, listing)
        return listing

    def _ended(self) -> str:
        """How its process ended, where it ended by itself or for using up too much."""
        return "" if self._server is None else self._server.how_it_ended

    def _said(self) -> str:
        return "" if self._server is None else self._wording.last_words(self._server.errors.lines())
