"""`kubiya-worker policy`: check, show, path, audit."""

from __future__ import annotations

import json
from pathlib import Path

import click

from worker_core.cli.root import ExamplesGroup
from worker_core.cli.situation import json_option, load_settings, paths
from worker_core.cli.terminal import say
from worker_core.cli.words import words
from worker_core.errors import ExitCode


@click.group(
    cls=ExamplesGroup,
    help="What agents may do on this machine: allow, ask, deny.",
    examples=(
        "kubiya-worker policy check 'cat ~/.ssh/id_rsa'",
        "kubiya-worker policy check --tool read_file --path /etc/hosts",
        "kubiya-worker policy check --path ~/reports/june.csv --for ops-agent",
        "kubiya-worker policy show",
        "${EDITOR:-vi} $(kubiya-worker policy path)",
        "kubiya-worker policy audit --verify",
    ),
)
def command() -> None:
    pass


@command.command(
    "check",
    help="""Would a call be allowed (exit code 0), asked for (10) or denied (11), and why?

    Folders that the settings grant count, as for an execution of the ids behind --for; without them, of the queue
    of the settings where there is one alone.""",
)
@click.argument("line", type=words, metavar="[COMMAND]", default="")
@click.option("--tool", default="", metavar="NAME", help="Of which tool (shell, with a command).")
@click.option("--path", "path", default="", metavar="PATH", help="A path that the call names.")
@click.option("--host", default="", metavar="HOST", help="A host that the call names.")
@click.option("--workspace", default="", metavar="DIR", help="The execution's workspace (an empty example).")
@click.option("--for", "ids", multiple=True, metavar="ID...", help="The execution's queue, agent or team.")
@click.option("--cwd", default="", metavar="DIR", help="The granted folder that the execution works in.")
@json_option
def check(
    *, line: str, tool: str, path: str, host: str, workspace: str, ids: tuple[str, ...], cwd: str, as_json: bool
) -> int:
    from worker_core.cli import screen
    from worker_core.policy.decision import policy_file
    from worker_core.policy.rules import Action
    from worker_core.policy.trial import TriedCall, enforced, try_call

    if not (line or tool or path or host):
        raise click.UsageError("Name a command, a tool, a path or a host.")
    where = paths()
    call = TriedCall(
        line=line,
        path=path,
        host=host,
        tool=tool,
        ids=ids,
        cwd=cwd,
        workspace=Path(workspace).resolve() if workspace else None,
    )
    settings = load_settings()
    found = try_call(
        call,
        policy=policy_file(where).current(),
        settings=settings,
        paths=where,
        enforces=enforced(settings, where),
    )
    decision, notes = found.decision, found.notes
    if as_json:
        screen.say_json(
            {
                "action": decision.action.word,
                "subject": {"kind": decision.finding.subject.kind, "text": decision.finding.subject.text},
                "rule": decision.finding.rule_text,
                "file": decision.rule.file,
                "line": decision.rule.line,
                "why": decision.finding.subject.unclear or decision.rule.why,
                "asking": [one.subject.text for one in decision.asking],
                "folders": [{"path": str(one.path), "writable": one.writable} for one in found.granted.place.folders],
                "notes": notes,
            }
        )
    else:
        say(decision.sentence)
        for note in notes:
            say(f"note: {note}")
        if found.is_for_others:
            say("note: --for ID says whose call it is.")
    return {Action.ALLOW: 0, Action.ASK: ExitCode.POLICY_ASKS, Action.DENY: ExitCode.POLICY_DENIES}[decision.action]


@command.command("show", help="Show all rules, in the order in which they count.")
@json_option
def show(*, as_json: bool) -> int:
    from worker_core.cli import screen
    from worker_core.cli.root import complain
    from worker_core.policy.decision import policy_file

    policy = policy_file(paths()).current()
    if policy.broken is not None:
        complain(f"{policy.broken.why} Until it is repaired, every call is denied.")
    if as_json:
        rows = [{"rule": rule.text, "file": rule.file, "line": rule.line, "why": rule.why} for rule in policy.all_rules]
        screen.say_json({"rules": rows, "broken": policy.broken.why if policy.broken else None})
    else:
        for rule in policy.all_rules:
            say(f"{rule.place:<10}  {rule.text}{f'  # {rule.why}' if rule.why else ''}")
    return 0 if policy.broken is None else 3


@command.command("path", help="Print where the policy file is (or would be).")
def path_() -> None:
    say(str(paths().policy_file))


@command.command("audit", help="Show what was decided, or verify that the record was not changed.")
@click.option("--verify", "only_verify", is_flag=True, help="Check the chain (exit code 11 where it is broken).")
@click.option("-n", "--lines", "last", type=click.IntRange(min=0), default=50, help="How many entries (50).")
@json_option
def audit(*, only_verify: bool, last: int, as_json: bool) -> int:
    from collections import deque

    from worker_core.basics.plain import one_line
    from worker_core.cli import screen
    from worker_core.policy.audit import entries, verify

    file = paths().audit_file
    if only_verify:
        found = verify(file)
        if as_json:
            screen.say_json({"entries": found.entries, "problems": found.problems, "notes": found.notes})
        else:
            for sentence in (*found.notes, *found.problems):
                say(sentence)
            state = "broken" if found.problems else "whole"
            say(f"{state}  {found.entries} entries  {file}")
        return ExitCode.POLICY_DENIES if found.problems else 0
    for entry in deque(entries(file), maxlen=last):
        if as_json:
            say(json.dumps(entry))
        else:
            about = entry.get("answer") or entry.get("rule") or ""
            said = f"{entry.get('at', '')[:19]}  {entry.get('kind', ''):<7} {entry.get('tool', '')}  {about}"
            say(one_line(said, 200))
    return 0
