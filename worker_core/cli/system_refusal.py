"""What the system refuses a command, as a sentence: files of another user's, a full disk, too many open files."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final

from worker_core.basics.shortage import more_files

_OF_A_FILE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
_OF_THE_SYSTEM: Final = frozenset(
    code for name in ("ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM") if (code := getattr(errno, name, None))
)


def refusal(error: Exception) -> str | None:
    """What the system refused, and of which file; None where it is no such error, but one of the program's."""
    if not isinstance(error, OSError) or error.errno not in _OF_A_FILE | _OF_THE_SYSTEM:
        return None
    if not isinstance(error.filename, str | bytes | os.PathLike):
        said = f"The system refused it: {error.strerror}. {more_files(error)}".rstrip()
        return said if error.errno in _OF_THE_SYSTEM else None
    file = Path(os.fsdecode(error.filename))
    said = f"{file} cannot be used: {error.strerror}."
    if error.errno in _OF_THE_SYSTEM:
        return f"{said} {more_files(error)}".rstrip()
    owner = _owner(file)
    return f"{said} {owner or 'Repair its owner and permissions.'}"


def _owner(file: Path) -> str:
    """Whose the file is, or the folder in which nobody else sees it; nothing where it is ours."""
    if sys.platform == "win32":
        return ""
    import pwd

    for place in (file, *file.parents):
        with contextlib.suppress(OSError):
            found = place.lstat()
            if found.st_uid == os.geteuid():
                return ""
            name = str(found.st_uid)
            with contextlib.suppress(KeyError):
                name = pwd.getpwuid(found.st_uid).pw_name
            what = "It" if place == file else f"The {'folder' if stat.S_ISDIR(found.st_mode) else 'file'} {place}"
            return f"{what} belongs to {name}. Run the command as that user, or repair owner and permissions."
    return ""
