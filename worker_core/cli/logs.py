"""`kubiya-worker logs`."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from worker_core.basics import streams, typed_json
from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, paths, worker_option
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.logs.ring import LogLine

_FILE_LINE: Final = re.compile(r"(?P<at>\d{4}-\d\d-\d\dT\S+) (?P<level>[A-Z]+) +(?P<logger>[\w.]+): (?P<message>.*)")
_TAIL_BYTES: Final = 8 * 1024 * 1024
_EVERY_LINE: Final = 1_000_000
_LOOK_SECONDS: Final = 0.3
"""For the next worker of a daemon."""


@click.command(
    cls=Examples,
    help="""Show the log lines of a running worker; of the log file where none runs. -f goes on with a daemon's next
    worker where one crashed.

    Secrets were masked before the lines were written.""",
    examples=(
        "kubiya-worker logs",
        "kubiya-worker logs -f",
        "kubiya-worker logs -f --worker build-7",
        "kubiya-worker logs -n 500 --json | jq -r .message",
    ),
)
@worker_option
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until Ctrl-C or the end.")
@click.option("-n", "--last", type=click.IntRange(min=0), default=50, metavar="N", help="Begin with the last N (50).")
@json_option
def command(*, wanted: str, follow: bool, last: int, as_json: bool) -> None:
    import sys

    from worker_core.control_socket.client import NoWorker
    from worker_core.daemon.instances import chosen, instances
    from worker_core.logs.sinks import ConsoleSink

    folder = paths().runtime
    style = "json" if as_json else "text"
    running = instances(folder)
    file = paths().log_of(wanted)
    if not running or (wanted and all(one.name != wanted for one in running) and file.is_file()):
        if not file.is_file():
            raise NoWorker("No worker of yours runs on this machine, and none has left a log file.")
        if follow:
            say(f"No worker runs; this is the end of {file}.", err=True)
        lines: Iterable[LogLine] = tail(file, last)
    elif (instance := chosen(folder, wanted)).daemon is not None and follow:
        lines = _of_daemon(folder, instance.name, last)
    elif instance.worker is None:  # a daemon between two workers
        lines = tail(paths().log_of(instance.name), last)
    else:
        lines = _of_worker(instance.worker.logs(last=last, follow=follow))
    if follow:
        streams.leave_with_reader()
    sink = ConsoleSink(sys.stdout, style="json" if style == "json" else "text")
    for line in lines:
        sink.show(line)


def _of_daemon(folder: Path, name: str, last: int) -> Iterator[LogLine]:
    """Of its worker, and of those that come behind it, until the daemon has ended."""
    from worker_core.control_socket.client import WorkerSilent
    from worker_core.daemon.instances import instances

    seen = 0
    while one := next((one for one in instances(folder) if one.daemon is not None and one.name == name), None):
        if one.worker is None or one.worker.pid == seen:
            time.sleep(_LOOK_SECONDS)
            continue
        if seen and one.facts is not None:
            say(f"({one.facts.last_crash} This is the next one.)", err=True)
        seen = one.worker.pid
        with contextlib.suppress(WorkerSilent):
            yield from _of_worker(one.worker.logs(last=last, follow=True))
        last = _EVERY_LINE


def _of_worker(answers: Iterable[Mapping[str, Any]]) -> Iterator[LogLine]:
    from worker_core.logs.ring import LogLine

    for answer in answers:
        if dropped := answer.get("dropped"):
            say(f"({dropped} lines came too fast and are only in the log file)", err=True)
        for line in answer["lines"]:
            at = datetime.fromisoformat(line["at"])
            yield LogLine(at=at, level=line["level"], logger=line["logger"], message=line["message"])


def tail(file: Path, last: int) -> list[LogLine]:
    """The last records of a log file; lines that begin none belong to the one before them.

    Args:
        file: as `FileSink` writes it; at most its last 8 MB are read.
        last: how many.
    """
    from worker_core.logs.ring import LogLine

    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        content = stream.read().decode("utf-8", "replace")
    kept: deque[LogLine] = deque(maxlen=last)
    for row in content.splitlines():
        if (line := _json_line(row)) is not None:
            kept.append(line)
        elif match := _FILE_LINE.fullmatch(row):
            kept.append(
                LogLine(at=_time(match["at"]), level=match["level"], logger=match["logger"], message=match["message"])
            )
        elif kept:
            before = kept.pop()
            kept.append(
                LogLine(at=before.at, level=before.level, logger=before.logger, message=f"{before.message}\n{row}")
            )
    return list(kept)


def _json_line(row: str) -> LogLine | None:
    import msgspec

    from worker_core.logs.ring import LogLine

    if row.startswith("{"):
        with contextlib.suppress(msgspec.DecodeError):
            return typed_json.decode(row, LogLine)
    return None


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
