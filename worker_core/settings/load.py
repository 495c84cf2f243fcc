"""Flags over environment over file, with a sentence for whatever is wrong in one of them.

The file is TOML at `Paths.settings_file`, with the names of the fields as keys. Times there, in the environment and in
flags are seconds, or texts such as `5 min`. Secrets are never read from it:
a file of their own may hold them, which it names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.settings.declaration import Kind, shown, why
from worker_core.settings.fields import SETTINGS, Settings
from worker_core.settings.reading import FORMAT_KEY, no_such, read, wrong_format


def load(*, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None, file: Path | None = None) -> Settings:
    """Settings from the file, the environment and the flags, in rising order of strength.

    Args:
        environ: usually `os.environ`; an empty variable is none. Secrets come from here or from a file of their own.
        flags: field name -> value; None and empty tuples mean "not given".
        file: TOML file; one that does not exist counts as empty.

    Raises:
        ConfigurationError: a value is not valid; the sentence names where it came from.
    """
    return read(environ=environ, flags=flags, file=file).settings()


def change(settings: Settings, name: str, value: Any) -> Settings:
    """`settings` with one field changed, given as in the file or as text.

    Raises:
        ConfigurationError: there is no such setting, or the value is not valid.
    """
    one = SETTINGS.get(name)
    if one is None or one.kind is Kind.SECRET:
        raise ConfigurationError(no_such(name, value, where=name))
    try:
        return replace(settings, **{name: one.read(value)})
    except ValueError as error:
        said = worded("{called} is {value}; {why}.", called=name, value=shown(value), why=why(error))
        raise ConfigurationError(said) from error


def parse(text: str, *, file: Path) -> dict[str, Any]:
    """What a settings file says.

    Raises:
        ConfigurationError: it is no TOML, or of a later format.
    """
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        said = worded("The settings file {file} is not valid TOML: {why}.", file=str(file), why=str(error))
        raise ConfigurationError(said) from error
    if FORMAT_KEY in values and (wrong := wrong_format(values.pop(FORMAT_KEY))):
        raise ConfigurationError(worded("The settings file {file}: {wrong}", file=str(file), wrong=wrong))
    return values
