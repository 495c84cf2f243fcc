"""What freezing makes, and what belongs to which package: read by whatever packs it.

    from installers.freezing.layout import frozen
    frozen().copy(target, "worker", "desktop")

installers/README.md shows the folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from worker_core import __version__

ROOT: Final = Path(__file__).resolve().parents[2]
NAME: Final = "kubiya-worker"
CONTENTS: Final = __version__
"""The folder beside the programs that has all else. Two versions have two."""

PROGRAMS: Final[Mapping[str, str]] = {
    "kubiya-worker": "start_worker",
    "kubiya-worker-desktop": "start_desktop",
    "kubiya-python": "start_python",
}
"""What each begins with, in installers/entry."""

FOLDER: Final = ROOT / "dist" / NAME
PLAYGROUND: Final = ROOT / "dist" / f"{NAME}-playground"
MANIFEST: Final = ROOT / "dist" / f"{NAME}.json"

PARTS: Final = ("worker", "desktop")
_OF_THE_WINDOW: Final = (
    "PySide6", "shiboken6", "desktop", "assets", "qasync", "pygments", "markdown_it", "mdurl", "tomlkit",
    "_pyi_rth_utils",
)  # fmt: skip
_LIBRARIES_OF_THE_WINDOW: Final = ("libQt6", "libpyside6", "libshiboken6", "libicu", "Qt6", "pyside6", "shiboken6")
_EXECUTABLE: Final = 0o111


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """The folder that was frozen last."""

    version: str
    system: str
    """As `sys.platform` is named: linux, win32, darwin."""

    machine: str
    """As `platform.machine()` is named: x86_64, aarch64, AMD64, arm64."""

    glibc: str
    """The oldest GNU C library that all of it runs with, as "2.36"; empty elsewhere than on Linux."""

    outside: tuple[str, ...]
    """Libraries of the system that the worker needs (Linux), as `libc.so.6`."""

    outside_of_the_window: tuple[str, ...]
    """And those that the tray needs besides."""

    parts: Mapping[str, tuple[str, ...]]
    """worker: what runs without a window. desktop: what the tray needs besides. Paths below the folder, sorted."""

    folder: Path = FOLDER

    def copy(self, target: Path, *parts: str) -> Path:
        """Put these parts (all of them where none is named) below a folder; links stay links."""
        for part in parts or PARTS:
            for name in self.parts[part]:
                source, to = self.folder / name, target / name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, to, follow_symlinks=False)
        return target

    def size_bytes(self, *parts: str) -> int:
        """What these parts take on a disk, without what a file system adds to each file."""
        return sum((self.folder / name).lstat().st_size for part in parts or PARTS for name in self.parts[part])


def frozen() -> Frozen:
    """What was frozen last.

    Raises:
        SystemExit: nothing was, or another version.
    """
    try:
        read = json.loads(MANIFEST.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemExit("Nothing is frozen here. Run `make freeze` first.") from None
    if read["version"] != __version__:
        raise SystemExit(
            f"Version {read['version']} is frozen here, and this is {__version__}. Run `make freeze` first."
        )
    lists = {name: tuple(read[name]) for name in ("outside", "outside_of_the_window")}
    parts = {name: tuple(paths) for name, paths in read["parts"].items()}
    return Frozen(**{**read, **lists, "parts": parts})


def write(made: Frozen) -> None:
    told = {name: value for name, value in asdict(made).items() if name != "folder"}
    MANIFEST.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def files(folder: Path) -> list[Path]:
    """All files and links below a folder, sorted by their names."""
    found = [Path(parent, name) for parent, folders, names in os.walk(folder) for name in (*names, *folders)]
    return sorted(one for one in found if one.is_symlink() or one.is_file())


def split(folder: Path, *, only_the_window_s: Iterable[Path] = ()) -> dict[str, tuple[str, ...]]:
    """Which file belongs to which part.

    Args:
        folder: what was frozen.
        only_the_window_s: libraries that nothing but the window loads.

    """
    of_the_window = set(only_the_window_s)
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for file in files(folder):
        inside = file.relative_to(folder)
        top = inside.parts[1] if len(inside.parts) > 1 else ""
        window = (
            inside.name.removesuffix(".exe") == "kubiya-worker-desktop"
            or top in _OF_THE_WINDOW
            or (len(inside.parts) == 2 and top.startswith(_LIBRARIES_OF_THE_WINDOW))
            or file in of_the_window
        )
        parts["desktop" if window else "worker"].append(inside.as_posix())
    return {part: tuple(names) for part, names in parts.items()}
