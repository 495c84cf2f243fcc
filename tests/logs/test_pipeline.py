from __future__ import annotations

import io
import json
import logging
import os
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker_core.logs import sinks
from worker_core.logs.pipeline import LogPipeline, LogRing, install, uninstall
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogLine, now
from worker_core.logs.sinks import ConsoleSink, FileSink, wants_colour

SECRET = "s3cr3t-value-0815"
log = logging.getLogger("test.pipeline")


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add(SECRET)
    return redactor


@pytest.fixture
def console() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def pipeline(redactor: Redactor, console: io.StringIO, tmp_path: Path) -> Iterator[LogPipeline]:
    sinks = [ConsoleSink(console, colour=False), FileSink(tmp_path / "logs" / "worker.log")]
    made = install(redactor=redactor, sinks=sinks, level="DEBUG")
    yield made
    uninstall(made)


def everything(pipeline: LogPipeline, console: io.StringIO, tmp_path: Path) -> list[str]:
    file = (tmp_path / "logs" / "worker.log").read_text()
    return [console.getvalue(), file, "\n".join(pipeline.ring.read_after(0)[0])]


def test_no_sink_sees_a_secret_of_a_message_or_a_traceback(
    pipeline: LogPipeline, console: io.StringIO, tmp_path: Path
) -> None:
    log.info("the key is %s", SECRET)
    try:
        raise ValueError(f"refused {SECRET}")
    except ValueError:
        log.exception("it failed")
    for text in everything(pipeline, console, tmp_path):
        assert SECRET not in text
        assert "the key is ***" in text
        assert "Traceback" in text
        assert "ValueError: refused ***" in text


def test_lines_are_time_level_message(pipeline: LogPipeline, console: io.StringIO) -> None:
    log.warning("careful")
    assert console.getvalue()[2] == ":"
    assert console.getvalue()[8:] == " WARNING careful\n"


def test_a_line_break_in_a_message_cannot_forge_a_line(pipeline: LogPipeline, console: io.StringIO) -> None:
    log.info("a\n12:00:00 ERROR forged\x1b[2J\x1b]0;title\x07\r")
    first, second = console.getvalue().splitlines()
    assert first.endswith("INFO    a")
    assert second == " " * 17 + "12:00:00 ERROR forged"


def test_a_wrong_format_string_loses_no_line(pipeline: LogPipeline, console: io.StringIO) -> None:
    # Not through the logger: pytest's own handler raises on it.
    pipeline.handler.handle(logging.makeLogRecord({"msg": "%d of %d", "args": ("x",), "levelname": "INFO"}))
    assert "%d of %d" in console.getvalue()


def test_libraries_are_quiet_and_everything_is_as_before_afterwards(redactor: Redactor) -> None:
    root, library = logging.getLogger(), logging.getLogger("httpx2")
    before = (root.level, list(root.handlers), library.level)
    made = install(redactor=redactor, level="DEBUG")
    library.info("HTTP Request: GET /")
    library.warning("trouble")
    lines = made.ring.read_after(0)[0]
    uninstall(made)
    assert [line.split(" ", 2)[2] for line in lines] == ["trouble"]
    assert (root.level, list(root.handlers), library.level) == before


def test_the_dictionary_of_temporal_becomes_the_workflow_id(pipeline: LogPipeline, console: io.StringIO) -> None:
    details = {"activity_id": "1", "attempt": 1, "workflow_id": "agent-execution-7"}
    log.info(f"Completing activity ({details})", extra={"temporal_activity": details})
    assert console.getvalue().endswith("Completing activity [agent-execution-7]\n")


def test_json_lines_for_machines(redactor: Redactor) -> None:
    stream = io.StringIO()
    made = install(redactor=redactor, sinks=[ConsoleSink(stream, style="json")])
    log.info("key %s", SECRET)
    uninstall(made)
    found = json.loads(stream.getvalue())
    assert (found["level"], found["message"], found["logger"]) == ("INFO", "key ***", "test.pipeline")


def test_colour_follows_the_terminal_and_no_color() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert not wants_colour(io.StringIO(), {})
    assert not wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not wants_colour(Terminal(), {"TERM": "dumb"})
    assert wants_colour(Terminal(), {"TERM": "xterm", "WT_SESSION": "1"})


