"""Copies of the owner's repositories that executions work in, as the window looks at them: in the tools' sandbox."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from worker_core.checkouts.record import Checkout, CheckoutRecords
from worker_core.paths import Paths
from worker_core.settings import Settings

if TYPE_CHECKING:
    from worker_core.checkouts.changes import Changes, CheckoutChanges


class WorkingCopies:
    """Of this machine. Nothing is looked for before somebody asks."""

    def __init__(self, *, paths: Paths, settings: Callable[[], Settings]) -> None:
        """`settings` are read anew each time: which sandbox there is."""
        self._paths = paths
        self._settings = settings
        self._records = CheckoutRecords(paths.checkouts)

    def find(self, execution_id: str) -> Checkout | None:
        """The copy of an execution; None: it has none."""
        found = self._records.find(execution_id)
        return None if found is None or found.state == "making" else found

    async def changes(self, execution_id: str) -> Changes:
        """What it changed so far. Raises CheckoutError, ConfigurationError."""
        async with self._opened() as copies:
            return await copies.of(self._records.one(execution_id))

    async def merge(self, execution_id: str, *, seal: str) -> str:
        """Merge what was shown into the owner's repository; a sentence. Raises CheckoutError, ConfigurationError."""
        async with self._opened() as copies:
            return await copies.merge(self._records.one(execution_id), seal=seal)

    async def discard(self, execution_id: str) -> str:
        """Take the copy back to where it began; a sentence. Raises CheckoutError, ConfigurationError."""
        async with self._opened() as copies:
            return await copies.discard(self._records.one(execution_id))

    def _opened(self) -> AbstractAsyncContextManager[CheckoutChanges]:
        from worker_core.checkouts.changes import opened

        return opened(self._settings(), self._paths)
