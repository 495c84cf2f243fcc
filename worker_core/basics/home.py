"""The user's home folder. There may be none: no entry in passwd, as in many pods, and no HOME."""

from __future__ import annotations

import os
from pathlib import Path

from worker_core.basics.sentences import worded


def home_folder() -> Path | None:
    """None: there is none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def expanded(path: str | Path) -> Path:
    """With the home folder in the place of a `~` or `~name` at its beginning.

    Raises:
        ValueError: there is no such home folder; the message goes on from "X is Y; ".
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        named = os.fspath(path).partition("/")[0]
        raise ValueError(worded("there is no home folder {name}: write the whole path", name=named)) from None
