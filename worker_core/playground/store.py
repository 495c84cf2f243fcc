"""What the playground remembers: one SQLite file, one table per kind of thing.

The store belongs to the event loop's thread. A statement takes some ten microseconds (WAL, no fsync per commit: a
killed process loses nothing, a power cut may lose the last moments), so it is called without a thread between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from worker_core.errors import ConfigurationError

Row = dict[str, Any]

_COMMON: Final = {"id": "TEXT PRIMARY KEY", "organization_id": "TEXT", "created_at": "TEXT", "updated_at": "TEXT"}
_USER: Final = {"user_id": "TEXT", "user_name": "TEXT", "user_email": "TEXT", "user_avatar": "TEXT"}

SCHEMA: Final[Mapping[str, Mapping[str, str]]] = {
    "facts": {"name": "TEXT PRIMARY KEY", "value": "TEXT"},
    "environments": {
        **_COMMON, "name": "TEXT", "display_name": "TEXT", "description": "TEXT", "status": "TEXT",
        "tags": "JSON", "settings": "JSON", "execution_environment": "JSON",
    },
    "queues": {
        **_COMMON, "environment_id": "TEXT", "name": "TEXT", "display_name": "TEXT", "description": "TEXT",
        "status": "TEXT", "max_workers": "INTEGER", "heartbeat_interval": "INTEGER", "tags": "JSON",
        "settings": "JSON", "created_by": "TEXT", "ephemeral": "BOOLEAN", "single_execution": "BOOLEAN",
    },
    "workers": {
        "id": "TEXT PRIMARY KEY", "organization_id": "TEXT", "queue_id": "TEXT", "status": "TEXT",
        "worker_metadata": "JSON", "registered_at": "TEXT", "updated_at": "TEXT",
    },
    "heartbeats": {"worker_id": "TEXT PRIMARY KEY", "at": "REAL", "record": "JSON"},
    "agents": {
        **_COMMON, "name": "TEXT", "description": "TEXT", "status": "TEXT", "capabilities": "JSON",
        "configuration": "JSON", "model_id": "TEXT", "llm_config": "JSON", "runtime": "TEXT",
        "runner_name": "TEXT", "team_id": "TEXT", "execution_environment": "JSON", "environment_ids": "JSON",
        "state": "JSON", "last_active_at": "TEXT", "error_message": "TEXT",
    },
    "teams": {
        **_COMMON, "name": "TEXT", "description": "TEXT", "status": "TEXT", "configuration": "JSON",
        "runtime": "TEXT", "execution_environment": "JSON", "environment_ids": "JSON",
    },
    "skills": {
        **_COMMON, "name": "TEXT", "type": "TEXT", "description": "TEXT", "icon": "TEXT", "enabled": "BOOLEAN",
        "configuration": "JSON",
    },
    "skill_associations": {
        **_COMMON, "entity_type": "TEXT", "entity_id": "TEXT", "skill_id": "TEXT", "configuration_override": "JSON",
    },
    "secrets": {"name": "TEXT PRIMARY KEY", "value": "TEXT"},
    "executions": {
        **_COMMON, **_USER, "execution_type": "TEXT", "entity_id": "TEXT", "entity_name": "TEXT", "prompt": "TEXT",
        "system_prompt": "TEXT", "status": "TEXT", "response": "TEXT", "error_message": "TEXT", "usage": "JSON",
        "execution_metadata": "JSON", "runner_name": "TEXT", "started_at": "TEXT", "completed_at": "TEXT",
        "last_message_at": "TEXT", "last_message_preview": "TEXT", "worker_queue_id": "TEXT",
        "trigger_source": "TEXT", "agent_config": "JSON",
    },
    "sessions": {
        "execution_id": "TEXT PRIMARY KEY", "session_id": "TEXT", "user_id": "TEXT", "messages": "JSON",
        "metadata": "JSON", "stored_at": "REAL",
    },
    "events": {
        "seq": "INTEGER PRIMARY KEY AUTOINCREMENT", "execution_id": "TEXT", "event_type": "TEXT", "data": "JSON",
        "timestamp": "TEXT", "received_at": "TEXT", "origin": "TEXT", "flat": "BOOLEAN", "sequence": "INTEGER",
    },
    "turns": {"id": "TEXT PRIMARY KEY", "execution_id": "TEXT", "turn_number": "INTEGER", "record": "JSON",
              "decision": "TEXT", "created_at": "TEXT"},
    "tool_calls": {"id": "TEXT PRIMARY KEY", "execution_id": "TEXT", "turn_id": "TEXT", "record": "JSON",
                   "created_at": "TEXT"},
    "tasks": {"id": "TEXT PRIMARY KEY", "execution_id": "TEXT", "record": "JSON", "created_at": "TEXT"},
    "jobs": {
        **_COMMON, "name": "TEXT", "description": "TEXT", "status": "TEXT", "entity_type": "TEXT", "entity_id": "TEXT",
        "prompt": "TEXT", "system_prompt": "TEXT", "model_id": "TEXT", "worker_queue_id": "TEXT",
        "configuration": "JSON", "cron_schedule": "TEXT", "cron_timezone": "TEXT", "interval_seconds": "INTEGER",
    },
    "job_executions": {"execution_id": "TEXT PRIMARY KEY", "job_id": "TEXT", "trigger_type": "TEXT",
                       "status": "TEXT", "duration_ms": "INTEGER", "created_at": "TEXT"},
}  # fmt: skip

_INDEXES: Final = (
    "CREATE INDEX IF NOT EXISTS events_by_execution ON events (execution_id, seq)",
    "CREATE UNIQUE INDEX IF NOT EXISTS events_once ON events (execution_id, sequence) WHERE sequence IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS executions_by_time ON executions (created_at)",
    "CREATE INDEX IF NOT EXISTS workers_by_queue ON workers (queue_id)",
    "CREATE INDEX IF NOT EXISTS turns_by_execution ON turns (execution_id)",
    "CREATE INDEX IF NOT EXISTS associations ON skill_associations (entity_type, entity_id)",
)


def now_text() -> str:
    """The present moment as the wire wants it: ISO-8601, UTC."""
    return datetime.now(UTC).isoformat()


class Store:
    """Tables of rows; JSON columns are decoded values, absent ones None.

    Table and column names are always ours (checked against `SCHEMA`); values always travel as parameters.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigurationError: another playground uses this file, or it is no database.
        """
        self.path = path
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.5)
        self._connection.row_factory = sqlite3.Row
        try:
            # The exclusive lock keeps a second playground off this folder; the OS frees it when we die.
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            with self.transaction():
                self._create()
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise ConfigurationError(
                f"The playground's data in {path.parent} is in use by another playground ({error}). "
                "Stop that one, or choose another folder."
            ) from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ConfigurationError(
                f"The file {path} is not a playground database ({error}). Move it away and start again."
            ) from error

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def insert(self, table: str, row: Mapping[str, Any], *, on_conflict: str = "ABORT") -> int | None:
        """Write one row. Returns its rowid, or None where `on_conflict="IGNORE"` left it out."""
        columns = list(row)
        _check(table, columns)
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT OR {on_conflict} INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        cursor = self._connection.execute(sql, [_encode(table, name, row[name]) for name in columns])
        return cursor.lastrowid if cursor.rowcount else None

    def update(self, table: str, changes: Mapping[str, Any], **where: Any) -> int:
        """Change the rows that equal `where`. Returns how many."""
        if not changes:
            return 0
        _check(table, [*changes, *where])
        assignments = ", ".join(f"{name} = ?" for name in changes)
        sql = f"UPDATE {table} SET {assignments} WHERE {_conditions(where)}"  # noqa: S608
        values = [_encode(table, name, value) for name, value in changes.items()]
        return self._connection.execute(sql, [*values, *where.values()]).rowcount

    def delete(self, table: str, **where: Any) -> int:
        _check(table, where)
        sql = f"DELETE FROM {table} WHERE {_conditions(where)}"  # noqa: S608
        return self._connection.execute(sql, list(where.values())).rowcount

    def get(self, table: str, **where: Any) -> Row | None:
        rows = self.find(table, limit=1, **where)
        return rows[0] if rows else None

    def find(
        self,
        table: str,
        *,
        order: str = "rowid",
        descending: bool = False,
        limit: int = -1,
        offset: int = 0,
        after: int | None = None,
        **where: Any,
    ) -> list[Row]:
        """The rows that equal `where`, ordered. `after` keeps those whose `order` column is greater."""
        _check(table, where if order == "rowid" else [order, *where])
        conditions = _conditions(where)
        values = list(where.values())
        if after is not None:
            conditions += f" AND {order} > ?"
            values.append(after)
        direction = "DESC" if descending else "ASC"
        sql = f"SELECT * FROM {table} WHERE {conditions} ORDER BY {order} {direction} LIMIT ? OFFSET ?"  # noqa: S608
        return [_decode(table, row) for row in self._connection.execute(sql, [*values, limit, offset])]

    def _create(self) -> None:
        for table, columns in SCHEMA.items():
            declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({declared})")
            present = {row["name"] for row in self._connection.execute(f"PRAGMA table_info({table})")}
            for name in columns.keys() - present:  # a file of an older version
                self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")
        for index in _INDEXES:
            self._connection.execute(index)


def _check(table: str, names: Any) -> None:
    unknown = set(names) - SCHEMA[table].keys()
    if unknown:
        raise KeyError(f"{table} has no column {sorted(unknown)}")


def _conditions(where: Mapping[str, Any]) -> str:
    return " AND ".join(f"{name} = ?" for name in where) or "1"


def _encode(table: str, name: str, value: Any) -> Any:
    if value is not None and SCHEMA[table][name] == "JSON":
        return msgspec.json.encode(value).decode()
    return value


def _decode(table: str, row: sqlite3.Row) -> Row:
    kinds = SCHEMA[table]
    result: Row = {}
    for name in kinds:
        value = row[name]
        if value is not None:
            if kinds[name] == "JSON":
                value = msgspec.json.decode(value)
            elif kinds[name] == "BOOLEAN":
                value = bool(value)
        result[name] = value
    return result
