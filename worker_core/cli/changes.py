"""`kubiya-worker changes`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from worker_core.cli.root import ExamplesGroup
from worker_core.cli.situation import json_option, load_settings, paths
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.checkouts.changes import Changes, CheckoutChanges
    from worker_core.checkouts.record import Checkout


@click.group(
    cls=ExamplesGroup,
    invoke_without_command=True,
    help="Show, merge or discard what executions changed in copies of your repositories (`folders` in the settings).",
    examples=(
        "kubiya-worker changes",
        "kubiya-worker changes show 3f9a",
        "kubiya-worker changes merge 3f9a",
        "kubiya-worker changes discard 3f9a",
    ),
)
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    if context.invoked_subcommand is None:
        show_all(as_json=as_json)


@command.command("list", help="Show which executions have a copy.")
@json_option
def list_(*, as_json: bool) -> None:
    show_all(as_json=as_json)


@command.command("show", help="Show what one changed. The beginning of its execution's id will do.")
@click.argument("execution_id", metavar="ID")
@json_option
def show(*, execution_id: str, as_json: bool) -> None:
    from worker_core.basics.visible import visible, visible_line
    from worker_core.cli import screen

    changes = _with_changes(execution_id, lambda copies, one: copies.of(one))
    if as_json:
        screen.say_json(
            {**_plain(changes.checkout), "files": _files(changes), "diff": changes.diff, "seal": changes.seal}
        )
        return
    if not changes.files:
        say(f"{changes.checkout.execution_id} has changed nothing in its copy of {changes.checkout.repository}.")
        return
    for line in visible(changes.diff).split("\n"):
        say(line)
    say()
    for one in changes.files:
        counts = "binary" if one.added is None else f"+{one.added} -{one.removed}"
        say(f"{counts:>14}  {visible_line(one.path)}")
    say(f"\nTo merge them: kubiya-worker changes merge {changes.checkout.execution_id} --read {changes.seal}")


@command.command("merge", help="Bring the changes into your repository, as a branch, and merge that.")
@click.argument("execution_id", metavar="ID")
@click.option("--read", "seal", metavar="CODE", default="", help="What `show` says at its end: merge just that.")
@json_option
def merge(*, execution_id: str, seal: str, as_json: bool) -> None:
    _done(_with_changes(execution_id, lambda copies, one: copies.merge(one, seal=seal)), as_json=as_json)


@command.command("discard", help="Take the copy's files back to where they began; your repository is not touched.")
@click.argument("execution_id", metavar="ID")
@json_option
def discard(*, execution_id: str, as_json: bool) -> None:
    _done(_with_changes(execution_id, lambda copies, one: copies.discard(one)), as_json=as_json)


def show_all(*, as_json: bool) -> None:
    from worker_core.checkouts.record import CheckoutRecords
    from worker_core.cli import screen
    from worker_core.workspaces.workspace import Workspace

    records = CheckoutRecords(paths().checkouts)
    found = []
    for one in records.all():
        if Workspace.find(paths().workspaces, one.execution_id) is None:
            records.forget(one.execution_id)  # its workspace was removed, some time after its end
        elif one.state != "making":
            found.append(one)
    if as_json:
        screen.say_json({"changes": [_plain(one) for one in found]})
    elif not found:
        say("No execution has a copy of a repository of yours.")
    for one in () if as_json else found:
        say(f"{one.execution_id}  {one.state:<9}  {one.repository}  {one.branch}")


def _with_changes(execution_id: str, do: Callable[[CheckoutChanges, Checkout], Awaitable[Any]]) -> Any:
    from worker_core.checkouts.changes import opened
    from worker_core.checkouts.record import CheckoutRecords

    here = paths()
    here.have_temporary()  # what is merged is put there first
    checkout = CheckoutRecords(here.checkouts).one(execution_id)
    settings = load_settings()

    async def run() -> Any:
        async with opened(settings, here) as copies:
            return await do(copies, checkout)

    return asyncio.run(run())


def _done(sentence: str, *, as_json: bool) -> None:
    from worker_core.cli import screen

    if as_json:
        screen.say_json({"sentence": sentence})
    else:
        say(sentence)


def _plain(one: Checkout) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(one)
    return plain


def _files(changes: Changes) -> list[dict[str, Any]]:
    return [{"path": one.path, "added": one.added, "removed": one.removed} for one in changes.files]
