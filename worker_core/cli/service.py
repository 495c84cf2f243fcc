"""`kubiya-worker service`: install, uninstall, start, stop, restart, status, show."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker_core.cli.root import ExamplesGroup
from worker_core.cli.setting_options import queue_ids_in, setting_options
from worker_core.cli.situation import hide_keys, json_option, paths
from worker_core.cli.terminal import say
from worker_core.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from worker_core.secrets import Secret
    from worker_core.services.plan import Scope, ServicePlan
    from worker_core.services.system import Service, Verb
    from worker_core.settings import Reading, Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_KEY_FILES = frozenset({"api_key_file", "llm_api_key_file"})


@click.group(
    cls=ExamplesGroup,
    help="""The worker as a service of this machine: of your user, or of the system (systemd). On macOS it is an agent
    of launchd, on Windows a task that starts when you log on.""",
    examples=(
        "kubiya-worker service install --queue-id A",
        "sudo kubiya-worker service install --system --queue-id A --api-key-file ./key",
        "kubiya-worker service install --name builds --queue-id B --max-executions 2",
        "kubiya-worker service show --system --queue-id A",
        "kubiya-worker service status --json",
        "sudo kubiya-worker service uninstall --purge",
    ),
)
def command() -> None:
    pass


def _which(command: _F) -> _F:
    for option in (
        click.option("--name", default="", metavar="NAME", help="Which one, where there are several."),
        click.option("--user", "scope", flag_value="user", help="Your own (the default, but for root)."),
        click.option("--system", "scope", flag_value="system", help="The machine's, which starts with it; needs root."),
    ):
        command = option(command)
    return command


@command.command(
    "install",
    help="""Install it and start it. It takes the settings of `start`, and those of your environment; your settings file
    as well, where it is to run as another user.

    The API key, from a file, KUBIYA_API_KEY or the keychain, is put into a file that its owner alone can read; systemd
    hands it over as a credential. To change it, install again.""",
)
@_which
@click.option("--start/--no-start", "starts", default=True, help="Start it now (the default).")
@setting_options()
@json_option
def install(*, scope: Scope | None, name: str, starts: bool, as_json: bool, **flags: Any) -> None:
    import asyncio

    from worker_core.cli import screen
    from worker_core.services import operations

    reading, settings = _read(flags)
    plan, service = _made(scope, name, reading, settings)
    keys = asyncio.run(_keys(settings, plan))
    operations.install(service, keys)
    if starts:
        operations.command(service, "restart")
    if as_json:
        screen.say_json({**_described(service), "installed": True, "started": starts})
        return
    say(f"Installed: {service.main_file}. It {'runs' if starts else 'starts with the next start of the machine'}.")
    if service.scope == "user" and os.name == "posix" and service.status[0] == "systemctl":
        say("It ends when you log out, unless you may linger: loginctl enable-linger")
    say(f"kubiya-worker service status{_again(service, name)} says how it is.")


@command.command(
    "show", help="Print what `install` would write, and the commands that it would run. Nothing is changed."
)
@_which
@setting_options()
@json_option
def show(*, scope: Scope | None, name: str, as_json: bool, **flags: Any) -> None:
    from worker_core.cli import screen

    reading, settings = _read(flags)
    _, service = _made(scope, name, reading, settings)
    if as_json:
        screen.say_json(_described(service))
        return
    for file in service.files:
        say(f"# {file.path}")
        say(f"{file.text.rstrip()}\n")
    for words in service.commands["install"]:
        say(f"$ {' '.join(words)}")


@command.command(
    "uninstall",
    help="""Let it leave, and remove what `install` wrote, its key file too. State that is its own (a service of the
    system has some) stays, unless --purge is given.""",
)
@_which
@click.option("--purge", is_flag=True, help="Its state as well: settings, workspaces, logs.")
@json_option
def uninstall(*, scope: Scope | None, name: str, purge: bool, as_json: bool) -> None:
    from worker_core.cli import screen
    from worker_core.services import operations

    service = _known(scope, name)
    removed = [str(path) for path in operations.uninstall(service, purge=purge)]
    if as_json:
        screen.say_json({"service": service.label, "removed": removed})
        return
    say("\n".join(["Removed:", *(f"  {path}" for path in removed)]))
    if service.state is not None and service.state.exists():
        say(f"Its state stays in {service.state}.")


@command.command("status", help="Say whether it is installed and runs. Exit code 3 if it is not installed.")
@_which
@json_option
def status(*, scope: Scope | None, name: str, as_json: bool) -> int:
    from dataclasses import asdict

    from worker_core.cli import screen
    from worker_core.services import operations

    service = _known(scope, name)
    found = operations.state_of(service)
    if as_json:
        screen.say_json({"service": service.label, "scope": service.scope, **asdict(found)})
    elif not found.installed:
        say(f"{service.label} is not installed.")
    else:
        rest = f", pid {found.pid}" if found.pid else ""
        again = f", restarted {found.restarts} times" if found.restarts else ""
        say(f"{service.label} ({service.scope}): {found.state}{rest}{again}.")
        if found.said:
            say(f"  {found.said}")
    return ExitCode.OK if found.installed else ExitCode.NOT_CONFIGURED


def _steering(verb: Verb, said: str, help_text: str) -> None:
    @command.command(verb, help=help_text)
    @_which
    @json_option
    def steer(*, scope: Scope | None, name: str, as_json: bool) -> None:
        from worker_core.cli import screen
        from worker_core.services import operations

        service = _known(scope, name)
        operations.command(service, verb)
        if as_json:
            screen.say_json({"service": service.label, "done": verb})
        else:
            say(f"{service.label} {said}.")


_steering("start", "was started", "Start it.")
_steering("stop", "has left", "Let it leave: running turns end first. It starts again with the machine.")
_steering("restart", "was started anew", "Let it leave, and start it again; a changed key file is read.")


def _read(flags: Mapping[str, Any]) -> tuple[Reading, Settings]:
    from worker_core.network.proxy import use_proxy
    from worker_core.settings import read

    flags = {**flags, "queue_ids": queue_ids_in(flags["queue_ids"])}
    reading = read(environ=os.environ, flags=flags, file=paths().settings_file)
    settings = reading.settings()
    if not settings.queue_ids:
        raise ConfigurationError("There is no queue to serve. Name one: `--queue-id ID`, or set QUEUE_ID.")
    use_proxy(settings.proxy)
    return reading, settings


def _made(scope: Scope | None, name: str, reading: Reading, settings: Settings) -> tuple[ServicePlan, Service]:
    from dataclasses import replace

    from worker_core.key_sources import API_KEY, LLM_API_KEY
    from worker_core.services.operations import program_words, systemd_version
    from worker_core.services.plan import ServicePlan
    from worker_core.services.system import default_scope, key_folder, service_of

    chosen = scope or default_scope()
    carried = {"flag", "environment", *(["file"] if chosen == "system" else [])}
    texts = {
        one: _text(getattr(settings, one))
        for one, origin in reading.origins.items()
        if origin.source in carried and one not in {*_KEY_FILES, "llm_api_key"}
    }
    plan = ServicePlan(
        name=name,
        scope=chosen,
        program=(*program_words(), "start"),
        settings=texts,
        drain_timeout=settings.drain_timeout,
    )
    folder = key_folder(plan.label, chosen, paths())
    given = [API_KEY.credential, *([LLM_API_KEY.credential] if settings.llm_api_key else [])]
    plan = replace(plan, keys={one: folder / one for one in given})
    return plan, service_of(plan, paths(), version=systemd_version())


async def _keys(settings: Settings, plan: ServicePlan) -> dict[str, Secret]:
    """The keys that the plan has files for."""
    from worker_core.key_sources import API_KEY, LLM_API_KEY, resolve_api_key
    from worker_core.secrets import KeyringStore

    given = await resolve_api_key(os.environ, KeyringStore(), settings.control_plane_url, file=settings.api_key_file)
    hide_keys()
    known = {API_KEY.credential: given.secret, LLM_API_KEY.credential: settings.llm_api_key}
    return {name: known[name] for name in plan.keys}


def _known(scope: Scope | None, name: str) -> Service:
    """One that may be installed; how it would be written does not matter."""
    from datetime import timedelta

    from worker_core.services.operations import program_words, systemd_version
    from worker_core.services.plan import ServicePlan
    from worker_core.services.system import default_scope, service_of

    plan = ServicePlan(
        name=name, scope=scope or default_scope(), program=program_words(), drain_timeout=timedelta(minutes=5)
    )
    return service_of(plan, paths(), version=systemd_version())


def _described(service: Service) -> dict[str, Any]:
    texts = {str(file.path): file.text for file in service.files}
    commands = [list(words) for words in service.commands["install"]]
    return {"service": service.label, "scope": service.scope, "files": texts, "commands": commands}


def _again(service: Service, name: str) -> str:
    return f" --{service.scope}{f' --name {name}' if name else ''}"


def _text(value: object) -> str:
    from worker_core.settings import as_text

    return as_text(value).lower() if isinstance(value, bool) else as_text(value)
