"""Of what a process printed before it ended: the lines that say why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MOST_LINES: Final = 5

_NO_CAUSE: Final = re.compile(
    r"npm (?:notice|warn)\b|\(node:\d{1,9}\) |\(Use `node --trace|Node\.js v\d|at \S|File \"|Traceback \(most recent"
    r"|node:internal/|npm error (?:A complete log|code E404 ?$)|throw |\W{1,200}$|requireStack: |code: '|Downloading "
    r"|Installed \d{1,6} packages",
    re.IGNORECASE,
)
"""How lines begin that belong to a cause and do not tell it: advertisements, stacks, brackets, progress."""

_CAUSE: Final = re.compile(
    r"error|exception|cannot|can't|could not|couldn't|unable|not found|no such|missing|required|must be|denied|refused"
    r"|invalid|fail|unknown|unsupported|usage|EAI_AGAIN|ENOTFOUND|ECONN",
    re.IGNORECASE,
)


def telling(lines: Iterable[str]) -> list[str]:
    """At most `MOST_LINES`, in their order: those that name a cause, else the last ones.

    Args:
        lines: what was printed, without ends of lines; those without a word are left out.
    """
    said = [line.strip() for line in lines]
    said = list(dict.fromkeys(line for line in said if line))  # a repeated line says it once
    telling_ones = [line for line in said if not _NO_CAUSE.match(line)] or said
    causes = [line for line in telling_ones if _CAUSE.search(line)]
    return (causes or telling_ones)[-MOST_LINES:]
