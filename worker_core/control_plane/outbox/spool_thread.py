"""The one thread that touches the spool, so that a slow disk never holds up the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from worker_core.basics.sentences import worded
from worker_core.control_plane.outbox import spool
from worker_core.control_plane.outbox.spool import Row, Spool, SpoolError

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class SpoolThread:
    """The spool of this process, opened when the first event has to be kept."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self.folder = folder
        self.trouble = ""
        """Why the disk takes nothing at present."""
        self._limit = limit_bytes
        self._spool: Spool | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def adopt(self) -> dict[str, tuple[int, int]]:
        """Take over what dead processes left: execution id -> (number of events, highest sequence)."""
        if not self.folder.is_dir():
            return {}
        self._spool = await self._run(lambda: spool.adopt(self.folder, limit_bytes=self._limit))
        held = self._spool
        try:
            return await self._run(held.counts) if held is not None else {}
        except SpoolError as error:
            log.error("Events on disk cannot be read (%s); they stay in %s.", error, self.folder)
            return {}

    async def append(self, rows: Sequence[Row]) -> bool:
        """Keep `rows`, all or none. False: the disk takes nothing, `trouble` says why."""
        try:
            await self._run(lambda: self._append(rows))
        except SpoolError as error:
            if not self.trouble:
                log.error("Events cannot be kept on disk: %s.", error)
            self.trouble = worded(
                "Events cannot be kept on disk ({why}). Free some space in {folder}.",
                why=str(error),
                folder=str(self.folder),
            )
            return False
        self.trouble = ""
        return True

    def _append(self, rows: Sequence[Row]) -> None:
        if self._spool is None:
            self._spool = spool.create(self.folder, limit_bytes=self._limit)
        self._spool.append(rows)

    async def read(self, execution_id: str, *, after: int, limit: int) -> list[Row]:
        """The next events of an execution; none where the file cannot be read."""
        held = self._spool
        if held is None:
            return []
        try:
            return await self._run(lambda: held.read(execution_id, after=after, limit=limit))
        except SpoolError as error:
            log.error("Events on disk cannot be read (%s); they stay in %s.", error, self.folder)
            return []

    async def remove(self, row: Row) -> None:
        """Forget an event that was delivered."""
        held = self._spool
        if held is None:
            return
        try:
            await self._run(lambda: held.remove([row]))
        except SpoolError as error:
            log.warning("A delivered event stays on disk and may be sent again after a restart: %s.", error)

    async def close(self, *, delete: bool) -> None:
        """Let go of the file and end the thread."""
        held, self._spool = self._spool, None
        if held is not None:
            await self._run(lambda: held.close(delete=delete))
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    async def _run(self, job: Callable[[], _Result]) -> _Result:
        """Run `job` in the thread. It is finished even if the caller is cancelled."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, job))
