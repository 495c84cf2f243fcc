"""`kubiya-worker approvals`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from worker_core.cli.root import write_examples
from worker_core.cli.situation import json_option, paths, worker_option

if TYPE_CHECKING:
    from worker_core.service.workers import RunningWorker
    from worker_core.snapshot import ApprovalView, Scope


class _Group(click.Group):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        write_examples(
            formatter,
            (
                "kubiya-worker approvals",
                "kubiya-worker approvals allow 3f9a",
                "kubiya-worker approvals allow 3f9a --scope always",
                "kubiya-worker approvals deny 3f9a",
            ),
        )


@click.group(
    cls=_Group,
    invoke_without_command=True,
    help="Show and answer tool calls that wait for you. Without an answer they are denied when their time is over.",
)
@worker_option
@json_option
@click.pass_context
def command(context: click.Context, *, pid: int | None, as_json: bool) -> int | None:
    if context.invoked_subcommand is None:
        show_all(pid=pid, as_json=as_json)
    return None


@command.command("list", help="Show what waits.")
@worker_option
@json_option
def list_(*, pid: int | None, as_json: bool) -> None:
    show_all(pid=pid, as_json=as_json)


@command.command("allow", help="Let a call run. The beginning of its id will do.")
@click.argument("approval_id", metavar="ID")
@click.option(
    "--scope",
    type=click.Choice(["once", "execution", "always"]),
    default="once",
    help="This call; what it asks for in this execution; or always, which writes a rule (once).",
)
@worker_option
@json_option
def allow(*, approval_id: str, scope: Scope, pid: int | None, as_json: bool) -> None:
    _answer(approval_id, allow=True, scope=scope, pid=pid, as_json=as_json)


@command.command("deny", help="Do not let a call run; the model is told so.")
@click.argument("approval_id", metavar="ID")
@worker_option
@json_option
def deny(*, approval_id: str, pid: int | None, as_json: bool) -> None:
    _answer(approval_id, allow=False, scope="once", pid=pid, as_json=as_json)


def show_all(*, pid: int | None, as_json: bool) -> None:
    from worker_core.cli import screen

    found = [(worker, view) for worker in _workers(pid) for view in worker.status().approvals]
    if as_json:
        screen.say_json({"approvals": [_fields(worker, view) for worker, view in found]})
    elif not found:
        click.echo("Nothing waits for an approval.")
    else:
        from worker_core.logs.plain import one_line, plain

        for _, view in found:
            click.echo(f"{view.id}  {one_line(view.tool, 60)}  until {view.expires_at.astimezone():%H:%M:%S}")
            for line in plain(view.summary).splitlines():
                click.echo(f"    {line}")
            click.echo(f"    {one_line(view.rule, 400)}")


def _answer(approval_id: str, *, allow: bool, scope: Scope, pid: int | None, as_json: bool) -> None:
    from worker_core.agents.approval_book import NoSuchApproval
    from worker_core.cli import screen

    workers = [
        (worker, view)
        for worker in _workers(pid)
        for view in worker.status().approvals
        if view.id.startswith(approval_id)
    ]
    if len(workers) != 1:
        which = "Several approvals begin" if workers else "No approval waits"
        raise NoSuchApproval(f"{which} with the id {approval_id!r}. `kubiya-worker approvals` lists them.")
    worker, view = workers[0]
    worker.approve(view.id, allow=allow, scope=scope)
    if as_json:
        screen.say_json({"id": view.id, "answer": "allow" if allow else "deny", "scope": scope})
    else:
        click.echo(f"{'allowed' if allow else 'denied'}  {view.id}  {view.tool}")


def _workers(pid: int | None) -> list[RunningWorker]:
    from worker_core.service.workers import NOBODY, NoWorker, one_worker, running_workers

    if pid is not None:
        return [one_worker(paths().runtime, pid=pid)]
    workers = running_workers(paths().runtime)
    if not workers:
        raise NoWorker(NOBODY)
    return workers


def _fields(worker: RunningWorker, view: ApprovalView) -> dict[str, object]:
    return {
        "id": view.id,
        "worker": worker.pid,
        "execution_id": view.execution_id,
        "tool": view.tool,
        "summary": view.summary,
        "rule": view.rule,
        "asked_at": view.asked_at.isoformat(),
        "expires_at": view.expires_at.isoformat(),
    }
