"""Flags over environment over file, with a sentence for whatever is wrong in one of them.

The file is TOML at `Paths.settings_file`, with the names of the fields as keys. Times there, in the environment and in
flags are seconds, or texts such as `5 min`. Secrets are never read from it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker_core.errors import ConfigurationError
from worker_core.secrets import read_key
from worker_core.settings import text_file
from worker_core.settings.declaration import Kind, shown
from worker_core.settings.fields import SETTINGS, Settings


def load(*, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None, file: Path | None = None) -> Settings:
    """Settings from the file, the environment and the flags, in rising order of strength.

    Args:
        environ: usually `os.environ`; an empty variable is none. Secrets are read from here alone.
        flags: field name -> value; None and empty tuples mean "not given".
        file: TOML file; one that does not exist counts as empty.

    Raises:
        ConfigurationError: a value is not valid; the sentence names where it came from.
    """
    found: dict[str, Any] = {}
    if file is not None:
        values = parse(text_file.read(file, what="settings file")[0], file=file)
        found |= _checked(values, where=lambda name: f"`{name}` in {file}")
    texts = {name: text for name, one in SETTINGS.items() if (text := environ.get(one.variable))}
    secrets = {name: texts.pop(name) for name, one in SETTINGS.items() if one.kind is Kind.SECRET and name in texts}
    found |= {name: read_key(text, name=SETTINGS[name].variable) for name, text in secrets.items()}
    found |= _checked(texts, where=lambda name: SETTINGS[name].variable)
    given = {name: value for name, value in (flags or {}).items() if value is not None and value != ()}
    found |= _checked(given, where=lambda name: SETTINGS[name].flag or name if name in SETTINGS else name)
    return Settings(**found)


def change(settings: Settings, name: str, value: Any) -> Settings:
    """`settings` with one field changed, given as in the file or as text.

    Raises:
        ConfigurationError: there is no such setting, or the value is not valid.
    """
    return replace(settings, **_checked({name: value}, where=str))


def parse(text: str, *, file: Path) -> dict[str, Any]:
    """What a settings file says.

    Raises:
        ConfigurationError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"The settings file {file} is not valid TOML: {error}.") from error


def _checked(values: Mapping[str, Any], *, where: Callable[[str], str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        one = SETTINGS.get(name)
        if one is None or one.kind is Kind.SECRET:
            hint = " Secrets belong in the keychain: `kubiya-worker login`." if "key" in name else ""
            raise ConfigurationError(f"There is no setting named {where(name)}.{hint}")
        try:
            found[name] = one.read(value)
        except ValueError as error:
            raise ConfigurationError(f"{where(name)} is {shown(value)}; {error}.") from error
    return found
