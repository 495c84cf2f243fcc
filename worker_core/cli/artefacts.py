"""`kubiya-worker artefacts`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker_core.cli.root import ExamplesGroup
from worker_core.cli.situation import json_option, paths
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.workspaces.artefacts import LeftFiles


@click.group(
    cls=ExamplesGroup,
    invoke_without_command=True,
    help="List and copy out the files that executions left in their workspaces on this machine. Workspaces are removed "
    "some time after their execution has ended (`workspace_kept`); what was written into folders of yours lies there.",
    examples=(
        "kubiya-worker artefacts",
        "kubiya-worker artefacts show 3f9a",
        "kubiya-worker artefacts export 3f9a --to ~/report",
        "kubiya-worker artefacts export 3f9a 'charts/*.png' --to .",
    ),
)
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@command.command("list", help="Show which executions left files.")
@json_option
def list_(*, as_json: bool) -> None:
    _list(as_json=as_json)


@command.command("show", help="Show the files that one left. The beginning of its id will do.")
@click.argument("execution_id", metavar="ID")
@json_option
def show(*, execution_id: str, as_json: bool) -> None:
    from worker_core.basics.sizes import size
    from worker_core.basics.visible import visible_line
    from worker_core.cli import screen
    from worker_core.workspaces.artefacts import left_by
    from worker_core.workspaces.workspace import MOST_ARTEFACTS

    left = left_by(paths().workspaces, execution_id)
    is_all = len(left.files) < MOST_ARTEFACTS
    if as_json:
        screen.say_json({**_plain(left), "files": [one.to_json() for one in left.files], "is_all": is_all})
        return
    if not left.files:
        say(f"{left.execution_id} left no files.")
    for one in left.files:
        say(f"{size(one.size_bytes):>8}  {one.modified_at.astimezone():%Y-%m-%d %H:%M}  {visible_line(one.path)}")
    if not is_all:
        say(f"\nThese are the first {MOST_ARTEFACTS}; all of them lie in {left.workspace.path}.")


@command.command("export", help="Copy files that one left out of its workspace. Without PATH: all of them.")
@click.argument("execution_id", metavar="ID")
@click.argument("patterns", metavar="[PATH]...", nargs=-1)
@click.option(
    "--to", "to", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Made if it is missing."
)
@click.option(
    "--at-most", "at_most", type=click.IntRange(min=1), default=1000, metavar="MB", help="All together (1000)."
)
@click.option("--replace", is_flag=True, help="Also files that are there already.")
@json_option
def export(
    *, execution_id: str, patterns: tuple[str, ...], to: Path, at_most: int, replace: bool, as_json: bool
) -> None:
    from worker_core.basics.sizes import size
    from worker_core.cli import screen
    from worker_core.workspaces import artefacts

    left = artefacts.left_by(paths().workspaces, execution_id)
    files = artefacts.chosen(left.files, patterns)
    folder = to.expanduser().resolve()
    copied = artefacts.export(left, files, to=folder, limit_bytes=at_most * 10**6, replace=replace)
    if as_json:
        screen.say_json({"to": str(folder), "size_bytes": copied, "files": [one.path for one in files]})
    else:
        say(f"{len(files)} {'file' if len(files) == 1 else 'files'}, {size(copied)}, copied into {folder}.")


def _list(*, as_json: bool) -> None:
    from worker_core.basics.sizes import size
    from worker_core.cli import screen
    from worker_core.workspaces.artefacts import all_left

    found = sorted(all_left(paths().workspaces), key=lambda one: one.modified_at, reverse=True)
    if as_json:
        screen.say_json({"executions": [{**_plain(one), "files": len(one.files)} for one in found]})
        return
    if not found:
        say("No execution has left files here.")
    for one in found:
        many = f"{len(one.files)} {'file' if len(one.files) == 1 else 'files'}"
        say(f"{one.execution_id}  {one.modified_at.astimezone():%Y-%m-%d %H:%M}  {many:>10}  {size(one.size_bytes):>8}")


def _plain(one: LeftFiles) -> dict[str, object]:
    return {"execution_id": one.execution_id, "workspace": str(one.workspace.path), "size_bytes": one.size_bytes}
