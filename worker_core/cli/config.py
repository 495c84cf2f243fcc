"""`kubiya-worker config`: show, check, path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker_core.cli.root import ExamplesGroup
from worker_core.cli.setting_options import queue_ids_in, setting_options
from worker_core.cli.situation import json_option, paths, worker_option
from worker_core.cli.terminal import say
from worker_core.errors import ExitCode

if TYPE_CHECKING:
    from worker_core.settings import Fault, ShownSetting


@click.group(
    cls=ExamplesGroup,
    help="The settings of this machine: what they are, where each is from, and what is wrong.",
    examples=(
        "kubiya-worker config show",
        "kubiya-worker config show --json | jq -r '.settings[] | select(.source != \"default\") | .name'",
        "kubiya-worker config show --running",
        "kubiya-worker config check",
        "kubiya-worker config check new-config.toml --policy new-policy.toml",
        "${EDITOR:-vi} $(kubiya-worker config path)",
    ),
)
def command() -> None:
    pass


@command.command("path", help="Print where the settings file is (or would be).")
def path_() -> None:
    say(str(paths().settings_file))


@command.command(
    "show",
    help="""Show every setting as a worker would start with it now, and where its value is from. It takes the flags of
    `start`. Secrets are shown as stars. Exit code 3 where something is wrong.

    With --running, as a worker that runs has them: what the control plane decided at registration is from `server`,
    what was sized to this machine from `machine`.""",
)
@click.option("--changed", is_flag=True, help="Only those that are not at their default.")
@click.option("--running", is_flag=True, help="As a running worker has them, with what the control plane decided.")
@worker_option
@setting_options()
@json_option
def show(*, as_json: bool, changed: bool, running: bool, wanted: str, queue_ids: tuple[str, ...], **flags: Any) -> int:
    from worker_core.cli import screen
    from worker_core.cli.steering import the_worker
    from worker_core.settings import Reading, read, rows

    reading = Reading(values={}, origins={})
    if running or wanted:
        if queue_ids or any(value is not None and value != () for value in flags.values()):
            raise click.UsageError("A running worker has its own flags: give none with --running.")
        found = the_worker(wanted).settings()
    else:
        given = {"queue_ids": queue_ids_in(queue_ids), **flags}
        reading = read(environ=os.environ, flags=given, file=paths().settings_file)
        found = rows(reading.settings_without_faults(), reading)
    if changed:
        found = [one for one in found if one.source != "default"]
    if as_json:
        shown = [asdict(one) for one in found]
        screen.say_json({"file": str(paths().settings_file), "settings": shown, "faults": _plain(reading.faults)})
    else:
        _show(found)
        _complain(reading.faults, reading.remarks)
    return ExitCode.NOT_CONFIGURED if reading.faults else ExitCode.OK


def _show(found: Sequence[ShownSetting]) -> None:
    from worker_core.cli import screen

    if not found:
        say("Every setting is at its default.")
        return
    cells: list[list[screen.Cell]] = []
    for one in found:
        style = "quiet" if one.source == "default" else ""
        cells.append([screen.text(said, style) for said in (one.name, one.text or "-", one.origin)])
    screen.table(screen.console(), ("SETTING", "VALUE", "FROM"), cells)


@command.command(
    "check",
    help="""Find everything that is wrong with the settings, before a worker does: in the settings file, in the
    environment and in the policy file; or in the files that are named, and in nothing else. Exit code 3 where
    something is.

    Each fault has its line and column, and where a name is misspelt, the name that was probably meant.""",
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE", help="Check this policy file.")
@json_option
def check(*, file: Path | None, policy: Path | None, as_json: bool) -> int:
    from worker_core.cli import screen
    from worker_core.settings import Reading, read

    named = file is not None or policy is not None
    reading = Reading(values={}, origins={})
    looked_at: list[Path] = []
    if file is not None or not named:
        looked_at.append(file or paths().settings_file)
        reading = read(environ={} if named else os.environ, file=looked_at[0])
    faults = list(reading.faults)
    if policy is not None or not named:
        looked_at.append(policy or paths().policy_file)
        faults += policy_faults(looked_at[-1])
    faults += [_missing(one) for one in (file, policy) if one is not None and not os.path.lexists(one)]
    if as_json:
        files = [str(one) for one in looked_at]
        said = {"ok": not faults, "files": files, "faults": _plain(faults), "remarks": _plain(reading.remarks)}
        screen.say_json(said)
    else:
        for one in looked_at:
            if not any(fault.file == str(one) for fault in faults):
                state = "nothing is wrong" if one.exists() else "does not exist, which is fine"
                say(f"{one}: {state}.")
        _complain(faults, reading.remarks)
    return ExitCode.NOT_CONFIGURED if faults else ExitCode.OK


def policy_faults(file: Path) -> list[Fault]:
    """What is wrong with a policy file: reading ends at the first fault."""
    from worker_core.policy.file import BrokenPolicy, parse, read_text
    from worker_core.settings import Fault

    try:
        parse(read_text(file)[0], file=str(file))
    except BrokenPolicy as error:
        said = error.sentence.removeprefix(f"{file}, line {error.line}: ")
        return [Fault(sentence=error.sentence, said=said[:1].upper() + said[1:], file=str(file), line=error.line)]
    return []


def _missing(file: Path) -> Fault:
    from worker_core.settings import Fault

    return Fault(sentence=f"There is no file {file}.", file=str(file))


def _plain(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    return [{name: value for name, value in asdict(one).items() if name not in {"said", "told"}} for one in faults]


def _complain(faults: Sequence[Fault], remarks: Sequence[Fault]) -> None:
    """On stderr, each with the place that editors and terminals jump to."""
    from worker_core.cli.root import complain

    for one in faults:
        complain(f"{place(one)}{one.said}" if one.said and one.line else one.sentence)
    for one in remarks:
        say(f"note: {one.sentence}", err=True)


def place(fault: Fault) -> str:
    """`FILE:LINE:COLUMN: `, as far as it is known; empty without a file."""
    if not fault.file:
        return ""
    return ":".join([fault.file, *(str(one) for one in (fault.line, fault.column) if one)]) + ": "
