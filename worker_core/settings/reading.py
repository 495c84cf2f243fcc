"""Every setting that a file, the environment and flags name: its value, where that is from, and all that is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from worker_core import __version__
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Phrase, Worded, again, joined, worded
from worker_core.errors import ConfigurationError
from worker_core.key_sources import LLM_API_KEY, given_key
from worker_core.settings import text_file
from worker_core.settings.call_limits import SKILLS, unknown
from worker_core.settings.declaration import Kind, shown, why
from worker_core.settings.fields import SETTINGS, Settings
from worker_core.settings.places import KeyPlace, place_of_error, places

FILE_CALLED: Final = worded("settings file")
FORMAT: Final = 1
"""Of the settings file; `format` in it says which one it is. Without that it is 1."""

FORMAT_KEY: Final = "format"
_OURS: Final = "KUBIYA_WORKER_"
_NEAR: Final = 0.75

Source = Literal["default", "file", "environment", "flag", "server", "machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a value is from. `where` is `FILE:LINE`, a variable, a flag, or empty.

    `server` decides where nobody else did, by what it answers at registration; `machine`: sized to this machine.
    """

    source: Source = "default"
    where: str = ""


DEFAULT: Final = Origin()
_NOWHERE: Final = KeyPlace(0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is wrong. Line and column count from 1; 0: it has no such place."""

    sentence: str
    said: str = ""
    """The same for whoever has read the place already; empty: the sentence."""

    name: str = ""
    """Of the setting, variable or flag, as it was written."""

    meant: str = ""
    """The name that was probably meant."""

    file: str = ""
    line: int = 0
    column: int = 0
    told: tuple[Phrase, ...] = ()
    """What `sentence` is made of, for other languages; empty: it is said in English."""

    def __post_init__(self) -> None:
        for name in ("sentence", "said"):
            if isinstance(text := getattr(self, name), Worded):
                object.__setattr__(self, name, str(text))
                if name == "sentence":
                    object.__setattr__(self, "told", text.said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was found. `values` and `origins` are by the settings' names, and hold what is right alone."""

    values: Mapping[str, Any]
    origins: Mapping[str, Origin]
    faults: tuple[Fault, ...] = ()
    """With one of these, no worker starts."""

    remarks: tuple[Fault, ...] = ()
    """What has no effect, and looks as if it should."""

    def settings(self) -> Settings:
        """Settings with these values.

        Raises:
            ConfigurationError: there are faults; the sentence is that of the first.
        """
        if self.faults:
            first, more = self.faults[0], len(self.faults) - 1
            error = ConfigurationError(again(first.sentence, first.told))
            raise error.with_repair(f"`kubiya-worker config check` names {more} more.") if more else error
        return Settings(**self.values)

    def settings_without_faults(self) -> Settings:
        """The same, with what is wrong left at its default."""
        return Settings(**self.values)

    def origin(self, name: str) -> Origin:
        return self.origins.get(name, DEFAULT)


def read(*, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None, file: Path | None = None) -> Reading:
    """All three, in rising order of strength: file, environment, flags. Never raises.

    Args:
        environ: usually `os.environ`; an empty variable is none. Secrets come from here or from a file of their own.
        flags: field name -> value; None and empty tuples mean "not given".
        file: TOML file; one that does not exist counts as empty.
    """
    found = _Found()
    if file is not None:
        found.read_file(file)
    found.read_environment(environ)
    for name, value in (flags or {}).items():
        if value is not None and value != ():
            flag = SETTINGS[name].flag or name if name in SETTINGS else name
            found.take(name, value, where=flag, origin=Origin(source="flag", where=flag))
    found.read_key(environ)
    remarks = (*_remarks(environ), *_remarks_of_limits(found))
    return Reading(values=found.values, origins=found.origins, faults=tuple(found.faults), remarks=remarks)


class _Found:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, Origin] = {}
        self.faults: list[Fault] = []

    def read_file(self, file: Path) -> None:
        try:
            text, _ = text_file.read(file, what=FILE_CALLED)
        except text_file.Unreadable as error:
            self.faults.append(Fault(sentence=error.said, file=str(file), line=error.line))
            return
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line, column, said = place_of_error(error, text)
            sentence = worded(
                "The settings file {file} is not valid TOML: line {line}, column {column}: {why}.",
                file=str(file),
                line=str(line),
                column=str(column),
                why=said,
            )
            alone = f"This is not valid TOML: {said}. Nothing behind it was looked at."
            self.faults.append(Fault(sentence=sentence, said=alone, file=str(file), line=line, column=column))
            return
        except RecursionError:
            sentence = worded("The settings file {file} is not valid TOML: it is nested too deep.", file=str(file))
            self.faults.append(Fault(sentence=sentence, file=str(file), line=1))
            return
        where = places(text)
        for name, value in values.items():
            place = where.get(name, _NOWHERE)
            at = f"{file}:{place.line}" if place.line else str(file)
            if name == FORMAT_KEY:
                self._take_format(value, file=file, place=place)
                continue
            self.take(name, value, where="", origin=Origin(source="file", where=at), file=str(file), place=place)

    def _take_format(self, value: object, *, file: Path, place: KeyPlace) -> None:
        if wrong := wrong_format(value):
            sentence = worded(
                "The settings file {file}, line {line}: {why}", file=str(file), line=str(place.line), why=wrong
            )
            at = (place.value_line, place.value_column)
            fault = Fault(sentence=sentence, said=wrong, name=FORMAT_KEY, file=str(file), line=at[0], column=at[1])
            self.faults.insert(0, fault)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        for name, one in SETTINGS.items():
            if one.kind is not Kind.SECRET and (text := environ.get(one.variable)):
                origin = Origin(source="environment", where=one.variable)
                self.take(name, text, where=one.variable, origin=origin)

    def read_key(self, environ: Mapping[str, str]) -> None:
        """The one secret; after all others, which may name its file."""
        try:
            given = given_key(LLM_API_KEY, environ, self.values.get("llm_api_key_file"))
        except ConfigurationError as error:
            self.faults.append(Fault(sentence=error.said, name=LLM_API_KEY.variable))
            return
        if given is not None:
            of_variable = given.source == LLM_API_KEY.variable
            origin = Origin(source="environment" if of_variable else "file", where=given.source)
            self._keep("llm_api_key", given.secret, origin)

    def take(
        self, name: str, value: Any, *, where: str, origin: Origin, file: str = "", place: KeyPlace = _NOWHERE
    ) -> None:
        """One that was given, by the name of a field. `where` is how it was written, where that was not in a file."""
        one = SETTINGS.get(name)
        written, called = (f"`{name}`", _called(name, file, place.line)) if file else (where, where)
        if one is None or one.kind is Kind.SECRET:
            self.faults.append(
                Fault(
                    sentence=no_such(name, value, where=called),
                    said=no_such(name, value, where=written),
                    name=name,
                    meant=nearest(name),
                    file=file,
                    line=place.line,
                    column=place.column,
                )
            )
            return
        try:
            self._keep(name, one.read(value), origin)
        except ValueError as error:
            wrong = why(error)
            self.faults.append(
                Fault(
                    sentence=worded("{called} is {value}; {why}.", called=called, value=shown(value), why=wrong),
                    said=f"{written} is {shown(value)}; {wrong}.",
                    name=where or name,
                    file=file,
                    line=place.value_line,
                    column=place.value_column,
                )
            )

    def _keep(self, name: str, value: Any, origin: Origin) -> None:
        self.values[name] = value
        self.origins[name] = origin


