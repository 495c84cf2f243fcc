"""A gRPC server that refuses every call with one status: as much of HTTP/2 (RFC 9113) as that takes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Self

PERMISSION_DENIED: Final = 7
UNAUTHENTICATED: Final = 16

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _SETTINGS, _PING = 0x1, 0x4, 0x6
_ACK, _END_STREAM, _END_HEADERS = 0x1, 0x1, 0x4


class RefusingTemporal:
    """Listens on `port` of 127.0.0.1 inside its block."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.refused = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_details: object) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            assert await reader.readexactly(len(_PREFACE)) == _PREFACE
            writer.write(_frame(_SETTINGS, 0, 0))
            while True:
                head = await reader.readexactly(9)
                size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
                stream = int.from_bytes(head[5:]) & 0x7FFF_FFFF
                payload = await reader.readexactly(size)
                if kind == _HEADERS:
                    self.refused += 1
                    writer.write(_frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, self._trailers()))
                elif kind in {_SETTINGS, _PING} and not flags & _ACK:
                    writer.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        writer.transport.abort()

    def _trailers(self) -> bytes:
        """HPACK: `:status: 200` is the table's eighth line; the others are literals that no table keeps."""
        named = {"content-type": "application/grpc", "grpc-status": str(self._status), "grpc-message": "Key refused."}
        return b"\x88" + b"".join(b"\x00" + _text(name) + _text(value) for name, value in named.items())


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload
