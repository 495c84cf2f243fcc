"""The playground for "try it without an account": backend in a thread of its own, gone with the tray."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from worker_core.cli.backstage import START_LIMIT, STOP_LIMIT, worker_paths, worker_settings
from worker_core.cli.loop_thread import LoopThread
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.paths import Paths
from worker_core.playground.server import Playground, PlaygroundInfo
from worker_core.secrets import Secret
from worker_core.settings import Settings

log = logging.getLogger(__name__)

DEMO_PROMPT: Final = (
    "Show what you can do on this machine: run one harmless shell command, write a short text file about what it "
    "printed into your workspace, and tell me in one or two sentences what you did."
)


class PlaygroundStage:
    """Start it once, stop it once."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._thread: LoopThread | None = None
        self._playground: Playground | None = None
        self.info: PlaygroundInfo | None = None

    @property
    def worker_paths(self) -> Paths:
        """The playground's worker has nothing to do with the user's other workers."""
        return worker_paths(self._data_dir / "worker")

    async def start(self) -> tuple[Settings, Secret]:
        """What its worker needs. A second call answers at once.

        Raises:
            KubiyaError: something did not start; nothing is left running.
        """
        if self.info is None:
            self.info = await asyncio.to_thread(self._start)
        return worker_settings(self.info), Secret(self.info.api_key)

    async def stop(self) -> None:
        await asyncio.to_thread(self._stop)

    async def submit(self, prompt: str = DEMO_PROMPT) -> str:
        """Give its agent something to do; the execution's id."""
        assert self.info is not None
        client = ControlPlaneClient(base_url=self.info.control_plane_url, api_key=Secret(self.info.api_key))
        try:
            wish = Execute(prompt=prompt, worker_queue_id=self.info.queue_id)
            return (await client.execute_agent(self.info.agent_id, wish)).execution_id
        finally:
            await client.aclose()

    def _start(self) -> PlaygroundInfo:
        # Its Temporal server is tied to the thread that starts it: this one lives until `stop`.
        self._thread = LoopThread("playground")
        self._playground = Playground(data_dir=self._data_dir)
        try:
            info = self._thread.call(self._playground.start(), limit=START_LIMIT)
            if info.warning:
                log.warning("%s", info.warning)
            return info
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            if self._playground is not None:
                thread.call(self._playground.stop(), limit=STOP_LIMIT)
        finally:
            thread.close()
