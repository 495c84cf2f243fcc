"""Which format the data of this machine have, and the steps from one to the next, up and down.

A mark beside the data (`Paths.data_format_file`) says it. Most changes need no step: fields with defaults are added,
what is not known is passed over, and every file that people write stays as they wrote it. A step is for the rest. An
older program, which would misread what it finds, then reads in the mark that it must not begin, and what leads back.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from typing import Final

from worker_core import __version__
from worker_core.basics.files import locked, write_private
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.paths import Paths, private_directory

log = logging.getLogger(__name__)

FIRST: Final = 1
"""Of data without a mark: what was written before there were any."""

STEP_LIMIT_SECONDS: Final = 60.0
"""So long is another program waited for that takes the steps."""


class DataOfAnotherFormat(ConfigurationError):
    """This program cannot use the data, or not now; the sentence says what leads on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMark:
    """What stands beside the data."""

    format: int = FIRST
    readable_from: int = FIRST
    """Programs of this format and later ones may use them."""

    version: str = ""
    """Of the program that used them last; empty: it made no marks."""

    unfinished: bool = False
    """A step to this format, or down from it, has begun and not ended."""

    @property
    def settled(self) -> int:
        """The format whose steps have surely all been taken."""
        return self.format - self.unfinished


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStep:
    """Between a format and the one before it. Both ways are taken anew where they broke off, from wherever that was."""

    up: Callable[[Paths], None]
    down: Callable[[Paths], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUser:
    """A version of the program, as far as its data go."""

    version: str
    steps: Sequence[DataStep] = ()
    """The first leads from format 1 to 2."""

    readable_from: int = FIRST
    """The oldest format whose programs may use what this one writes."""

    @property
    def format(self) -> int:
        return FIRST + len(self.steps)

    def make_ready(self, paths: Paths, *, in_use_by: Callable[[], Sequence[int]] = lambda: ()) -> DataMark:
        """Bring the data to the format of this program, and mark them; what they were before.

        Args:
            paths: where they are. Data that are not there yet have the format of this program.
            in_use_by: the processes of workers that use them. While there are any, no step is taken.

        Raises:
            DataOfAnotherFormat: they are of a later program, or are in use.
            ConfigurationError: they cannot be read or written.
        """
        before = self.check(paths)
        if before.settled > self.format or (before.version == self.version and before.settled == self.format):
            return before
        try:
            with _alone(paths):
                before = self.check(paths)
                if before.settled < self.format:
                    _refuse_while_used(paths, before, in_use_by())
                for number in range(before.settled + 1, self.format + 1):
                    self._take(paths, number, self.steps[number - FIRST - 1].up)
                    log.info("The data in %s were brought to format %d.", paths.state, number)
                _write(paths, DataMark(format=self.format, readable_from=self.readable_from, version=self.version))
        except OSError as error:
            raise _unwritable(paths, error) from error
        if before.version not in ("", self.version):
            log.info("Version %s used these data last; this is %s.", before.version, self.version)
        return before

    def lead_back(self, paths: Paths, to: int, *, in_use_by: Callable[[], Sequence[int]] = lambda: ()) -> DataMark:
        """Bring the data to an earlier format, for a program that has that; what they are then.

        Raises:
            DataOfAnotherFormat: they are of a later program, or in use, or there is no such format.
            ConfigurationError: they cannot be read or written.
        """
        before = self.check(paths)
        if before.format > self.format:
            raise DataOfAnotherFormat(
                f"The data in {paths.state} are of format {before.format}: version {before.version} alone can lead "
                "them back. This one can use them as they are."
            )
        if not FIRST <= to <= before.settled:
            raise DataOfAnotherFormat(
                f"The data in {paths.state} are of format {before.settled}, so they cannot be led back to {to}."
            )
        try:
            with _alone(paths):
                before = self.check(paths)
                if before.format > to:
                    _refuse_while_used(paths, before, in_use_by())
                for number in range(before.format, to, -1):
                    self._take(paths, number, self.steps[number - FIRST - 1].down)
                    _write(paths, DataMark(format=number - 1, readable_from=number - 1, version=self.version))
        except OSError as error:
            raise _unwritable(paths, error) from error
        return read(paths)

    def check(self, paths: Paths) -> DataMark:
        """What the data are. Changes nothing.

        Raises:
            DataOfAnotherFormat: they are of a later program that this one must not touch.
            ConfigurationError: the mark cannot be read.
        """
        found = read(paths)
        if not found.version and not any_data(paths):
            return replace(found, format=self.format)
        if found.readable_from > self.format:
            raise DataOfAnotherFormat(
                worded(
                    "The data in {folder} were written by Kubiya Worker {version} (format {format}), and this is {own} "
                    "(format {own_format}), which would misread them. Nothing was changed. Install {version} again, or "
                    "let it lead them back first: `kubiya-worker data lead-back {own_format}`. Or name another folder "
                    "in KUBIYA_WORKER_HOME.",
                    folder=str(paths.state),
                    version=found.version,
                    format=str(found.format),
                    own=self.version,
                    own_format=str(self.format),
                )
            )
        return found

    def _take(self, paths: Paths, number: int, way: Callable[[Paths], None]) -> None:
        """Whatever happens in between, an older program does not take the data for its own."""
        _write(paths, DataMark(format=number, readable_from=number, version=self.version, unfinished=True))
        way(paths)


OURS: Final = DataUser(version=__version__)


def read(paths: Paths) -> DataMark:
    """The mark; that of format 1 where there is none.

    Raises:
        ConfigurationError: there is one, and it cannot be read.
    """
    file = paths.data_format_file
    try:
        said = json.loads(file.read_bytes())
        if not isinstance(said, dict):
            raise ValueError
        mark = DataMark(**{one.name: said[one.name] for one in fields(DataMark) if one.name in said})
        kinds = (type(mark.format), type(mark.readable_from), type(mark.version), type(mark.unfinished))
        if kinds != (int, int, str, bool) or not FIRST <= mark.readable_from <= mark.format:
            raise ValueError
    except FileNotFoundError:
        return DataMark()
    except OSError as error:
        raise ConfigurationError(
            worded(
                "{file} cannot be read: {why}. Repair its owner and permissions.",
                file=str(file),
                why=str(error.strerror),
            )
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            worded(
                "{file} says which format the data of this machine have, and cannot be understood. Put it back from a "
                "backup, or remove it where {version} is the version that wrote them.",
                file=str(file),
                version=__version__,
            )
        ) from error
    return mark


def any_data(paths: Paths) -> bool:
    """Whether a program without marks has been here."""
    kept = (paths.host_id_file, paths.journal, paths.spool, paths.approvals, paths.workspaces, paths.preferences_file)
    return any(one.exists() for one in kept)


@contextlib.contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    with locked(private_directory(paths.runtime) / "data-format.lock", limit_seconds=STEP_LIMIT_SECONDS):
        yield


def _refuse_while_used(paths: Paths, found: DataMark, pids: Sequence[int]) -> None:
    if pids:
        raise DataOfAnotherFormat(
            worded(
                "The data in {folder} are of format {format} and are to change it, which cannot be done while workers "
                "use them (process {pids}). `kubiya-worker stop` lets them end their turns and leave; then try again.",
                folder=str(paths.state),
                format=str(found.settled),
                pids=", ".join(map(str, pids)),
            )
        )


def _write(paths: Paths, mark: DataMark) -> None:
    file = paths.data_format_file
    private_directory(file.parent)
    write_private(file, json.dumps(asdict(mark)).encode() + b"\n", durable=True)


def _unwritable(paths: Paths, error: OSError) -> ConfigurationError:
    if isinstance(error, TimeoutError):
        return DataOfAnotherFormat(
            worded(
                "Another program changes the data in {folder}, and has not ended. Try again.", folder=str(paths.state)
            )
        )
    return ConfigurationError(
        worded(
            "The state folder {folder} cannot be written: {why}. Free some space or repair its owner.",
            folder=str(paths.state),
            why=str(error.strerror),
        )
    )
