"""What a process printed: its beginning and its end in memory, the whole in a file once it no longer fits."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from typing import IO

_BLOCK_BYTES = 65536
_MISSING = "\n[... {} bytes are missing here: the folder for temporary files is full or cannot be written ...]\n"


class Ends:
    """The beginning and the end of a stream of bytes, at most `limit_bytes` together."""

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit = max(2, limit_bytes)
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.total_bytes = 0

    @property
    def was_cut(self) -> bool:
        return self.total_bytes > self._limit

    def feed(self, piece: bytes) -> None:
        self.total_bytes += len(piece)
        if (room := self._limit // 2 - len(self._head)) > 0:
            self._head += piece[:room]
            piece = piece[room:]
        if piece:
            self._tail.append(piece)
            self._tail_bytes += len(piece)
        while self._tail and self._tail_bytes - len(self._tail[0]) >= self._tail_limit:
            self._tail_bytes -= len(self._tail.popleft())

    @property
    def _tail_limit(self) -> int:
        return self._limit - self._limit // 2

    def parts(self) -> tuple[bytes, bytes]:
        """Beginning and end; together they are everything when nothing was cut."""
        return bytes(self._head), b"".join(self._tail)[-self._tail_limit :]


class OutputKeeper:
    """Bounded in memory and on disk, whatever is printed. Fed from one thread, stopped and read from another.

    Args:
        limit_bytes: kept in memory; half for the beginning, half for the end.
        whole_limit_bytes: kept in the file; `full` is True beyond.

    """

    def __init__(self, *, limit_bytes: int, whole_limit_bytes: int) -> None:
        self._ends = Ends(limit_bytes=limit_bytes)
        self._limit = max(2, limit_bytes)
        self._whole_limit = whole_limit_bytes
        self._file: IO[bytes] | None = None
        self._file_bytes = 0
        self._file_failed = False
        self._stopped = False
        self._lock = threading.Lock()

    @property
    def total_bytes(self) -> int:
        return self._ends.total_bytes

    @property
    def full(self) -> bool:
        return self.total_bytes > self._whole_limit

    @property
    def was_cut(self) -> bool:
        return self._ends.was_cut

    @property
    def is_whole(self) -> bool:
        """False: `pieces` lacks something, since there was too much or the disk was full."""
        return not self.was_cut or (self._file_bytes == self.total_bytes and not self._file_failed)

    def feed(self, piece: bytes) -> None:
        with self._lock:
            if self._stopped:
                return
            if self.total_bytes + len(piece) > self._limit and not self._file_failed:
                self._write(piece)
            self._ends.feed(piece)

    def _write(self, piece: bytes) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- closed by close()
                piece = b"".join((*self._ends.parts(), piece))
            view = memoryview(piece)[: self._whole_limit - self._file_bytes]
            while view:
                written = self._file.write(view)
                self._file_bytes += written
                view = view[written:]
        except OSError:  # a full disk is no reason to lose the ends as well
            self._file_failed = True

    def stop(self) -> None:
        """What still comes is dropped."""
        with self._lock:
            self._stopped = True

    def ends(self) -> tuple[bytes, bytes]:
        """Beginning and end; together they are everything when nothing was cut."""
        return self._ends.parts()

    def latest_line(self) -> bytes:
        """The last whole line that is not blank, as far as it is kept; a progress bar's, too. Empty: there is none."""
        with self._lock:
            head, tail = self._ends.parts()
            begun = not self.was_cut
        *lines, _ = (head + tail if begun else tail).replace(b"\r", b"\n").split(b"\n")
        whole = lines if begun else lines[1:]
        return next((line for line in reversed(whole) if line.strip()), b"")

    def pieces(self) -> Iterator[bytes]:
        """Everything that was kept, in order. Where a full disk took no more, a line says what is missing."""
        head, tail = self._ends.parts()
        if self._file is None and not self._file_failed:
            yield from (head, tail)
            return
        if self._file is None or self._file_bytes < len(head):
            given = len(head)
            yield head
        else:
            given = self._file_bytes
            self._file.seek(0)
            while block := self._file.read(_BLOCK_BYTES):
                yield block
        if self._file_failed:
            missing = max(0, self.total_bytes - len(tail) - given)
            if missing:
                yield _MISSING.format(missing).encode()
            yield tail[max(0, given - (self.total_bytes - len(tail))) :]

    def close(self) -> None:
        self.stop()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
