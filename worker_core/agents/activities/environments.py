"""Variables of executions, and what is secret of them. In memory alone: never in a history, never on disk."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from worker_core.agents.execution_input import EntityKind
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import ResolvedEnvironment
from worker_core.logs.declared import secrets_in
from worker_core.logs.redaction import Redactor

_KEPT = timedelta(minutes=10)

LOOKED_THROUGH_AT_ONCE = 8_000
"""Characters of variables and files that take less time than a thread; more is looked through in one."""


class Environments:
    """Of all executions of an engine."""

    def __init__(self, *, client: ControlPlaneClient, redactor: Redactor) -> None:
        """`client` is asked for what is forgotten; `redactor` masks secrets from the moment they are known."""
        self._client = client
        self._redactor = redactor
        self._known: dict[tuple[str, str], tuple[float, ResolvedEnvironment]] = {}

    async def keep(self, execution_id: str, entity_id: str, environment: ResolvedEnvironment) -> None:
        """For the tools of an execution; what is secret of its variables and its files is masked from now on."""
        texts = (*environment.env_vars.values(), *(file.content for file in environment.files))
        if sum(map(len, texts)) <= LOOKED_THROUGH_AT_ONCE:
            self._mask(execution_id, environment)
        else:
            await asyncio.to_thread(self._mask, execution_id, environment)
        self._known[execution_id, entity_id] = (time.monotonic(), environment)

    async def of(self, execution_id: str, kind: EntityKind, entity_id: str) -> ResolvedEnvironment:
        """The variables of an agent or team, asked for again after a while.

        Raises:
            ControlPlaneError: they could not be asked for.
        """
        if not entity_id:
            return ResolvedEnvironment()
        kept_at, known = self._known.get((execution_id, entity_id), (0.0, None))
        if known is None or time.monotonic() - kept_at > _KEPT.total_seconds():
            known = await self._client.resolved_environment(kind, entity_id)
            await self.keep(execution_id, entity_id, known)
        return known

    async def know_secrets(self, execution_id: str, kind: EntityKind, entity_id: str) -> None:
        """Before anything of an execution leaves: a worker that was restarted asks what is to be masked."""
        if (execution_id, entity_id) not in self._known:
            await self.of(execution_id, kind, entity_id)

    def forget(self, execution_id: str) -> None:
        """It is over, or elsewhere."""
        self._known = {key: kept for key, kept in self._known.items() if key[0] != execution_id}
        self._redactor.forget(execution_id)

    def _mask(self, execution_id: str, environment: ResolvedEnvironment) -> None:
        found = secrets_in(environment.env_vars)
        for file in environment.files:
            found |= secrets_in({"": file.content})
        self._redactor.add(*found, owner=execution_id)
