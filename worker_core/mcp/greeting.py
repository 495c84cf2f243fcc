"""How a server is greeted: revision 2026-07-28 is tried first, then the handshake of those before it.

Which of them a server took is remembered, so that the next connection asks once.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from worker_core.mcp.memory import Era

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.types import DiscoverResult

log = logging.getLogger(__name__)

PROBE_LIMIT: Final = timedelta(seconds=3)
"""Until the handshake is tried as well, where nobody knows what the server understands: some old ones say nothing to
what they do not know. One that starts slowly answers both."""


async def greet(session: ClientSession, era: Era) -> Era:
    """Agree on a revision; which way it went.

    Args:
        session: just connected.
        era: what the server took the last time.

    Raises:
        MCPError: it takes neither.
    """
    from mcp import MCPError
    from mcp_types import UNSUPPORTED_PROTOCOL_VERSION
    from pydantic import ValidationError

    if era is Era.INITIALIZE:
        await session.initialize()
        return Era.INITIALIZE
    discovering = asyncio.ensure_future(session.discover())
    shaking = asyncio.ensure_future(_after(discovering, session))
    try:
        await asyncio.wait({discovering, shaking}, return_when=asyncio.FIRST_COMPLETED)
        try:
            await (shaking if shaking.done() and shaking.exception() is None else discovering)
        except (MCPError, ValidationError, RuntimeError) as error:
            log.debug("No revision 2026-07-28: %s", error)
            await shaking
        return Era.DISCOVER if session.discover_result is not None else Era.INITIALIZE
    except MCPError as error:
        # It starts so slowly that our first question was given up, and takes no other.
        if error.error.code != UNSUPPORTED_PROTOCOL_VERSION:
            raise
        await session.discover()
        return Era.DISCOVER
    finally:
        for task in (discovering, shaking):
            task.cancel()
        await asyncio.wait({discovering, shaking})


async def _after(discovering: asyncio.Future[DiscoverResult], session: ClientSession) -> None:
    """The handshake, when the first question has failed or waits for long."""
    await asyncio.wait({discovering}, timeout=PROBE_LIMIT.total_seconds())
    if not discovering.done() or discovering.exception() is not None:
        await session.initialize()


def other_era(era: Era, error: BaseException, *, ended: bool) -> Era:
    """How to greet a server that could not be greeted as it was tried; the same where nothing speaks for another way.

    Args:
        era: what was tried.
        error: what came of it.
        ended: its process is gone. Some old ones end over a question that they do not know.
    """
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED

    if ended:
        return Era.INITIALIZE
    if era is Era.INITIALIZE and isinstance(error, MCPError) and error.error.code != CONNECTION_CLOSED:
        return Era.UNKNOWN  # it is another server now; a connection that began with a handshake takes nothing else
    return era


async def hear_of_changes(session: ClientSession) -> None:
    """Keep the stream open on which a server of revision 2026-07-28 says that its tools have changed.

    The session's message handler hears it. Ends when the stream does.
    """
    from mcp import MCPError
    from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost, listen

    capabilities = session.server_capabilities
    if capabilities is None or capabilities.tools is None or not capabilities.tools.list_changed:
        return
    with suppress(MCPError, ListenNotSupportedError, SubscriptionLost, TimeoutError):
        async with listen(session, tools_list_changed=True) as changes:
            async for _ in changes:
                pass


def quiet_sdk() -> None:
    """What matters of its troubles is said by us, in one sentence instead of thirty lines."""
    for name in ("mcp", "client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
