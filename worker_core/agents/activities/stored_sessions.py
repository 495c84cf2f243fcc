"""Conversations as the control plane holds them, each read once in a turn: at its beginning, beside what takes long.

The server writes into a stored conversation when it has decided how a turn goes on, thus between turns (protocol, 8.5
and 8.6), and this worker in mid-turn where much was said, which the turn's end is told. Otherwise what was read when a
turn began is what its end adds to.
"""

from __future__ import annotations

from typing import Any

from worker_core.control_plane.client import ControlPlaneClient

Session = dict[str, Any]


class StoredSessions:
    """Of executions in mid-turn. Another worker of this machine may have made a part of a turn, or all of it: what is
    kept holds for its own turn alone.
    """

    def __init__(self, *, client: ControlPlaneClient) -> None:
        self._client = client
        self._kept: dict[str, tuple[int, Session | None]] = {}

    async def read(self, execution_id: str, *, turn: int) -> Session | None:
        """A turn begins: ask, and keep the answer for its end. None where nothing is stored.

        Raises:
            ControlPlaneError: it could not be asked for.
        """
        session = await self._client.load_session(execution_id)
        self._kept[execution_id] = turn, session
        return session

    async def at_the_end(self, execution_id: str, *, turn: int, changed: bool) -> Session | None:
        """As it is at a turn's end; asked for where it was not read at the beginning here, or was changed since.

        Raises:
            ControlPlaneError: it could not be asked for.
        """
        kept_turn, session = self._kept.pop(execution_id, (0, None))
        if changed or kept_turn != turn:
            return await self._client.load_session(execution_id)
        return session

    def forget(self, execution_id: str) -> None:
        """It is over, or elsewhere."""
        self._kept.pop(execution_id, None)
