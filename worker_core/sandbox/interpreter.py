"""The Python that children of the worker run in."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from worker_core import bundle
from worker_core.basics.home import home_folder


def interpreter_path() -> str | None:
    """The worker's own interpreter; where the worker is frozen, the one of its bundle, else the system's."""
    if not bundle.is_frozen():
        return sys.executable
    if (own := bundle.python()).is_file():
        return str(own)
    return shutil.which("python3") or shutil.which("python")


def plain_interpreter() -> str:
    """One that starts quickly: without the virtual environment, which a child of the standard library needs not."""
    unfrozen = "" if bundle.is_frozen() else getattr(sys, "_base_executable", "")
    return unfrozen or interpreter_path() or "python3"


def interpreter_folders() -> list[Path]:
    """What the worker's own Python consists of: its installation, and its virtual environment."""
    if bundle.is_frozen():
        return [bundle.folder()]
    home = home_folder()
    kept = None if home is None else home.resolve()
    folders: list[Path] = []
    for name in dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)):
        # A strange installation must not bring a home folder with it.
        folders += [
            path
            for path in (Path(name), Path(name).resolve())
            if path.is_dir() and not (kept and kept.is_relative_to(path)) and path != Path("/usr")
        ]
    return list(dict.fromkeys(folders))


def files_child() -> Path:
    """The program behind the file tools."""
    return Path(__file__).with_name("files_child.py")


def files_command(interpreter: str) -> list[str]:
    """That program, as the tools start it."""
    return [interpreter, "-I", "-S", "-W", "ignore", "-X", "utf8", str(files_child())]
