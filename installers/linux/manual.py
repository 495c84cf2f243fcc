"""Man pages, made of the help that the programs print."""

from __future__ import annotations

import argparse
import functools
import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click

from installers.linux.packages import Release
from worker_core.cli.root import EXIT_CODES, SECTIONS, Examples, LazyGroup
from worker_core.cli.root import command as root

NAME = "kubiya-worker"


@functools.cache
def pages(release: Release) -> dict[str, str]:
    """By file name: `kubiya-worker.1`, and a page for each command."""
    assert isinstance(root, LazyGroup)
    made = {f"{NAME}.1": _overview(root, release=release)}
    context = click.Context(root, info_name=NAME)
    for entries in SECTIONS.values():
        for name, entry in entries.items():
            command = root.get_command(context, name)
            assert command is not None
            page = _title(f"{NAME}-{name}", entry.summary, release=release)
            page += _command(command, words=f"{NAME} {name}")
            made[f"{NAME}-{name}.1"] = page + f".SH SEE ALSO\n.BR {NAME} (1)\n"
    return made


def page_of(parser: argparse.ArgumentParser, *, summary: str, release: Release) -> str:
    """Of a program that argparse reads the arguments of."""
    page = _title(parser.prog, summary, release=release)
    page += f".SH SYNOPSIS\n.B {_text(parser.prog)}\n[OPTION]...\n"
    page += f".SH DESCRIPTION\n{_paragraphs(parser.description or '')}.SH OPTIONS\n"
    for action in parser._actions:  # argparse has no other way to them
        if action.help != argparse.SUPPRESS:
            names = ", ".join(action.option_strings) + (f" {action.metavar}" if action.metavar else "")
            page += _entry(names, action.help or "")
    return page + f".SH SEE ALSO\n.BR {NAME} (1)\n"


def _overview(group: LazyGroup, *, release: Release) -> str:
    page = _title(NAME, group.help or "", release=release)
    page += f".SH SYNOPSIS\n.B {_text(NAME)}\n[OPTION]... COMMAND [ARGUMENT]...\n"
    page += f".SH DESCRIPTION\n{_paragraphs(group.help or '')}"
    for title, entries in SECTIONS.items():
        page += f".SS {_text(title)}\n"
        for name, entry in entries.items():
            page += f".TP\n.BR {_text(f'{NAME}-{name}')} (1)\n{_text(entry.summary)}\n"
    page += ".SH OPTIONS\n" + _options(group)
    page += ".SH EXIT STATUS\n" + "".join(_entry(str(code), meaning) for code, meaning in EXIT_CODES)
    page += ".SH FILES\n"
    page += _entry("~/.config/kubiya-worker/config.toml", "Settings; `kubiya-worker config path` says where they are.")
    page += _entry("~/.config/kubiya-worker/policy.toml", "What agents may do on this machine.")
    page += _entry("~/.local/state/kubiya-worker/", "Workspaces, logs, the journal and what else a worker keeps.")
    return page + f".SH SEE ALSO\n.BR {NAME}-start (1),\n.BR {NAME}-doctor (1),\n.BR {NAME}-desktop (1)\n"


def _command(command: click.Command, *, words: str) -> str:
    context = click.Context(command, info_name=words)
    usage = " ".join(command.collect_usage_pieces(context))
    page = f".SH SYNOPSIS\n.B {_text(words)}\n{_text(usage)}\n"
    page += f".SH DESCRIPTION\n{_paragraphs(command.help or '')}.SH OPTIONS\n{_options(command)}"
    if isinstance(command, click.Group):
        page += ".SH COMMANDS\n"
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                pieces = " ".join(inner.collect_usage_pieces(click.Context(inner, info_name=name)))
                page += f".SS {_text(f'{words} {name} {pieces}')}\n{_paragraphs(inner.help or '')}{_options(inner)}"
    examples: Sequence[str] = command.examples if isinstance(command, Examples) else ()
    if examples:
        page += ".SH EXAMPLES\n.nf\n" + "".join(f"{_text(one)}\n" for one in examples) + ".fi\n"
    return page


def _options(command: click.Command) -> str:
    context = click.Context(command)
    records = [one.get_help_record(context) for one in command.get_params(context)]
    return "".join(_entry(names, said) for names, said in filter(None, records))


def _title(name: str, summary: str, *, release: Release) -> str:
    day = datetime.fromtimestamp(release.epoch, UTC).date().isoformat()
    first = _text(summary.strip().rstrip("."))
    title = f'.TH "{name.upper()}" 1 "{day}" "Kubiya Worker {release.version}" "Kubiya Worker"'
    return f"{title}\n.SH NAME\n{name} \\- {first}\n"


def _entry(names: str, said: str) -> str:
    return f".TP\n.B {_text(names)}\n{_text(' '.join(said.split()))}\n"


def _paragraphs(help_text: str) -> str:
    r"""How help is written for click: paragraphs, and `\b` before one that keeps its lines."""
    made = ""
    for paragraph in re.split(r"\n\s*\n", textwrap.dedent(f"    {help_text.strip()}")):
        lines = list(_lines(paragraph))
        if paragraph.strip().startswith("\b"):
            made += ".PP\n.nf\n" + "".join(f"{line}\n" for line in lines if line) + ".fi\n"
        elif any(lines):
            made += ".PP\n" + " ".join(lines) + "\n"
    return made.removeprefix(".PP\n")  # a heading stands before it


def _lines(paragraph: str) -> Iterator[str]:
    for line in paragraph.replace("\b", "").strip("\n").splitlines():
        yield _text(line.strip())


def _text(text: str) -> str:
    """As roff reads it: no control character at the line's beginning, hyphens that can be copied, code in bold."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    escaped = re.sub(r"`([^`]+)`", r"\\fB\1\\fP", escaped)
    escaped = escaped.translate({0x2026: "...", 0x2192: "\\(->", 0x2013: "\\(en"})
    return f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped
