"""What a setting is, and how its value is read. Each is declared beside its type, in `fields.py`."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

from worker_core.basics.durations import duration_as_typed, read_duration
from worker_core.basics.home import expanded
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.secrets import Secret

_T = TypeVar("_T")

LONGEST: Final = timedelta(days=36_500)
LARGEST: Final = 10**12
_LONGEST_SHOWN: Final = 200


class Group(StrEnum):
    """Where a setting stands on the page, in the order of the page."""

    WORK = "Work"
    CONNECTION = "Connection"
    MODELS = "Models"
    TOOLS = "Tools and conversations"
    ISOLATION = "Isolation of tools"
    APPROVALS = "Approvals"
    LIMITS = "Limits of a tool call"
    BUDGET = "Budget"
    HOOKS = "Hooks"
    LOGGING = "Logging"
    DAEMON = "Daemon"


class Kind(StrEnum):
    """What a value is; it follows from the type of the field."""

    TEXT = "text"
    LIST = "list"
    NUMBER = "number"
    TIME = "time"
    FILE = "file"
    CHOICE = "choice"
    SWITCH = "switch"
    SECRET = "secret"  # noqa: S105 (a kind of value)


_KINDS: Final = {
    str: Kind.TEXT, int: Kind.NUMBER, timedelta: Kind.TIME, Path: Kind.FILE, bool: Kind.SWITCH, Secret: Kind.SECRET,
}  # fmt: skip


def setting(
    default: _T,
    group: Group,
    title: str,
    meaning: str,
    *,
    variable: str = "",
    flag: str = "",
    flag_help: str = "",
    metavar: str = "",
    reader: Callable[[Any], object] | None = None,
    live: bool = False,
    table: bool = False,
) -> _T:
    """The default of a field of `Settings`, with everything that is said about it.

    Args:
        default: of the field's type; None where the program decides by itself.
        group: of the page.
        title: its name for people, in English.
        meaning: one line below the title, in English.
        variable: of the environment. By default `KUBIYA_WORKER_` and the field's name in capitals.
        flag: of `start`, such as `--max-executions`. Empty: it has none.
        flag_help: of the flag, without the variable and the default. By default title and meaning.
        metavar: what the flag's help calls the value. By default as the kind says.
        reader: of a text, of each of a list, or of a number as it came: answers the value as it is kept, or raises a
            ValueError whose message, `worded`, goes on from "X is Y; ".
        live: it may change while a worker runs: its users ask `SettingsInForce` each time.
        table: of a list: in a file it may stand as a table, whose lines `a.b = c` are its parts `a.b=c`.
    """
    said = {"group": group, "title": title, "meaning": meaning, "variable": variable, "reader": reader, "live": live}
    return dataclasses.field(
        default=default, metadata={**said, "flag": flag, "flag_help": flag_help, "metavar": metavar, "table": table}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, as it was declared."""

    name: str
    """Of the field, and in the file."""

    kind: Kind
    default: object
    group: Group
    title: str
    meaning: str
    variable: str
    flag: str
    flag_help: str
    metavar: str
    choices: tuple[str, ...]
    """Of a `Literal`; else empty."""

    reader: Callable[[Any], object] | None

    live: bool
    """It may change while a worker runs."""

    table: bool = False
    """In a file, this list may stand as a table."""

    def read(self, value: object) -> Any:
        """A value as it is kept; one that is kept already stays as it is.

        Args:
            value: as a TOML file has it, or a text from the environment, a flag or the page.

        Raises:
            ValueError: it is not valid; the message goes on from "X is Y; ".
        """
        match self.kind:
            case Kind.TEXT:
                return value if value == self.default else (self.reader or str)(_text(value))
            case Kind.LIST:
                if self.table and isinstance(value, Mapping):
                    return tuple(dict.fromkeys(self._line(one) for one in _lines_of(value)))
                return tuple(dict.fromkeys(map(self.reader or str, _parts(value))))
            case Kind.NUMBER:
                return (self.reader or _number)(value)
            case Kind.TIME:
                return _time(value)
            case Kind.FILE:
                return _file(value) if self.reader is None else self.reader(str(value))
            case Kind.CHOICE:
                return _choice(value, self.choices)
            case Kind.SWITCH:
                return _switch(value)
            case Kind.SECRET:
                raise ValueError("secrets belong in the keychain or in the environment")

    def _line(self, line: str) -> object:
        try:
            return (self.reader or str)(line)
        except ValueError as error:
            raise ValueError(worded("of its line {line}: {why}", line=shown(line), why=why(error))) from error


