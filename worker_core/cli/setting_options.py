"""Settings as options of commands, from their declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import click

from worker_core.settings import SETTINGS, Kind, Setting, as_text

_F = TypeVar("_F", bound=Callable[..., Any])

CONTROL_PLANE: Final = ("control_plane_url", "ca_file", "proxy")
"""Those of every command that talks to the control plane."""

_METAVARS: Final = {Kind.TIME: "TIME", Kind.NUMBER: "N", Kind.TEXT: "TEXT", Kind.FILE: "FILE", Kind.LIST: "LIST"}


class _Value(click.ParamType[Any]):
    """Refuses what the setting refuses, with the setting's sentence."""

    def __init__(self, setting: Setting) -> None:
        self.name = setting.kind.value
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._setting.read(value)
        except ValueError as error:
            self.fail(f"{value!r}; {error}.", param, ctx)


def setting_options(*names: str) -> Callable[[_F], _F]:
    """The flags of these settings, in this order; without names, of all that have one, in the order of the page.

    A command gets each under its field's name: None, or an empty tuple, where the flag was not given.
    """
    chosen = [SETTINGS[name] for name in names] or [one for one in SETTINGS.values() if one.flag]

    def add(command: _F) -> _F:
        for setting in reversed(chosen):
            command = _option(setting)(command)
        return command

    return add


def queue_ids_in(given: Iterable[str]) -> tuple[str, ...]:
    """The ids that `--queue-id` was given: the flag may be repeated, and each may hold several, with commas."""
    return tuple(one.strip() for several in given for one in several.split(",") if one.strip())


def as_arguments(given: Mapping[str, Any]) -> list[str]:
    """The same flags for another process. None, False and empty tuples were not given."""
    arguments = []
    for name, value in given.items():
        if value is None or value is False or value == ():
            continue
        flag = SETTINGS[name].flag
        arguments.append(flag if value is True else f"{flag}={as_text(value)}")
    return arguments


def _option(setting: Setting) -> Callable[[_F], _F]:
    names = (setting.flag, setting.name)
    if setting.kind is Kind.SWITCH:
        return click.option(*names, is_flag=True, default=None, help=_help(setting))
    if setting.kind is Kind.CHOICE:
        return click.option(*names, type=click.Choice(setting.choices, case_sensitive=False), help=_help(setting))
    return click.option(
        *names,
        type=_Value(setting) if setting.kind in {Kind.NUMBER, Kind.TIME} else str,
        multiple=setting.kind is Kind.LIST,
        metavar=setting.metavar or _METAVARS[setting.kind],
        help=_help(setting),
    )


def _help(setting: Setting) -> str:
    """With where else it can be set, and what holds where it is not."""
    default = "" if setting.kind is Kind.SWITCH else as_text(setting.default)
    aside = f"{setting.variable}; default {default}" if default else setting.variable
    return f"{setting.flag_help} [{aside}]"
