"""This machine's identity, stable across restarts, how much it can do at once, and whether a process still runs."""

from __future__ import annotations

import json
import os
import re
import sys
import uuid
from pathlib import Path

from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.paths import private_directory

_WELL_FORMED = re.compile(r"[a-z0-9]{12}")
_RESERVED_BYTES = 1 << 30
_PER_EXECUTION_BYTES = 700 * (1 << 20)
MOST_EXECUTIONS = 16
"""Default ceiling. Agent processes take about 0.7 GB each (facts measured on agents' process trees), so the number
is derived from memory; model calls mostly wait, so it is not bound to the number of cores."""


_BIRTH_TOLERANCE_SECONDS = 1.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TICKS = 19
"""Of what stands in `/proc/PID/stat` behind the program's name: ticks from the machine's start to the process's."""


def birth_mark(pid: int) -> str:
    """What no other process has that has, had or will have this number: the machine's start, and its own since then.

    Linux says when a process began by a clock that nobody sets; the time of day of it moves with the machine's clock.

    Returns:
        Empty: there is no such process, or the system does not tell.
    """
    if sys.platform != "linux":
        return ""  # they keep the time of day that it was then, whatever became of the clock
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        # A program's name may hold anything, brackets too.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return f"{boot}/{int(fields[_START_TICKS])}" if boot else ""
    except (OSError, ValueError, IndexError):
        return ""


def process_runs(pid: int, *, born: float, mark: str = "") -> bool:
    """Whether a process of this machine still runs, and not another one that was given its number.

    Args:
        pid: its number.
        born: when it began, in seconds since the epoch as psutil says it.
        mark: its birth mark, which counts before `born`: that moves where somebody sets the machine's clock.
    """
    import psutil

    if mark and (now := birth_mark(pid)):
        return now == mark
    try:
        return abs(psutil.Process(pid).create_time() - born) <= _BIRTH_TOLERANCE_SECONDS
    except (psutil.NoSuchProcess, ValueError, OverflowError):  # or what is no number of a process
        return False
    except psutil.Error:
        return True


def process_named_in(file: Path) -> int | None:
    """The process that a file names, where it still runs. A file that cannot be read names none.

    Args:
        file: JSON with its number (`pid`), when it began (`created`) and its birth mark (`mark`).
    """
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        pid = int(known["pid"])
        return pid if process_runs(pid, born=float(known["created"]), mark=str(known.get("mark", ""))) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def host_id(file: Path) -> str:
    """Read or make the id of this installation: 12 letters and digits.

    Raises:
        ConfigurationError: the file can neither be read nor written.

    """
    if known := _read(file):
        return known
    made = uuid.uuid4().hex[:12]
    try:
        private_directory(file.parent)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        draft.write_text(made, encoding="ascii")
        try:
            os.link(draft, file)  # fails where another worker was first: then its id is the host's
        except OSError:
            if known := _read(file):
                return known
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            worded(
                "The state folder {folder} cannot be written: {why}. Free some space or repair its owner.",
                folder=str(file.parent),
                why=str(error.strerror),
            )
        ) from error
    return made


def _read(file: Path) -> str:
    """The id in the file; empty where there is none, or none that is well-formed."""
    try:
        known = file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    except OSError as error:
        said = worded("The host id in {file} cannot be read: {why}.", file=str(file), why=str(error.strerror))
        raise ConfigurationError(said) from error
    return known if _WELL_FORMED.fullmatch(known) else ""


def default_executions(available_bytes: int) -> int:
    """Executions in the middle of a turn at the same time, by free memory: at least 1."""
    return max(1, min(MOST_EXECUTIONS, (available_bytes - _RESERVED_BYTES) // _PER_EXECUTION_BYTES))
