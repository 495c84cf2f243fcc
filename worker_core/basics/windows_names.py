"""Names of files on Windows: which ones it takes literally, and at what length."""

from __future__ import annotations

import ntpath
import os
from typing import Final

_DEVICES: Final = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"})
_PORTS: Final = frozenset("0123456789\u00b9\u00b2\u00b3")
_LITERAL: Final = "\\\\?\\"


LONGEST_WORKING_FOLDER: Final = 258
"""Characters of the path that a process may begin in, whatever the machine's LongPathsEnabled says: "specify MAX_PATH-2
characters for the path", and one that is longer "causes CreateProcessW to fail" (Microsoft's `SetCurrentDirectory`)."""


def is_name_of_windows(path: str) -> bool:
    """Whether Windows makes a file of this very name: no device, no stream of another file, no name that it shortens.

    Of Microsoft's "Naming Files, Paths, and Namespaces". `files_child.py` has the same, since it imports nothing.
    """
    rest = path[2:] if path[1:2] == ":" else path  # where a drive leads, is for others to say
    for part in rest.replace("\\", "/").split("/"):
        stem = part.partition(".")[0].rstrip(" ").lower()
        is_port = len(stem) == 4 and stem[:3] in {"com", "lpt"} and stem[3] in _PORTS
        is_shortened = part not in {".", ".."} and part != part.rstrip(". ")
        if stem in _DEVICES or is_port or is_shortened or ":" in part:
            return False
    return True


def at_any_length(path: str, *, windows: bool = os.name == "nt") -> str:
    """An absolute path in the form that Windows takes beyond 260 characters, whatever the machine's LongPathsEnabled
    says (Microsoft's "Maximum Path Length Limitation"); elsewhere as it is. `files_child.py` has the same.
    """
    if not windows or path.startswith(_LITERAL) or not ntpath.splitdrive(path)[0]:
        return path
    path = ntpath.normpath(path)  # that form is taken literally
    return f"{_LITERAL}UNC\\{path[2:]}" if path.startswith("\\\\") else f"{_LITERAL}{path}"


def as_people_write_it(path: str) -> str:
    """Undoes `at_any_length`: programs, and a process's working folder, do not take that form."""
    rest = path.removeprefix(_LITERAL)
    if rest == path:
        return path
    return f"\\\\{rest[4:]}" if rest.startswith("UNC\\") else rest


def is_too_long_to_begin_in(folder: str, *, windows: bool = os.name == "nt") -> bool:
    """Whether Windows starts no process there; what stands at the end to part it from more is not counted."""
    return windows and len(folder.rstrip("\\/")) > LONGEST_WORKING_FOLDER