def _called(name: str, file: str, line: int) -> str:
    if line:
        return worded("{name} in {file}, line {line}", name=f"`{name}`", file=file, line=str(line))
    return worded("{name} in {file}", name=f"`{name}`", file=file)


def wrong_format(value: object) -> str:
    """Why a settings file of this format cannot be used, as a sentence; empty: it can."""
    if type(value) is not int or value < 1:
        return worded(
            "{called} is {value}; it must be a number from 1 to {most}.",
            called=f"`{FORMAT_KEY}`",
            value=shown(value),
            most=FORMAT,
        )
    if value > FORMAT:
        return worded(
            "it has format {format}, of a later version than this one ({version}), which knows {known}. Install that "
            "version again, or take out what this one does not know and write {line}.",
            format=str(value),
            version=__version__,
            known=str(FORMAT),
            line=f"`{FORMAT_KEY} = {FORMAT}`",
        )
    return ""


def nearest(name: str) -> str:
    """The setting that somebody who wrote this meant; empty: it is like none.

    Args:
        name: as in a file: a variable's or a flag's name is understood as well.
    """
    plain = name.strip().lstrip("-").replace("-", "_")
    for one in SETTINGS.values():
        if plain.lower() in {one.name, one.variable.lower(), one.flag.lstrip("-").replace("-", "_")}:
            return one.name if one.kind is not Kind.SECRET else ""
    known = [one.name for one in SETTINGS.values() if one.kind is not Kind.SECRET]
    return _like(plain.lower().removeprefix(_OURS.lower()), known)