def test_a_console_that_cannot_show_a_character_shows_its_escape() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    ConsoleSink(stream).write(LogLine(at=now(), level="INFO", logger="t", message="“gone” \ud800"))
    assert b"\\u201cgone\\u201d" in raw.getvalue()


def test_a_closed_console_stops_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    ConsoleSink(stream, colour=False).write(LogLine(at=now(), level="INFO", logger="t", message="x"))


def test_the_file_rotates_and_keeps_a_fixed_number(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    sink = FileSink(path, limit_mb=0.0003, files=3)
    for number in range(40):
        sink.write(LogLine(at=now(), level="INFO", logger="t", message=f"line {number}"))
    sink.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        ".worker.log.lock", "worker.log", "worker.log.1", "worker.log.2",
    ]  # fmt: skip
    assert all(file.stat().st_size <= 300 for file in tmp_path.iterdir())
    assert "line 39" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0 or path.drive


def lines_of(folder: Path) -> list[str]:
    """What all log files hold, oldest first."""
    files = sorted(folder.glob("worker.log*"), key=lambda file: -int(file.suffix[1:] if file.suffix != ".log" else 0))
    return [row.rpartition(" ")[2] for file in files for row in file.read_text().splitlines()]


def test_a_file_that_somebody_reads_rotates(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    sink = FileSink(path, limit_mb=0.0003, files=3)
    sink.write(LogLine(at=now(), level="INFO", logger="t", message="0"))
    with path.open() as reader:
        for number in range(1, 12):
            sink.write(LogLine(at=now(), level="INFO", logger="t", message=f"{number}"))
        assert reader.readline().endswith(" 0\n"), "it reads on in what it opened"
    sink.close()
    assert lines_of(tmp_path) == [f"{number}" for number in range(12)][-len(lines_of(tmp_path)) :]
    assert len(lines_of(tmp_path)) >= 6


def test_a_file_that_cannot_be_renamed_is_copied_and_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where whoever reads a file keeps it at its name."""

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Another process uses the file", str(self))

    monkeypatch.setattr(Path, "replace", refuse)
    path = tmp_path / "worker.log"
    sink = FileSink(path, limit_mb=0.0003, files=3)
    sink.write(LogLine(at=now(), level="INFO", logger="t", message="0"))
    before = path.stat().st_ino
    for number in range(1, 12):
        sink.write(LogLine(at=now(), level="INFO", logger="t", message=f"{number}"))
    sink.close()
    assert path.stat().st_ino == before
    assert all(file.stat().st_size <= 300 for file in tmp_path.iterdir())
    assert lines_of(tmp_path) == [f"{number}" for number in range(12)][-len(lines_of(tmp_path)) :]
    assert len(lines_of(tmp_path)) >= 6


class Held:
    """Files as Windows has them while another process has them open: they are not renamed; where that process shares no
    writing, they are not emptied either (Microsoft's documentation of `CreateFile`, `dwShareMode`)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        self.moves = 0
        replace, truncate = Path.replace, os.truncate

        def held_replace(path: Path, target: Path) -> Path:
            self._check(path)
            self._check(Path(target))
            self.moves += 1
            return replace(path, target)

        def held_truncate(path: Path, length: int) -> None:
            self._check(Path(path))
            truncate(path, length)

        monkeypatch.setattr(Path, "replace", held_replace)
        monkeypatch.setattr(os, "truncate", held_truncate)

    def _check(self, path: Path) -> None:
        if path.name in self.names:
            raise PermissionError(13, "Another process uses the file", str(path))


@pytest.mark.parametrize("held", ["worker.log", "worker.log.1", "worker.log.2", "worker.log.4"])
def test_a_file_that_is_held_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str) -> None:
    sink = FileSink(tmp_path / "worker.log", limit_mb=0.0003, files=5)

    def say(*numbers: int) -> None:
        for number in numbers:
            sink.write(LogLine(at=now(), level="INFO", logger="t", message=f"{number}"))

    say(*range(26))
    before = lines_of(tmp_path)
    files = Held(monkeypatch)
    files.names = {held}
    say(*range(26, 46))
    texts = [file.read_text() for file in tmp_path.glob("*worker.log*")]
    said = {row.rpartition(" ")[2] for text in texts for row in text.splitlines()}
    assert {f"{number}" for number in range(26, 46)} <= said
    assert held != "worker.log" or set(before) <= said, "the older ones are not moved in vain"
    files.names = set()
    say(*range(46, 60))
    sink.close()
    assert lines_of(tmp_path)[-14:] == [f"{number}" for number in range(46, 60)]
    assert len(list(tmp_path.glob("worker.log*"))) == 5
    assert not (tmp_path / ".worker.log.aside").exists()


def test_a_file_that_is_held_is_not_tried_at_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(tmp_path / "worker.log", limit_mb=0.003, files=3)
    copied: list[str] = []
    copy = shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", lambda source, to: copied.append(str(to)) or copy(source, to))
    files = Held(monkeypatch)
    files.names = {"worker.log"}
    for number in range(200):
        sink.write(LogLine(at=now(), level="INFO", logger="t", message=f"{number}"))
    sink.close()
    assert 0 < len(copied) < 40


def test_lines_end_as_they_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without O_BINARY, `os.write` makes CRLF of every line feed on Windows (Microsoft's documentation of `_open`)."""
    monkeypatch.setattr(os, "O_BINARY", 0x8000, raising=False)
    assert runpy.run_path(sinks.__file__)["_APPEND"] & 0x8000


@pytest.mark.parametrize("files", [1, 2, 5])
def test_logs_never_hold_more_than_was_said(tmp_path: Path, files: int) -> None:
    sink = FileSink(tmp_path / "worker.log", limit_mb=0.0003, files=files)
    for number in range(100):
        sink.write(LogLine(at=now(), level="INFO", logger="t", message=f"line {number}"))
    sink.close()
    assert len(list(tmp_path.glob("worker.log*"))) == files
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= files * 300
    assert "line 99" in (tmp_path / "worker.log").read_text()


def test_workers_that_share_a_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    sinks = [FileSink(path, limit_mb=0.0003, files=501) for _ in "abcd"]

    def write(sink: FileSink, name: str) -> None:
        for number in range(100):
            sink.write(LogLine(at=now(), level="INFO", logger="t", message=f"{name}{number}."))

    threads = [threading.Thread(target=write, args=(sink, name)) for sink, name in zip(sinks, "abcd", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sink in sinks:
        sink.close()
    text = "".join(file.read_text() for file in tmp_path.iterdir())
    assert [
        name for name in (f"{letter}{number}." for letter in "abcd" for number in range(100)) if name not in text
    ] == []


def test_a_disk_that_takes_nothing_is_mentioned_once(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    complaints = io.StringIO()
    sink = FileSink(tmp_path / "logs" / "worker.log", complain=complaints)
    for _ in range(3):
        sink.write(LogLine(at=now(), level="INFO", logger="t", message="x"))
    assert complaints.getvalue().count("cannot be written") == 1
    (tmp_path / "logs").unlink()
    sink.write(LogLine(at=now(), level="INFO", logger="t", message="back"))
    sink.close()
    assert "back" in (tmp_path / "logs" / "worker.log").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which only Linux has")
def test_a_full_disk_stops_nothing() -> None:
    complaints = io.StringIO()
    sink = FileSink(Path("/dev/full"), complain=complaints)
    sink.write(LogLine(at=now(), level="INFO", logger="t", message="x"))
    sink.write(LogLine(at=now(), level="INFO", logger="t", message="y"))
    assert complaints.getvalue().count("No space left") == 1


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="root alone may mount a disk to fill it")
def test_a_disk_that_was_full_holds_whole_lines_afterwards(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(4096))
        complaints = io.StringIO()
        sink = FileSink(disk / "worker.log", complain=complaints)
        for number in range(100):
            sink.write(LogLine(at=now(), level="INFO", logger="t", message=f"line {number} {'x' * 90}"))
        assert complaints.getvalue().count("No space left") == 1
        ballast.unlink()
        sink.write(LogLine(at=now(), level="INFO", logger="t", message="there is room again"))
        sink.close()
        last, torn = (disk / "worker.log").read_text().splitlines()[-1:-3:-1]
        assert last.endswith("INFO    t: there is room again")
        assert not torn.endswith("x" * 90), "the disk was full in the middle of a line"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_threads_do_not_mix_their_lines(pipeline: LogPipeline, console: io.StringIO) -> None:
    def write() -> None:
        for _ in range(50):
            log.info("0123456789")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = console.getvalue().splitlines()
    assert len(lines) == 200
    assert all(line.endswith("INFO    0123456789") for line in lines)
    assert isinstance(pipeline.ring, LogRing)
