"""The programs that a command line names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from worker_core.policy.behind import behind, name_of
from worker_core.policy.lines import read
from worker_core.policy.shell_events import Language
from worker_core.policy.words import Word

TOO_MUCH = "(too many commands)"
_TRANSPARENT = frozenset({"env", "command", "exec", "nohup", "time", "builtin"})
"""They count only where nothing stands behind them."""

_DEEPEST = 20


def command_names(line: str, *, language: Language = "posix") -> list[str]:
    """In the order of the line, as well as this can be told without being the shell."""
    parsed = read(line, language)
    names = [name for command in parsed.commands for name in _names(command.words, 0)]
    return [*names, TOO_MUCH] if parsed.too_much else names


def _names(words: Sequence[Word], depth: int) -> Iterator[str]:
    name = name_of(words[0])
    found = behind(words)
    if not (name in _TRANSPARENT and found.commands):
        yield name
    if depth >= _DEEPEST:
        yield TOO_MUCH
        return
    for command in found.commands:
        yield from _names(command, depth + 1)
