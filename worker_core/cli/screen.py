"""How things look in the terminal: one accent colour, aligned columns, stacked records where it is narrow."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from worker_core.basics.plain import json_line, marked, plain, width
from worker_core.cli.terminal import say

if TYPE_CHECKING:
    from worker_core.snapshot import ExecutionView

ACCENT: Final = "cyan"
_THEME: Final = Theme(
    {"accent": ACCENT, "good": "green", "bad": "red", "careful": "yellow", "quiet": "bright_black", "strong": "bold"}
)
_UNLIMITED: Final = 10_000
_GAP: Final = "  "

OK, FAILED, RUNNING, IDLE = "✓", "✗", "●", "○"

Cell = str | Text


def console(*, stderr: bool = False) -> Console:
    """A terminal, or whatever stands in its place: then nothing is coloured, cut or wrapped."""
    stream = sys.stderr if stderr else sys.stdout
    made = _Console(file=stream, theme=_THEME, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made = _Console(
            file=stream, theme=_THEME, highlight=False, markup=False, emoji=False, width=_UNLIMITED, no_color=True
        )
    return made


class _Console(Console):
    """What is printed is text: where something came here that was not made plain, it is marked instead of obeyed."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*map(_obeyed_by_nobody, objects), **options)


def _obeyed_by_nobody(printed: Any) -> Any:
    if isinstance(printed, str):
        return plain(printed)
    if isinstance(printed, Text) and (safe := marked(printed.plain)) != printed.plain:
        printed = printed.copy()
        printed.plain = safe
    return printed


def say_json(value: Any) -> None:
    """One line of JSON on stdout."""
    say(json_line(value))


def text(value: object, style: str = "") -> Text:
    """Text from outside, safe for a terminal, on one line."""
    return Text(" ".join(plain(str(value)).split()), style=style)


def table(screen: Console, head: Sequence[str], rows: Sequence[Sequence[Cell]], *, indent: str = "") -> None:
    """Aligned columns; where they do not fit, one stacked record per row."""
    cells = [[cell if isinstance(cell, Text) else text(cell) for cell in row] for row in rows]
    wide = [max([width(title), *(width(row[at].plain) for row in cells)]) for at, title in enumerate(head)]
    if len(indent) + sum(wide) + len(_GAP) * (len(head) - 1) > screen.width:
        _stacked(screen, head, cells, indent=indent)
        return
    _line(screen, [Text(title, style="quiet") for title in head], wide, indent)
    for row in cells:
        _line(screen, row, wide, indent)


def _line(screen: Console, row: Sequence[Text], wide: Sequence[int], indent: str) -> None:
    line = Text(indent)
    for at, cell in enumerate(row):
        line.append_text(cell)
        if at < len(row) - 1:
            line.append(" " * (wide[at] - width(cell.plain)) + _GAP)
    line.rstrip()
    screen.print(line, soft_wrap=True)


def _stacked(screen: Console, head: Sequence[str], rows: Sequence[Sequence[Text]], *, indent: str) -> None:
    for number, row in enumerate(rows):
        if number:
            screen.print()
        fields(screen, [(title.lower(), cell) for title, cell in zip(head, row, strict=True)], indent=indent)


def fields(screen: Console, pairs: Sequence[tuple[str, Cell]], *, indent: str = "") -> None:
    """Names and values, the values aligned; long ones go on below themselves."""
    wide = max(width(name) for name, _ in pairs)
    lead = len(indent) + wide + len(_GAP)
    for name, cell in pairs:
        value = cell if isinstance(cell, Text) else text(cell)
        head = Text(indent).append(name.ljust(wide), style="quiet").append(_GAP)
        hanging(screen, head, value, lead=lead)


def wrapped(body: Text, room: int) -> list[Text]:
    """Lines of at most `room` columns. Words stay whole, however long: a broken id or path cannot be copied."""
    breaks: list[int] = []
    begin = 0
    for word in re.finditer(r"\S+", body.plain):
        if word.start() > begin and width(body.plain[begin : word.end()]) > room:
            begin = word.start()
            breaks.append(begin)
    lines = list(body.divide(breaks))
    for line in lines:
        line.rstrip()
    return lines


def hanging(screen: Console, head: Text, body: Text, *, lead: int) -> None:
    """A head and a text whose further lines begin below its first, at column `lead`."""
    parts = wrapped(body, max(10, screen.width - lead)) if screen.is_terminal else [body]
    for at, part in enumerate(parts):
        screen.print(Text.assemble(head if at == 0 else " " * lead, part), soft_wrap=True)


def duration(seconds: float) -> str:
    """`40 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 d 2 h`."""
    if seconds < 0.0995:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for big, small, size in (("d", "h", 86400), ("h", "min", 3600), ("min", "s", 60)):
        if whole >= size:
            rest = whole % size // {"h": 3600, "min": 60, "s": 1}[small]
            return f"{whole // size} {big}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def age(at: datetime) -> str:
    """Time since then, in whole seconds at least."""
    seconds = max(0, round((datetime.now(UTC) - at).total_seconds()))
    return f"{seconds} s" if seconds < 60 else duration(seconds)


def ago(at: datetime | None) -> str:
    return "never" if at is None else f"{age(at)} ago"


def count(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`, `1,234 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def executions(console: Console, found: Sequence[ExecutionView], *, indent: str = "") -> None:
    """What lives on a worker."""
    from worker_core.budgets.amounts import view_text

    rows: list[list[Cell]] = [
        [one.execution_id, one.status, f"{one.turn}", one.step or "-", ago(one.started_at)] for one in found
    ]
    table(console, ("EXECUTION", "STATUS", "TURN", "STEP", "STARTED"), rows, indent=indent)
    for one in found:
        if limits := [view_text(view) for view in one.budget if view.scope != "day"]:
            said = text(f"{one.execution_id}: {'; '.join(limits)}", "quiet")
            hanging(console, Text(indent), said, lead=len(indent))
