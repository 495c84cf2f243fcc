"""A folder for temporary files, also where the system has none that can be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

VARIABLES: Final = ("TMPDIR", "TEMP", "TMP")
_OF_THE_SYSTEM: Final = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 -- where Python looks


def systems_folder() -> str:
    """The one that Python takes, which can be written and is not full.

    Raises:
        FileNotFoundError: there is none. Python's last resort is the folder that a program was started in, which is
            somebody's project as a rule: that is none.
    """
    found = tempfile.gettempdir()
    named = (os.path.abspath(value) for name in VARIABLES if (value := os.environ.get(name)))  # noqa: PTH100
    if os.name == "posix" and found not in {*_OF_THE_SYSTEM, *named} and found == os.getcwd():  # noqa: PTH109
        raise FileNotFoundError(f"No usable temporary directory found in {places()}")
    return found


def places() -> str:
    """Where one was looked for, for sentences."""
    named = (f"{name} ({value})" for name in VARIABLES if (value := os.environ.get(name)))
    return ", ".join((*named, *(_OF_THE_SYSTEM if os.name == "posix" else ())))


def have_one(own: Callable[[], Path]) -> str:
    """See to it that this process, and all that it starts, has a folder for temporary files.

    Args:
        own: makes one of the worker's, which is taken where the system has none.

    Returns:
        A sentence about that. Empty: the system has one.

    Raises:
        OSError: the worker's own cannot be made.
    """
    try:
        systems_folder()
    except FileNotFoundError:
        looked, folder = places(), str(own())
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        return (
            f"Temporary files are kept in {folder}: none of {looked} can be written, or they are full. Make room "
            "there, or name another folder in TMPDIR."
        )
    return ""
