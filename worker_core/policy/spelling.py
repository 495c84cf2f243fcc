"""Patterns as people write them, in the form in which they are compared: else a rule would fit nothing, in silence."""

from __future__ import annotations

import re
from typing import Final

from worker_core.basics.sentences import worded
from worker_core.network.hosts import host_name

SYSTEM_PROGRAMS: Final = (
    "/bin/", "/usr/bin/", "/usr/local/bin/", "/opt/homebrew/bin/", "/sbin/", "/usr/sbin/",
)  # fmt: skip
"""A program there is what its name alone means."""

_GLOB = re.compile(r"[*?\[]")
_ADDRESS = re.compile(r"\[[0-9A-Fa-f.]{0,4}:[0-9A-Fa-f:.]{1,45}\]")
_PORT = re.compile(r"[^:]{0,253}:[0-9]{1,5}|\[[^\]]{0,100}\]:[0-9*]{1,5}")


class Misspelt(ValueError):
    """It would fit nothing; the text says what to write, and goes on behind the field's name."""


def as_compared(field: str, pattern: str) -> str:
    """One pattern of a rule.

    Args:
        field: tool, command, path or host.
        pattern: as it stands in the file.

    Raises:
        Misspelt: it could never fit.

    """
    if pattern != pattern.strip():
        raise Misspelt(worded("begins or ends with a blank, so it would fit nothing."))
    match field:
        case "host":
            host = _host(pattern)
            # Its form may have a port, or blanks, that what was written hid behind brackets.
            return host if host == pattern else as_compared(field, host)
        case "command":
            if "'" not in pattern and re.search(r"\s\s|[^\S ]", pattern) is not None:
                raise Misspelt(
                    worded("has more than one blank between two words, or a tab; commands are compared with one blank.")
                )
            folder = next((one for one in SYSTEM_PROGRAMS if pattern.startswith(one)), "")
            name = pattern.removeprefix(folder)
            return pattern if "/" in name.partition(" ")[0] else name
        case "path":
            if "://" in pattern:
                raise Misspelt(worded("is a URL; write the path alone."))
            for variable in ("$HOME", "${HOME}"):
                if pattern == variable or pattern.startswith(f"{variable}/"):
                    pattern = "~" + pattern.removeprefix(variable)
            return f"{pattern.rstrip('/')}/**" if pattern.endswith("/") and pattern.strip("/") else pattern
    return pattern


def _host(pattern: str) -> str:
    if "://" in pattern or "/" in pattern:
        raise Misspelt(worded("names more than a host; write example.com, or *.example.com for all names below it."))
    if _PORT.fullmatch(pattern) is not None:
        raise Misspelt(worded("names a port; a rule is about a host, at whatever port."))
    if _GLOB.search(pattern) is None or _ADDRESS.fullmatch(pattern) is not None:
        return host_name(pattern)
    labels = pattern.rstrip(".").split(".") if not pattern.startswith("[") else [pattern]
    return ".".join(
        one.lower() if _GLOB.search(one) else host_name(one) if not one.isdecimal() else one for one in labels
    )