def declared(settings: type) -> dict[str, Setting]:
    """What a dataclass of settings declares, by name, in the order of the groups."""
    groups = list(Group)
    every = [_declared(field) for field in dataclasses.fields(settings)]
    return {one.name: one for one in sorted(every, key=lambda one: groups.index(one.group))}


def _declared(field: dataclasses.Field[Any]) -> Setting:
    hint = next(one for one in _alternatives(field.type) if one is not type(None))
    origin = get_origin(hint)
    kind = Kind.CHOICE if origin is Literal else Kind.LIST if origin is tuple else _KINDS[hint]
    said = dict(field.metadata)
    said["variable"] = said["variable"] or f"KUBIYA_WORKER_{field.name.upper()}"
    said["flag_help"] = said["flag_help"] or f"{said['title']}. {said['meaning']}"
    choices = get_args(hint) if kind is Kind.CHOICE else ()
    return Setting(name=field.name, kind=kind, default=field.default, choices=choices, **said)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in {types.UnionType, Union} else (hint,)


def as_text(value: object) -> str:
    """A value as it is typed; None is nothing."""
    match value:
        case None:
            return ""
        case timedelta():
            return duration_as_typed(value)
        case tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def shown(value: object) -> str:
    """A value for a sentence: what may be a user name and password is starred, and nothing is longer than a line."""
    text = repr(as_text(value) if isinstance(value, Path | timedelta) else value)
    before, at, rest = text.rpartition("@")
    if at:
        scheme, slashes, _ = before.partition("//")
        text = f"{scheme}//***@{rest}" if slashes else f"{text[0]}***@{rest}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def why(error: ValueError) -> str:
    """What a reader says is wrong, with what that is made of."""
    said = error.args[0] if len(error.args) == 1 else ""
    return said if isinstance(said, str) and said else str(error)


# --- readers, one for each kind ----------------------------------------------------------------------------------


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(worded("it must be a text"))
    return value


def _parts(value: object) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or any(isinstance(part, list | tuple | dict) for part in parts):
        raise ValueError(worded("it must be a list, or a text with commas"))
    return [str(part).strip() for part in parts if str(part).strip()]


def _lines_of(table: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """A table's lines as the parts of a list."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _lines_of(value, f"{within}{name}.")
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(worded("{name} must be a number or a text", name=f"{within}{name}"))
        else:
            yield f"{within}{name}={value}"


def _number(value: object) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not number.is_integer():
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(worded("it must be a whole number")) from None
    if number < 1:
        raise ValueError(worded("it must be 1 or more"))
    if number > LARGEST:
        raise ValueError(worded("it must be {most} at most", most=LARGEST))
    return int(number)


def _time(value: object) -> timedelta:
    span = read_duration(value)
    if span <= timedelta(0):
        raise ValueError(worded("it must be more than 0"))
    if span > LONGEST:
        raise ValueError(worded("it must be {most} at most", most=duration_as_typed(LONGEST)))
    return span


def _file(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError(worded("it must be a path"))
    file = expanded(value)
    if not file.is_file():
        raise ValueError(worded("that file does not exist"))
    return file


def _choice(value: object, choices: tuple[str, ...]) -> str:
    found = next((one for one in choices if isinstance(value, str) and one.lower() == value.strip().lower()), None)
    if found is None:
        raise ValueError(worded("it must be one of {choices}", choices=", ".join(choices)))
    return found


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ValueError(worded("it must be true or false"))