def no_such(name: str, value: object, *, where: str) -> str:
    """The sentence about a name that is no setting's."""
    return joined(worded("There is no setting named {called}.", called=where), _hint(name, value, nearest(name)))


def _like(name: str, known: Sequence[str]) -> str:
    import difflib  # where something is wrong alone

    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)), "")


def _hint(name: str, value: object, meant: str) -> str:
    if meant:
        return worded("Did you mean {meant}?", meant=f"`{meant}`")
    if "key" in name.lower():
        return worded("Secrets belong in the keychain (`kubiya-worker login`), or in a file that `api_key_file` names.")
    if isinstance(value, dict):
        return worded("Settings stand alone, without tables: take the line [{name}] away.", name=name)
    return ""


def _remarks(environ: Mapping[str, str]) -> list[Fault]:
    """Variables that are like a setting's and are none. Others that begin like ours belong to somebody: Kubernetes
    gives each pod some for each service.
    """
    variables = {one.variable for one in SETTINGS.values()}
    tails = {one.variable.removeprefix(_OURS): one.variable for one in SETTINGS.values()}
    tails |= {name.upper(): one.variable for name, one in SETTINGS.items()}
    remarks = []
    for name in sorted(environ):
        if not name.startswith(_OURS) or (tail := name.removeprefix(_OURS)) in _NO_SETTINGS or name in variables:
            continue
        if meant := tails.get(_like(tail, list(tails))):
            sentence = joined(
                worded("The variable {name} has no effect.", name=name), worded("Did you mean {meant}?", meant=meant)
            )
            remarks.append(Fault(sentence=sentence, name=name, meant=meant))
    return remarks


def _remarks_of_limits(found: _Found) -> Iterator[Fault]:
    """Limits of tool calls that are for nobody, unless a skill is named so."""
    named = [one.queue_id for name in ("queue_limits", "queue_priorities") for one in found.values.get(name, ())]
    queues = {*found.values.get("queue_ids", ()), *named}
    where = found.origins.get("tool_limits", DEFAULT).where
    for limit, meant in unknown(found.values.get("tool_limits", ()), queues=queues):
        hint = (
            worded("Did you mean {meant}?", meant=f"`{meant}.{limit.kind}`")
            if meant
            else worded("Types are {types}.", types=", ".join(SKILLS))
        )
        sentence = worded(
            "{limit} of `tool_limits` ({where}) is for no queue and no type of skill, so it holds only for a skill "
            "that is itself named {name}.",
            limit=str(limit),
            where=where,
            name=repr(limit.whose),
        )
        yield Fault(sentence=joined(sentence, hint), name="tool_limits", meant=meant)


_NO_SETTINGS: Final = frozenset({"HOME", "RELEASES_URL"})
