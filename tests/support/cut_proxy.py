"""A TCP proxy that takes a server away and gives it back: refuse, hang, cut, restore."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal, Self


class CutProxy:
    """Forwards `127.0.0.1:port` to a target. All methods take effect before they return."""

    def __init__(self, *, target_port: int, target_host: str = "127.0.0.1", port: int = 0) -> None:
        self._target = (target_host, target_port)
        self.port = port
        self.connections_made = 0
        self._mode: Literal["forward", "hang"] = "forward"
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def aim(self, port: int) -> None:
        """Forward new connections to another port; existing ones stay."""
        self._target = (self._target[0], port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def refuse(self) -> None:
        """Nothing listens any more, and existing connections are cut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def hang(self) -> None:
        """Connections are taken, existing ones stay, and no byte moves."""
        self._open.clear()

    async def cut(self) -> None:
        """Reset every existing connection; new ones are as before."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def restore(self) -> None:
        """Forward again, on the same port."""
        self._open.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(self, *_details: object) -> None:
        await self.refuse()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_made += 1
        task = asyncio.get_running_loop().create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            back, there = await asyncio.open_connection(*self._target)
            ways = [
                asyncio.ensure_future(self._pump(reader, there)),
                asyncio.ensure_future(self._pump(back, writer)),
            ]
            try:
                await asyncio.gather(*ways)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            for one in (writer, there):
                if one is not None:
                    one.transport.abort()
                    with contextlib.suppress(OSError, asyncio.CancelledError):
                        await one.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(65536):
            await self._open.wait()
            writer.write(content)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
