"""What is different in a frozen program."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path

PYTHON = "kubiya-python"
_CHANGED_BY_THE_BUNDLE = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH")


def is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def _identity() -> tuple[int, ...]:
    """Of the file that this program is now; nothing where it is gone."""
    with contextlib.suppress(OSError):
        found = Path(sys.executable).stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return ()


_STARTED_AS = _identity() if is_frozen() else ()


def was_replaced() -> bool:
    """Whether this frozen program was upgraded, moved or removed since it was started.

    Each version has its libraries in a folder of its own, so it reads no other's; but an installer may take them away.
    """
    return is_frozen() and _identity() != _STARTED_AS


def folder() -> Path:
    """Where the programs of the bundle are."""
    return Path(sys.executable).resolve().parent


def libraries() -> Path:
    """Where everything else of it is."""
    return Path(str(getattr(sys, "_MEIPASS", folder())))


def python() -> Path:
    """The bundle's own Python for children."""
    return folder() / (PYTHON + (".exe" if os.name == "nt" else ""))


def program(name: str) -> Path | None:
    """One of this distribution's programs, where it is installed: in the bundle, beside this Python, among its scripts
    (outside of a virtual environment, Windows keeps them in a folder of their own), else on the PATH.
    """
    file = name + (".exe" if os.name == "nt" else "")
    found = next((path for one in _folders() if (path := one / file).is_file()), None)
    if found is None and (on_path := shutil.which(name)):
        return Path(on_path)
    return found


def _folders() -> Iterator[Path]:
    """Where programs of this distribution may be; of an installation, its own and the user's."""
    if is_frozen():
        yield folder()
        return
    yield Path(sys.executable).parent
    import sysconfig  # costs 5 ms and 0.4 MB, and hardly anybody gets so far

    for scheme in (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")):
        if scripts := sysconfig.get_path("scripts", scheme):
            yield Path(scripts)


def child_python() -> str:
    """The Python that runs programs of ours in processes of their own."""
    return str(python()) if is_frozen() else sys.executable


def restore_environment(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take back what the bundle's start put into the environment: it is for this process, not for what it starts.

    PyInstaller points the loader at the bundle's libraries and keeps the former value under another name; programs of
    the system would load our libraries instead of theirs.
    """
    if not is_frozen():
        return
    for name in _CHANGED_BY_THE_BUNDLE:
        before = environment.pop(f"{name}_ORIG", None)
        environment.pop(name, None)
        if before:
            environment[name] = before
    for name in [one for one in environment if one.startswith(("_PYI_", "_MEIPASS"))]:
        del environment[name]
