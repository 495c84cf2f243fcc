"""Whose name stands in the commits of tools. Their home is not the owner's, so git does not find one by itself."""

from __future__ import annotations

import functools
import logging
import re
import subprocess
from collections.abc import Mapping
from typing import Final

from worker_core.basics.console import window_flags
from worker_core.basics.sentences import worded

log = logging.getLogger(__name__)

OWNER: Final = "owner"
"""Who this machine's git says its user is."""

_AUTHOR: Final = re.compile(r"([^<>\n\0]{1,200})<([^<>\s\0]{1,200})>")
_GIT_SECONDS: Final = 5


def check_git_author(value: str) -> str:
    """A setting as it is kept.

    Raises:
        ValueError: it is none; the message goes on from "git_author is X; ".
    """
    text = value.strip()
    if text in {"", OWNER} or _AUTHOR.fullmatch(text):
        return text
    raise ValueError(worded("it must be `owner`, or such as Ada Lovelace <ada@example.org>"))


@functools.cache
def git_author_variables(author: str) -> Mapping[str, str]:
    """What git reads of author and committer; nothing where it is not allowed, or where the owner's git says nothing.

    Args:
        author: a checked `Settings.git_author`. The owner's is asked for once in a process, which takes a moment.
    """
    if author == OWNER:
        name, address = _configured("user.name"), _configured("user.email")
        if not name or not address:
            log.warning("Tools commit without an author: git on this machine has no user.name or user.email.")
            return {}
    elif found := _AUTHOR.fullmatch(author):
        name, address = found.group(1).strip(), found.group(2)
    else:
        return {}
    return {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", address))
    }


def _configured(key: str) -> str:
    command = ["git", "config", "--global", "--get", key]
    try:
        found = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
            check=False,
            creationflags=window_flags(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.decode("utf-8", "replace").strip() if found.returncode == 0 else ""
