"""What most commands need first: paths, settings, the API key, a client."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker_core.key_sources import resolve_api_key
from worker_core.network.proxy import use_proxy
from worker_core.paths import Paths
from worker_core.secrets import KEY_VARIABLES, KeyringStore, Secret
from worker_core.settings import SettingsSource

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])


def paths() -> Paths:
    return Paths.from_environment()


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """File, environment, flags; from now on this process uses the proxy that they name.

    Raises:
        ConfigurationError: a value is not valid.
    """
    return settings_with_source(flags or {})[0]


def settings_with_source(flags: Mapping[str, Any]) -> tuple[Settings, SettingsSource]:
    """The same, and where they can be read again.

    Raises:
        ConfigurationError: a value is not valid.
    """
    source = SettingsSource(environ=os.environ, flags=flags, file=paths().settings_file)
    settings = source.read().settings()
    use_proxy(settings.proxy)
    return settings, source


async def take_api_key(settings: Settings) -> Secret:
    """The API key, from the environment (where it is then no more), a file or the keychain.

    Raises:
        ConfigurationError, KeychainError: there is none.
    """
    given = await resolve_api_key(os.environ, KeyringStore(), settings.control_plane_url, file=settings.api_key_file)
    hide_keys()
    return given.secret


def hide_keys() -> None:
    for name in KEY_VARIABLES:
        os.environ.pop(name, None)


async def open_client(settings: Settings) -> ControlPlaneClient:
    """A client of the control plane with the user's key; close it with `aclose()`.

    Raises:
        ConfigurationError, KeychainError: there is no key.
    """
    key = await take_api_key(settings)
    from worker_core.control_plane.client import ControlPlaneClient

    return ControlPlaneClient.of(settings, key)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[ControlPlaneClient]:
    """`open_client`, closed behind the block."""
    client = await open_client(settings)
    try:
        yield client
    finally:
        await client.aclose()


def worker_option(command: _F) -> _F:
    return click.option(
        "--worker", "wanted", default="", metavar="NAME|QUEUE|PID", help="Which one, where several run."
    )(command)


def json_option(command: _F) -> _F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


def keep_traceback(error: BaseException) -> Path | None:
    """Write an error's traceback to the log file, masked. None: it cannot be written."""
    import logging

    from worker_core.logs.pipeline import install, uninstall
    from worker_core.logs.redaction import Redactor
    from worker_core.logs.sinks import FileSink

    redactor = Redactor()
    for name in KEY_VARIABLES:
        redactor.add(os.environ.get(name, ""))
    file = paths().worker_log
    before = _size(file)
    pipeline = install(redactor=redactor, sinks=[FileSink(file)])
    try:
        logging.getLogger("worker_core.cli").error("An unexpected error.", exc_info=error)
    finally:
        uninstall(pipeline)
    return file if _size(file) != before else None


def _size(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size
    return 0
