"""What a process printed: its beginning and its end in memory, the whole in a file once it no longer fits."""

from __future__ import annotations

import tempfile
from collections import deque
from typing import IO


class OutputKeeper:
    """Bounded in memory whatever is printed.

    Args:
        limit_bytes: kept in memory; half for the beginning, half for the end.
        whole_limit_bytes: kept in the file; `full` is True beyond.

    """

    def __init__(self, *, limit_bytes: int, whole_limit_bytes: int) -> None:
        self._limit = max(2, limit_bytes)
        self._whole_limit = whole_limit_bytes
        self._all = bytearray()
        self._file: IO[bytes] | None = None
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.total_bytes = 0

    @property
    def full(self) -> bool:
        return self.total_bytes > self._whole_limit

    @property
    def was_cut(self) -> bool:
        return self.total_bytes > self._limit

    def feed(self, piece: bytes) -> None:
        self.total_bytes += len(piece)
        if self._file is None and self.total_bytes <= self._limit:
            self._all += piece
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by close()
            self._file.write(self._all)
            self._append(bytes(self._all))
        self._file.write(piece)
        self._append(piece)

    def _append(self, piece: bytes) -> None:
        self._tail.append(piece)
        self._tail_bytes += len(piece)
        while self._tail_bytes - len(self._tail[0]) >= self._limit:
            self._tail_bytes -= len(self._tail.popleft())

    def whole(self) -> bytes:
        """Everything that was printed, up to the limit of the file."""
        if self._file is None:
            return bytes(self._all)
        self._file.seek(0)
        return self._file.read(self._whole_limit)

    def ends(self) -> tuple[bytes, bytes]:
        """Beginning and end; together they are everything when nothing was cut."""
        if self._file is None:
            return bytes(self._all), b""
        half = self._limit // 2
        return bytes(self._all[:half]), b"".join(self._tail)[-half:]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
