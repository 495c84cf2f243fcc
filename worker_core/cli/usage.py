"""`kubiya-worker usage`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, paths
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.budgets.usage import DailyUsage, UsageNumbers

_LONGEST_DAYS: Final = 90
_HEAD: Final = ("TURNS", "FAILED", "TOKENS", "COST")


@click.command(
    cls=Examples,
    help="""Show what executions took on this machine: turns that ended, tokens and their cost, by day, agent or queue.
    All workers of this user count into it, also those that are gone.

    The numbers are kept on this machine alone, for 90 days. A cost with a + has calls in it whose price nobody knows
    (`prices.toml` can say it).""",
    examples=(
        "kubiya-worker usage",
        "kubiya-worker usage --by agent --days 7",
        "kubiya-worker usage --csv usage.csv",
        "kubiya-worker usage --csv - | head",
        "kubiya-worker usage --by queue --json | jq '.total.tokens'",
    ),
)
@click.option(
    "--days",
    type=click.IntRange(1, _LONGEST_DAYS),
    default=_LONGEST_DAYS,
    show_default=True,
    help="How many, today among them.",
)
@click.option(
    "--by",
    type=click.Choice(("day", "agent", "queue")),
    default="day",
    show_default=True,
    help="What is added up in a line.",
)
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE|-",
    default="",
    help="Write all numbers to a file, or to standard output, a line for each day, agent and queue.",
)
@json_option
def command(*, days: int, by: str, csv_file: str, as_json: bool) -> None:
    from worker_core.budgets.usage import csv_text, read_usage
    from worker_core.cli import screen

    if csv_file and as_json:
        raise click.UsageError("--csv and --json are two forms: say one of them.")
    usage = read_usage(paths().budget_file, days=days)
    if csv_file:
        _write(csv_file, csv_text(usage))
    elif as_json:
        screen.say_json(_as_json(usage, by))
    else:
        _show(usage, by)


def _write(name: str, text: str) -> None:
    from worker_core.basics.files import write_private
    from worker_core.errors import ConfigurationError

    if name == "-":
        say(text, nl=False)
        return
    try:
        write_private(Path(name), text.encode(), durable=False)
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be written: {error.strerror}. Name another file.") from error
    say(f"Written to {name}.", err=True)


def _as_json(usage: DailyUsage, by: str) -> dict[str, Any]:
    rows: list[dict[str, Any]]
    match by:
        case "day":
            rows = [{"day": str(day), **asdict(numbers)} for day, numbers in usage.by_day()]
        case "agent":
            rows = [
                {"agent_id": id_, "agent": usage.name("agent", id_), **asdict(numbers)}
                for id_, numbers in usage.by("agent")
            ]
        case _:
            rows = [
                {"queue_id": id_, "queue": usage.name("queue", id_), **asdict(numbers)}
                for id_, numbers in usage.by("queue")
            ]
    return {
        "first": str(usage.first), "last": str(usage.last), "by": by, "rows": rows, "total": asdict(usage.total),
    }  # fmt: skip


def _show(usage: DailyUsage, by: str) -> None:
    from rich.text import Text

    from worker_core.cli import screen

    if not usage.rows:
        since = "today" if usage.first == usage.last else f"since {usage.first}"
        say(f"Nothing was counted here {since}. Numbers come with the first turn that a worker ends on this machine.")
        return
    match by:
        case "day":
            named = [(str(day), numbers) for day, numbers in usage.by_day() if numbers.turns or numbers.tokens]
        case "agent":
            named = [(usage.name("agent", id_) or "(unknown)", numbers) for id_, numbers in usage.by("agent")]
        case _:
            named = [(usage.name("queue", id_) or "(unknown)", numbers) for id_, numbers in usage.by("queue")]
    cells = [[name, *_cells(numbers)] for name, numbers in [*named, ("total", usage.total)]]
    wide = [max(map(len, column)) for column in zip(_HEAD, *(row[1:] for row in cells), strict=True)]
    head = [title.rjust(width) for title, width in zip(_HEAD, wide, strict=True)]
    rows: list[list[screen.Cell]] = [
        [row[0], *(Text(cell.rjust(width)) for cell, width in zip(row[1:], wide, strict=True))] for row in cells
    ]
    screen.table(screen.console(), (by.upper(), *head), rows)


def _cells(numbers: UsageNumbers) -> tuple[str, str, str, str]:
    from worker_core.budgets.amounts import amount_text

    cost = amount_text("cost", numbers.cost) + ("+" if numbers.unpriced else "")
    return f"{numbers.turns:,}", f"{numbers.failed:,}", f"{numbers.tokens:,}", cost
