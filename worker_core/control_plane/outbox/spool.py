"""Events on disk while the control plane is away: one SQLite file per process, adopted by the next when its owner died.

A file is owned by whoever holds SQLite's own exclusive lock on it, which the operating system releases when a process
ends, however it ends. WAL with synchronous=NORMAL survives `kill -9` whole; after a power cut, the last moments may be
lost, the rest is not. All methods block; the outbox calls them in a thread of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from worker_core.basics.files import locked
from worker_core.basics.quick_dataclass import dataclass
from worker_core.paths import private_directory, private_file

log = logging.getLogger(__name__)

SPOOL_LIMIT_BYTES = 256 << 20
FORMAT = 1
"""In SQLite's `user_version`; 0 is the same, of versions that wrote none. A file of a later one is left to it: what is
not understood looks empty, and what is empty is deleted."""

_PAGE_BYTES = 4096
_SUFFIX = ".spool"
_LOCK_LIMIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    execution_id: str
    sequence: int
    body: bytes


class SpoolError(Exception):
    """The disk is full, or the file cannot be used. Its text is the cause."""


class LaterSpool(SpoolError):
    """A later version of this program wrote the file."""


class Spool:
    """One open, exclusively owned file."""

    def __init__(self, path: Path, *, limit_bytes: int = SPOOL_LIMIT_BYTES) -> None:
        """Open or make the file.

        Raises:
            LaterSpool: it is of a later version.
            SpoolError: it cannot be made, is owned by a living process, or is no spool.
        """
        import sqlite3

        self.path = path
        self._sqlite = sqlite3
        try:
            self._database = sqlite3.connect(
                private_file(path), timeout=0, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(str(error)) from error
        try:
            self._prepare(limit_bytes)
        except sqlite3.Error as error:
            self._database.close()
            raise SpoolError(str(error)) from error
        except LaterSpool:
            self._database.close()
            raise

    def _prepare(self, limit_bytes: int) -> None:
        run = self._database.execute
        # Exclusive mode before WAL: no shared-memory file, and the first access takes the lock for good.
        run("PRAGMA locking_mode=EXCLUSIVE")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        run(f"PRAGMA max_page_count={max(limit_bytes // _PAGE_BYTES, 8)}")
        run("BEGIN EXCLUSIVE")
        (found,) = run("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise LaterSpool(f"it has format {found}, and this version knows {FORMAT}")
        run(
            "CREATE TABLE IF NOT EXISTS events (execution_id TEXT NOT NULL, sequence INTEGER NOT NULL,"
            " body BLOB NOT NULL, PRIMARY KEY (execution_id, sequence))"
        )
        run(f"PRAGMA user_version={FORMAT}")
        run("COMMIT")

    def append(self, rows: Iterable[Row]) -> None:
        """All rows or none. A row that is there already is left as it is.

        Raises:
            SpoolError: the disk is full, or the file's limit is reached.
        """
        with self._transaction():
            self._database.executemany(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?)",
                ((row.execution_id, row.sequence, row.body) for row in rows),
            )

    def remove(self, rows: Iterable[Row]) -> None:
        """Forget rows that were delivered. Raises SpoolError."""
        with self._transaction():
            self._database.executemany(
                "DELETE FROM events WHERE execution_id = ? AND sequence = ?",
                ((row.execution_id, row.sequence) for row in rows),
            )

    def read(self, execution_id: str, *, after: int, limit: int) -> list[Row]:
        """The next rows of one execution, in order. Raises SpoolError."""
        try:
            found = self._database.execute(
                "SELECT execution_id, sequence, body FROM events WHERE execution_id = ? AND sequence > ?"
                " ORDER BY sequence LIMIT ?",
                (execution_id, after, limit),
            ).fetchall()
        except self._sqlite.Error as error:
            raise SpoolError(str(error)) from error
        return [Row(*row) for row in found]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Execution id -> (number of rows, highest sequence). Raises SpoolError."""
        try:
            found = self._database.execute("SELECT execution_id, count(*), max(sequence) FROM events GROUP BY 1")
            return {str(name): (int(number), int(highest)) for name, number, highest in found}
        except self._sqlite.Error as error:
            raise SpoolError(str(error)) from error

    def take_over(self, other: Spool) -> None:
        """Move all rows of `other` here.

        A crash in between leaves a row in both files; the next adoption merges them again before anything is sent.

        Raises:
            SpoolError: there is no room; `other` is left as it is.
        """
        try:
            rows = other._database.execute("SELECT execution_id, sequence, body FROM events")
            self.append(Row(*row) for row in rows)
            other._database.execute("DELETE FROM events")
        except self._sqlite.Error as error:
            raise SpoolError(str(error)) from error

    def close(self, *, delete: bool = False) -> None:
        """Let go of the file, and delete it where told so."""
        with contextlib.suppress(self._sqlite.Error):
            self._database.close()
        if delete:
            _delete(self.path)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN")
            yield
            self._database.execute("COMMIT")
        except self._sqlite.Error as error:
            with contextlib.suppress(self._sqlite.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            raise SpoolError(str(error)) from error


def create(folder: Path, *, limit_bytes: int = SPOOL_LIMIT_BYTES) -> Spool:
    """A new file of this process. Raises SpoolError."""
    with _folder_lock(folder):
        return Spool(folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}{_SUFFIX}", limit_bytes=limit_bytes)


def adopt(folder: Path, *, limit_bytes: int = SPOOL_LIMIT_BYTES) -> Spool | None:
    """Everything that dead processes left in `folder`, as one file of this process; None where nothing is left.

    Files of living processes are left alone; files that are damaged are set aside and reported.
    """
    if not any(folder.glob(f"*{_SUFFIX}")):
        return None
    own: Spool | None = None
    try:
        with _folder_lock(folder):
            for path in sorted(folder.glob(f"*{_SUFFIX}")):
                own = _adopt_one(path, own, limit_bytes)
    except SpoolError as error:
        log.warning("Events that an earlier worker left in %s stay there until the next start: %s.", folder, error)
    return own


def _adopt_one(path: Path, own: Spool | None, limit_bytes: int) -> Spool | None:
    try:
        found = Spool(path, limit_bytes=limit_bytes)
    except LaterSpool as error:
        log.warning("Events that a later version of this program left in %s stay there for it: %s.", path, error)
        return own
    except SpoolError as error:
        if "locked" not in str(error):
            _set_aside(path, error)
        return own
    try:
        if not found.counts():
            found.close(delete=True)
            return own
        if own is None:
            return found
        own.take_over(found)
    except SpoolError as error:
        found.close()
        if "malformed" in str(error) or "not a database" in str(error):
            _set_aside(path, error)
        else:
            log.warning("Events that an earlier worker left in %s stay there until the next start: %s.", path, error)
        return own
    found.close(delete=True)
    return own


def _set_aside(path: Path, error: SpoolError) -> None:
    damaged = path.with_suffix(".damaged")
    with contextlib.suppress(OSError):
        path.replace(damaged)
        log.error("Events that an earlier worker left cannot be read (%s); the file is kept as %s.", error, damaged)
    for leftover in _companions(path):
        with contextlib.suppress(OSError):
            leftover.unlink(missing_ok=True)


def _companions(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))


def _delete(path: Path) -> None:
    for one in (path, *_companions(path)):
        with contextlib.suppress(OSError):
            one.unlink(missing_ok=True)


@contextlib.contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Only one process at a time makes or adopts files: a file cannot be deleted under its next owner."""
    with contextlib.ExitStack() as held:
        try:
            private_directory(folder)
            held.enter_context(locked(folder / "lock", limit_seconds=_LOCK_LIMIT_SECONDS))
        except OSError as error:
            raise SpoolError(str(error)) from error
        yield
