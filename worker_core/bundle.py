"""What is different in a frozen program."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

PYTHON = "kubiya-python"
_CHANGED_BY_THE_BUNDLE = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH")
_OF_QT = ("QT_PLUGIN_PATH", "QML2_IMPORT_PATH")


def is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def folder() -> Path:
    """Where the programs of the bundle are."""
    return Path(sys.executable).resolve().parent


def libraries() -> Path:
    """Where everything else of it is."""
    return Path(str(getattr(sys, "_MEIPASS", folder())))


def python() -> Path:
    """The bundle's own Python for children."""
    return folder() / (PYTHON + (".exe" if os.name == "nt" else ""))


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
    inside = str(libraries())
    for name in _OF_QT:
        if environment.get(name, "").startswith(inside):
            del environment[name]
