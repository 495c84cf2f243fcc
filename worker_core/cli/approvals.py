"""`kubiya-worker approvals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

import click

from worker_core.cli.root import ExamplesGroup
from worker_core.cli.situation import json_option, paths, worker_option
from worker_core.cli.terminal import say
from worker_core.snapshot import NOTHING

if TYPE_CHECKING:
    from worker_core.control_socket.client import RunningWorker
    from worker_core.snapshot import ApprovalView, QuestionPart, Scope


@click.group(
    cls=ExamplesGroup,
    invoke_without_command=True,
    help="Show and answer tool calls that wait for you. Without an answer they are denied when their time is over.",
    examples=(
        "kubiya-worker approvals",
        "kubiya-worker approvals show 3f9a",
        "kubiya-worker approvals allow 3f9a",
        "kubiya-worker approvals allow 3f9a --scope always",
        "kubiya-worker approvals allow 3f9a --scope always --rule wider.toml",
        "kubiya-worker approvals allow 3f9a --set name=Ada --set notify=yes",
        "kubiya-worker approvals deny 3f9a",
    ),
)
@worker_option
@json_option
@click.pass_context
def command(context: click.Context, *, wanted: str, as_json: bool) -> int | None:
    if context.invoked_subcommand is None:
        show_all(wanted=wanted, as_json=as_json)
    return None


@command.command("list", help="Show what waits.")
@worker_option
@json_option
def list_(*, wanted: str, as_json: bool) -> None:
    show_all(wanted=wanted, as_json=as_json)


@command.command("show", help="Show everything that a call would do, however long. The beginning of its id will do.")
@click.argument("approval_id", metavar="ID")
@worker_option
@json_option
def show(*, approval_id: str, wanted: str, as_json: bool) -> None:
    from worker_core.cli import screen
    from worker_core.policy.question_text import written

    worker, view = _the_one(approval_id, wanted=wanted)
    question = worker.whole_question(view.id)
    if as_json:
        screen.say_json(
            {**_fields(worker, view), "parts": _plain(question.parts), "left_out": 0, "seal": question.seal}
        )
        return
    say(_head(view))
    for line in written(question.parts):
        say(f"    {line}")
    if view.rule and not view.left_out:
        changed = ", or that of --rule FILE" if view.workspace else ""
        say(f"\nWith --scope always, this rule is written{changed}:")
        for line in view.rule.splitlines():
            say(f"    {line}")
    read = f" --read {question.seal}" if view.left_out else ""
    say(f"\nTo let it run: kubiya-worker approvals allow {view.id}{read}")


@command.command("allow", help="Let a call run. The beginning of its id will do.")
@click.argument("approval_id", metavar="ID")
@click.option(
    "--scope",
    type=click.Choice(["once", "execution", "always"]),
    default="once",
    help="This call; what it asks for in this execution; or always, which writes the rule that `show` says (once).",
)
@click.option(
    "--set",
    "values",
    metavar="NAME=VALUE",
    multiple=True,
    help="Fills in a field of the form that a call asks for; once for each field.",
)
@click.option(
    "--rule",
    "own_rule",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="What always writes instead, as it stands in the policy file: wider or narrower, but it must fit this call.",
)
@click.option("--read", "seal", metavar="CODE", default="", help="Of a long call: what `show` says at its end.")
@worker_option
@json_option
def allow(
    *,
    approval_id: str,
    scope: Scope,
    values: tuple[str, ...],
    own_rule: TextIO | None,
    seal: str,
    wanted: str,
    as_json: bool,
) -> None:
    filled_in = dict(_pair(one) for one in values)
    if own_rule is not None and scope != "always":
        raise click.UsageError("--rule goes with --scope always.")
    rule = _read(own_rule) if own_rule is not None else ""
    _answer(
        approval_id, allow=True, scope=scope, seal=seal, values=filled_in, rule=rule, wanted=wanted, as_json=as_json
    )


@command.command("deny", help="Do not let a call run; the model is told so.")
@click.argument("approval_id", metavar="ID")
@worker_option
@json_option
def deny(*, approval_id: str, wanted: str, as_json: bool) -> None:
    _answer(approval_id, allow=False, scope="once", wanted=wanted, as_json=as_json)


def show_all(*, wanted: str, as_json: bool) -> None:
    from worker_core.cli import screen
    from worker_core.policy.form import written_fields
    from worker_core.policy.question_text import rule_in_one_line, written

    found = [(worker, view) for worker in _workers(wanted) for view in worker.status().approvals]
    if as_json:
        screen.say_json({"approvals": [_fields(worker, view) for worker, view in found]})
    elif not found:
        say("Nothing waits for an approval.")
    else:
        for _, view in found:
            say(_head(view))
            for line in written(view.parts):
                say(f"    {line}")
            for line in written_fields(view.id, view.fields):
                say(f"    {line}")
            if view.rule and not view.left_out:
                say(f"    always writes  {rule_in_one_line(view.rule)}")
            if view.left_out:
                say(f"    {view.left_out:,} characters are not shown: kubiya-worker approvals show {view.id}")


def _head(view: ApprovalView) -> str:
    from worker_core.basics.visible import visible_line

    return f"{view.id}  {visible_line(view.tool)}  until {view.expires_at.astimezone():%H:%M:%S}"


def _pair(text: str) -> tuple[str, str]:
    name, is_one, value = text.partition("=")
    if not is_one:
        raise click.UsageError(f"{text!r} is no NAME=VALUE.")
    return name.strip(), value


def _read(file: TextIO) -> str:
    try:
        text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file.name} cannot be read as text: {error}.") from error
    if not text.strip():
        raise click.UsageError(f"There is no rule in {file.name}.")
    return text


def _answer(
    approval_id: str,
    *,
    allow: bool,
    scope: Scope,
    wanted: str,
    as_json: bool,
    seal: str = "",
    values: Mapping[str, str] = NOTHING,
    rule: str = "",
) -> None:
    from worker_core.basics.visible import visible_line
    from worker_core.cli import screen
    from worker_core.policy.own_rule import NotThatRule

    worker, view = _the_one(approval_id, wanted=wanted)
    if rule and not view.workspace:
        raise NotThatRule(
            "The rule of this answer cannot be changed. Answer it once, and write a rule into the policy.",
            fault="other",
        )
    worker.approve(view.id, allow=allow, scope=scope, seal=seal, values=values, rule=rule)
    if as_json:
        screen.say_json({"id": view.id, "answer": "allow" if allow else "deny", "scope": scope})
    else:
        say(f"{'allowed' if allow else 'denied'}  {view.id}  {visible_line(view.tool)}")


def _the_one(approval_id: str, *, wanted: str) -> tuple[RunningWorker, ApprovalView]:
    """The only one that waits whose id begins so.

    Raises:
        NoSuchApproval: there is none, or there are several.
    """
    from worker_core.policy.questions import NoSuchApproval

    found = [
        (worker, view)
        for worker in _workers(wanted)
        for view in worker.status().approvals
        if view.id.startswith(approval_id)
    ]
    if len(found) != 1:
        which = "Several approvals begin" if found else "No approval waits"
        raise NoSuchApproval(f"{which} with the id {approval_id!r}. `kubiya-worker approvals` lists them.")
    return found[0]


def _workers(wanted: str) -> list[RunningWorker]:
    from worker_core.daemon.instances import workers_of

    return workers_of(paths().runtime, wanted)


def _fields(worker: RunningWorker, view: ApprovalView) -> dict[str, object]:
    return {
        "id": view.id,
        "worker": worker.pid,
        "execution_id": view.execution_id,
        "tool": view.tool,
        "parts": _plain(view.parts),
        "left_out": view.left_out,
        "rule": view.rule,
        "fields": [asdict(field) for field in view.fields],
        "asked_at": view.asked_at.isoformat(),
        "expires_at": view.expires_at.isoformat(),
    }


def _plain(parts: Sequence[QuestionPart]) -> list[dict[str, object]]:
    return [{"name": one.name, "text": one.text, "left_out": one.left_out, "kind": one.kind} for one in parts]
