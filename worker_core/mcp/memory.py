"""What is remembered of servers across executions: how they are greeted, and what they offer for as long as they say.

In memory alone, by their whole configuration: another key, another memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import field, replace
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthToken

    from worker_core.mcp.offering import Listing

MOST_SERVERS: Final = 200
"""Whatever was used longest ago is forgotten first."""

LONGEST_FRESH: Final = timedelta(days=1)
"""The SDK's own bound (`mcp.client.caching.MAX_TTL_MS`)."""


class Era(Enum):
    """How a server is greeted. Revision 2026-07-28 knows `server/discover` alone, those before it `initialize`."""

    UNKNOWN = "unknown"
    DISCOVER = "discover"
    INITIALIZE = "initialize"


@dataclass(slots=True)
class Tokens:
    """Of the authorization server of a configuration. Belongs to the loop of the MCP thread."""

    kept: OAuthToken | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    era: Era = Era.UNKNOWN
    listing: Listing | None = None
    fresh_until: float = 0.0
    tokens: Tokens = field(default_factory=Tokens)


class Memory:
    """Of one engine. May be used from any thread.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._servers: dict[str, _Server] = {}

    def era(self, identity: str) -> Era:
        return self._get(identity).era

    def note_era(self, identity: str, era: Era) -> None:
        self._change(identity, lambda known: replace(known, era=era))

    def listing(self, identity: str) -> Listing | None:
        """What it offered when it was last asked."""
        return self._get(identity).listing

    def fresh(self, identity: str) -> Listing | None:
        """What it offers still, as it said. None: ask."""
        known = self._get(identity)
        return known.listing if known.fresh_until > self._clock() else None

    def keep(self, identity: str, listing: Listing) -> None:
        until = self._clock() + min(listing.fresh_for, LONGEST_FRESH).total_seconds()
        self._change(identity, lambda known: replace(known, listing=listing, fresh_until=until))

    def tools_changed(self, identity: str) -> None:
        """It says that its tools are others now."""
        self._change(identity, lambda known: replace(known, fresh_until=0.0))

    def tokens(self, identity: str) -> Tokens:
        """Where those of its authorization server are kept."""
        self._change(identity, lambda known: known)
        return self._get(identity).tokens

    def _get(self, identity: str) -> _Server:
        with self._lock:
            return self._servers.get(identity, _Server())

    def _change(self, identity: str, change: Callable[[_Server], _Server]) -> None:
        with self._lock:
            self._servers[identity] = change(self._servers.pop(identity, _Server()))
            while len(self._servers) > MOST_SERVERS:
                del self._servers[next(iter(self._servers))]
