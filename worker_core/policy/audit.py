"""The audit log: what was decided about tool calls. JSON lines, appended only, each chained to the one before.

A line carries `previous`, the SHA-256 of the line before it, and `hash`, its own. A changed byte, a line taken out or
put in breaks the chain. Lines cut off at the very end leave no trace in it: keep a copy elsewhere where that matters.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from worker_core.basics.files import locked
from worker_core.basics.quick_dataclass import dataclass
from worker_core.paths import private_directory

ROTATE_AT_BYTES: Final = 10_000_000
KEPT_FILES: Final = 20
"""Older ones are removed; the chain of what is left then begins in the middle, which `verify` says."""

_START: Final = "0" * 64
_BEFORE_HASH: Final = b',"hash":"'
_LONGEST_LINE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """`problems` are sentences about broken places; `notes` about what is odd but honest (a crash, a rotation)."""

    entries: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


class AuditLog:
    """Usable from any thread, and by several workers of one home at a time."""

    def __init__(
        self, file: Path, *, mask: Callable[[str], str] = lambda text: text, rotate_at_bytes: int = ROTATE_AT_BYTES
    ) -> None:
        self.file = file
        self._mask = mask
        self._rotate_at_bytes = rotate_at_bytes
        self._lock = threading.Lock()

    def record(self, kind: str, **facts: Any) -> None:
        """Append one entry; it is on disk when this returns. Texts are masked, and cut at 2000 characters.

        Raises:
            OSError: it cannot be written.

        """
        masked = _masked(facts, self._mask)
        with self._lock:
            private_directory(self.file.parent)
            with locked(self.file.with_suffix(".lock")):
                previous, sequence = self._make_ready()
                self._append(kind, masked, previous=previous, sequence=sequence)

    def _make_ready(self) -> tuple[str, int]:
        """Rotate, and mark what a crash left. Returns the last hash and number."""
        try:
            size = self.file.stat().st_size
        except FileNotFoundError:
            size = 0
        if not size:
            return self._carried()
        last, torn = _tail(self.file, size)
        if last is None and torn:
            previous, sequence = self._carried()
        else:
            previous, sequence = _link(last) if last is not None else (_START, 0)
        if torn:
            with self._open() as stream:
                stream.write(b"\n")
            facts = {"sha256": hashlib.sha256(torn).hexdigest(), "bytes": len(torn)}
            previous, sequence = self._append("torn", facts, previous=previous, sequence=sequence)
        if size >= self._rotate_at_bytes:
            self.file.rename(self.file.with_name(f"{self.file.stem}-{sequence:012d}{self.file.suffix}"))
            for old in archived(self.file)[:-KEPT_FILES]:
                old.unlink(missing_ok=True)
        return previous, sequence

    def _carried(self) -> tuple[str, int]:
        older = archived(self.file)
        if not older:
            return _START, 0
        last, _ = _tail(older[-1], older[-1].stat().st_size)
        return _link(last) if last is not None else (_START, 0)

    def _append(self, kind: str, facts: Mapping[str, Any], *, previous: str, sequence: int) -> tuple[str, int]:
        entry = {
            "sequence": sequence + 1,
            "at": datetime.now(UTC).isoformat(),
            "kind": kind,
            **facts,
            "previous": previous,
        }
        body = json.dumps(entry, separators=(",", ":")).encode()[:-1]
        digest = hashlib.sha256(body).hexdigest()
        with self._open() as stream:
            stream.write(body + _BEFORE_HASH + digest.encode() + b'"}\n')
            stream.flush()
            os.fsync(stream.fileno())
        return digest, sequence + 1

    def _open(self) -> Any:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self.file, flags, 0o600), "ab")


def archived(file: Path) -> list[Path]:
    """Rotated files, oldest first."""
    return sorted(file.parent.glob(f"{file.stem}-[0-9]*{file.suffix}"))


def entries(file: Path) -> Iterator[dict[str, Any]]:
    """All that can be read, oldest first."""
    for one in (*archived(file), file):
        with contextlib.suppress(FileNotFoundError):
            for line in one.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict):
                        yield entry


def verify(file: Path) -> Verified:
    """Follow the chain through all files.

    Raises:
        OSError: a file cannot be read.

    """
    problems: list[str] = []
    notes: list[str] = []
    count, previous, sequence = 0, "", 0
    files = [*archived(file), *([file] if file.exists() else [])]
    for one in files:
        lines = one.read_bytes().split(b"\n")
        rest = lines.pop()
        fragment: tuple[int, bytes] | None = None
        for number, line in enumerate(lines, start=1):
            where = f"{one.name}, line {number}"
            entry = _checked(line)
            if entry is None:
                if fragment is not None:
                    problems.append(f"{one.name}, line {fragment[0]}: it was changed, or is no entry.")
                fragment = (number, line)
                continue
            if fragment is not None:
                if entry.get("kind") == "torn" and entry.get("sha256") == hashlib.sha256(fragment[1]).hexdigest():
                    notes.append(f"{one.name}, line {fragment[0]}: torn by a crash, and noted then.")
                else:
                    problems.append(f"{one.name}, line {fragment[0]}: it was changed, or is no entry.")
                fragment = None
            if not previous and entry["previous"] != _START and len(archived(file)) >= KEPT_FILES:
                notes.append(f"{where}: the chain begins in the middle; older files were removed.")
            elif (previous and (entry["previous"] != previous or entry["sequence"] != sequence + 1)) or (
                not previous and entry["sequence"] != 1
            ):
                problems.append(f"{where}: it does not follow the entry before it.")
            previous, sequence = entry["hash"], entry["sequence"]
            count += 1
        if fragment is not None:
            problems.append(f"{one.name}, line {fragment[0]}: it was changed, or is no entry.")
        if rest:
            if one == file and _is_beginning(rest):
                notes.append(f"{one.name}: the last line is torn, by a crash; the next entry will note it.")
            else:
                problems.append(f"{one.name}: its end was changed.")
    return Verified(entries=count, problems=tuple(problems), notes=tuple(notes))


def _is_beginning(rest: bytes) -> bool:
    """A write that was cut off holds the beginning of an entry, and never the whole of one."""
    return rest.startswith(b'{"sequence":'[: len(rest)]) and b'"}' not in rest[-3:] and b"\0" not in rest


def _checked(line: bytes) -> dict[str, Any] | None:
    """The entry, where it is whole and its hash is right."""
    body, found, ending = line.rpartition(_BEFORE_HASH)
    if not found or ending != hashlib.sha256(body).hexdigest().encode() + b'"}':
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    sound = (
        isinstance(entry, dict) and isinstance(entry.get("previous"), str) and isinstance(entry.get("sequence"), int)
    )
    return entry if sound else None


def _tail(file: Path, size: int) -> tuple[bytes | None, bytes]:
    """The last whole line that is sound, and what stands behind the last line break."""
    with file.open("rb") as stream:
        stream.seek(max(0, size - 4 * _LONGEST_LINE_BYTES))
        *lines, torn = stream.read().split(b"\n")
    return next((line for line in reversed(lines) if _checked(line) is not None), None), torn


def _link(line: bytes) -> tuple[str, int]:
    entry = json.loads(line)
    return entry["hash"], entry["sequence"]


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return mask(value.encode("utf-8", "replace").decode())[:2000]
    if isinstance(value, Mapping):
        return {str(name): _masked(one, mask) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(one, mask) for one in value[:20]]
    return value
