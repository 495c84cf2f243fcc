"""Which workers a queue asks for, by their labels: `worker_labels` of its settings on the control plane.

A mapping from a label's name to what its value must be, with `*` and `?` for what may differ: `{"gpu": "*H200*"}`. The
protocol leaves a queue's settings to whoever reads them (6); a control plane that cannot be asked asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from worker_core.basics.plain import one_line
from worker_core.basics.sentences import joined, worded

_MOST: Final = 20
_LONGEST_NAME: Final = 60
_LONGEST_PATTERN: Final = 100
_MOST_STARS: Final = 5
"""In one pattern. Each may cost as many steps as the value is long."""


def unmet(asked: object, own: Mapping[str, str]) -> str:
    """Why a worker does not fit, as a sentence; empty: it does.

    Args:
        asked: the setting, as the control plane has it; None: nothing.
        own: the worker's labels.
    """
    if asked is None or asked == {}:
        return ""
    wanted = _read(asked)
    if wanted is None:
        return worded("This queue asks for workers by labels that this version cannot read; it gets no work from it.")
    missing = [
        (name, pattern)
        for name, pattern in wanted.items()
        if name not in own or not fnmatchcase(own[name].casefold(), pattern.casefold())
    ]
    if not missing:
        return ""
    return joined(
        worded(
            "This queue asks for workers with {labels}.",
            labels=", ".join(f"{name}={pattern}" for name, pattern in missing),
        ),
        worded("This one has {labels}.", labels=one_line(", ".join(f"{name}={own[name]}" for name, _ in missing), 200))
        if all(name in own for name, _ in missing)
        else worded("This one has none of that name: `--label NAME=VALUE` gives it one."),
    )


def _read(asked: object) -> dict[str, str] | None:
    """None: it is not what we know."""
    if not isinstance(asked, Mapping) or len(asked) > _MOST:
        return None
    found = {}
    for name, pattern in asked.items():
        if not isinstance(name, str) or isinstance(pattern, bool) or not isinstance(pattern, str | int):
            return None
        text = str(pattern)
        plain = (one_line(name, _LONGEST_NAME), one_line(text, _LONGEST_PATTERN))
        if plain != (name, text) or not f"{name}{text}".isprintable() or "[" in text or text.count("*") > _MOST_STARS:
            return None
        found[name] = text
    return found
