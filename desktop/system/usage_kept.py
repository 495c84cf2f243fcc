"""The numbers of days that workers of this home have counted, as the window shows and saves them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.basics.sentences import worded
from worker_core.errors import KubiyaError

if TYPE_CHECKING:
    from worker_core.budgets.usage import DailyUsage


class UsageKept:
    """Nothing is read before somebody asks."""

    def __init__(self, file: Path) -> None:
        """`file`: `Paths.budget_file`."""
        self._file = file

    async def read(self) -> DailyUsage:
        """Of the last 90 days. Raises LedgerError."""
        from worker_core.budgets.usage import read_usage

        return await asyncio.to_thread(read_usage, self._file)

    async def save(self, usage: DailyUsage, *, to: Path) -> None:
        """As CSV where the person chose, over what is there. Raises KubiyaError."""
        from worker_core.basics.files import write_private
        from worker_core.budgets.usage import csv_text

        try:
            await asyncio.to_thread(write_private, to, csv_text(usage).encode(), durable=False)
        except OSError as error:
            said = worded(
                "{file} cannot be written: {why}. Choose another place.", file=str(to), why=str(error.strerror)
            )
            raise KubiyaError(said) from error
