"""Where masked log lines go: a terminal, and a file that rotates. A sink never raises."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, TextIO

from worker_core.basics.files import locked
from worker_core.paths import private_directory

if TYPE_CHECKING:
    from worker_core.logs.ring import LogLine  # settings need the words of this file alone, and no msgspec

LogFormat = Literal["text", "json"]

FILE_LIMIT_MB: Final = 100
FILES: Final = 5
_BYTES_PER_MB: Final = 1_000_000
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
_COPIES: Final = 3
"""Of a file that is written to meanwhile, by another worker."""

_TRIES_APART: Final = 10
"""A rotation that failed is tried again when the file is a tenth of its limit larger: each try may copy the file."""

_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_COLOURS: Mapping[str, str] = {
    "DEBUG": "\x1b[2m",
    "INFO": "\x1b[36m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[1;31m",
}


class Sink(Protocol):
    """Takes masked lines, one at a time."""

    def write(self, line: LogLine) -> None: ...

    def close(self) -> None: ...


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to write colours: a terminal that knows them, and nobody said NO_COLOR (https://no-color.org)."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    if environ.get("FORCE_COLOR"):
        return True
    try:
        if not stream.isatty():
            return False
    except (AttributeError, ValueError):
        return False
    if sys.platform == "win32":  # the old console shows escapes as text
        return any(name in environ for name in ("WT_SESSION", "ANSICON", "TERM_PROGRAM", "ConEmuANSI"))
    return True


class ConsoleSink:
    """`HH:MM:SS LEVEL message` in local time; coloured on a terminal; or one JSON object a line."""

    def __init__(self, stream: TextIO, *, style: LogFormat = "text", colour: bool | None = None) -> None:
        self._stream = stream
        self._style = style
        self._colour = wants_colour(stream) if colour is None else colour

    def write(self, line: LogLine) -> None:
        # A closed pipe or a vanished terminal must not stop the worker; the file has the line.
        with contextlib.suppress(OSError, ValueError):
            self.show(line)

    def show(self, line: LogLine) -> None:
        """For whoever asked for the lines and nothing else.

        Raises:
            OSError: nobody takes them any more.
        """
        text = json.dumps(line.to_json(), ensure_ascii=False) if self._style == "json" else self._text(line)
        try:
            self._stream.write(text + "\n")
        except UnicodeEncodeError:
            self._stream.write(text.encode("ascii", "backslashreplace").decode() + "\n")
        self._stream.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def _text(self, line: LogLine) -> str:
        time = line.at.astimezone().strftime("%H:%M:%S")
        message = line.message.replace("\n", "\n" + " " * 17)
        if not self._colour:
            return f"{time} {line.level:<7} {message}"
        if line.level in {"ERROR", "CRITICAL", "WARNING"}:
            message = f"{_COLOURS[line.level]}{message}{_RESET}"
        return f"{_DIM}{time}{_RESET} {_COLOURS.get(line.level, '')}{line.level:<7}{_RESET} {message}"


class FileSink:
    """A log file, readable by its owner alone, rotated by size, whoever reads it meanwhile.

    A full disk or a read-only folder costs lines, never the worker; `complain` hears of it once.
    """

    def __init__(
        self,
        path: Path,
        *,
        limit_mb: float = FILE_LIMIT_MB,
        files: int = FILES,
        style: LogFormat = "text",
        complain: TextIO | None = None,
    ) -> None:
        """Nothing is opened before the first line.

        Args:
            path: its folder is made where it is missing.
            limit_mb: of the file, in millions of bytes; then it becomes `path.1`, and that `path.2`.
            files: how many there are at most, with the one that is written.
            style: `text`: `TIME LEVEL LOGGER: MESSAGE`, further lines as they are; `json`: an object a line.
            complain: hears that it cannot be written.
        """
        self._path = path
        self._limit = round(limit_mb * _BYTES_PER_MB)
        self._files = files
        self._style: LogFormat = style
        self._complain = complain
        self._file: int | None = None
        self._next_try = 0
        """Size of the file at which a rotation that failed is tried again."""

        self._torn = False
        """The last line is there in part: the disk took no more of it."""

        self._complained = False

    def write(self, line: LogLine) -> None:
        if self._style == "json":
            text = json.dumps(line.to_json(), ensure_ascii=False) + "\n"
        else:
            text = f"{line.at.isoformat(timespec='milliseconds')} {line.level:<7} {line.logger}: {line.message}\n"
        try:
            self._write(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._drop_file()
            self._say_once(error)
        else:
            self._complained = False

    def close(self) -> None:
        self._drop_file()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._open()
        assert self._file is not None
        state = os.fstat(self._file)
        # No links left: another worker of this user rotated the file away for good. The size says when it is our turn.
        if state.st_nlink == 0 or (state.st_size and state.st_size + len(data) > self._limit):
            self._drop_file()
            self._rotate(len(data))
            self._open()
        if self._torn:
            data = b"\n" + data
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
            self._torn = bool(view)

    def _open(self) -> None:
        private_directory(self._path.parent)
        self._file = _opened(self._path)

    def _rotate(self, incoming: int) -> None:
        """worker.log -> worker.log.1 -> ... -> gone, by one worker at a time: another then need not."""
        lock = self._path.with_name(f".{self._path.name}.lock")
        with contextlib.suppress(OSError), locked(lock, limit_seconds=0):
            size = self._path.stat().st_size
            if size + incoming <= self._limit or size < self._next_try:
                return
            self._next_try = 0
            if self._files == 1:
                os.truncate(self._path, 0)
                return
            try:
                self._number_anew()
            except OSError:  # somebody holds one of them: we go on in the file as it is, and try again a little later
                self._next_try = self._path.stat().st_size + self._limit // _TRIES_APART

    def _number_anew(self) -> None:
        """First what is full goes aside: no older one is moved, and in the end lost, before that is certain."""
        if not self._aside.exists():
            try:
                _move(self._path, self._aside)
            except OSError:
                self._aside.unlink(missing_ok=True)
                raise
        older = [*itertools.takewhile(_holds_something, map(self._numbered, range(1, self._files - 1)))]
        for number in range(len(older), 0, -1):
            _move(self._numbered(number), self._numbered(number + 1))
        _move(self._aside, self._numbered(1))
        self._aside.unlink(missing_ok=True)

    @property
    def _aside(self) -> Path:
        """What was the file, until it has its number."""
        return self._path.with_name(f".{self._path.name}.aside")

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _drop_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    def _say_once(self, error: OSError) -> None:
        if self._complained or self._complain is None:
            return
        self._complained = True
        with contextlib.suppress(OSError, ValueError):
            self._complain.write(
                f"The log file {self._path} cannot be written ({error.strerror}); lines go to the terminal alone "
                "until it can.\n"
            )
            self._complain.flush()


if sys.platform == "win32":
    import _winapi
    import msvcrt

    def _opened(path: Path) -> int:
        """For appending, so that other workers may rename it meanwhile: `os.open` shares no deletion (Microsoft's
        documentation of `CreateFile`: FILE_SHARE_DELETE).
        """
        append_and_ask, share_all, open_or_make, normal = 0x4 | 0x80 | 0x0010_0000, 0x1 | 0x2 | 0x4, 4, 0x80
        handle = _winapi.CreateFile(str(path), append_and_ask, share_all, 0, open_or_make, normal, 0)
        return msvcrt.open_osfhandle(handle, _APPEND)

else:

    def _opened(path: Path) -> int:
        """For appending."""
        return os.open(path, _APPEND, 0o600)


def _holds_something(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _move(older: Path, to: Path) -> None:
    """Rename a file; where somebody holds it so that it cannot be (on Windows, whoever reads it), copy and empty it.

    Raises:
        OSError: neither can be done. Whatever stood in `older` still stands there.
    """
    try:
        older.replace(to)
    except OSError:
        for _ in range(_COPIES):
            shutil.copyfile(older, to)
            if to.stat().st_size == older.stat().st_size:
                break
        else:
            raise
        to.chmod(0o600)
        os.truncate(older, 0)
