"""What every Mach-O file of a bundle must be: for this processor, for the oldest macOS that is supported, and looking
for its libraries in the bundle and the system alone.

Needs `macholib`, which PyInstaller brings on macOS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MAGIC: Final = {
    bytes.fromhex(one) for one in ("cffaedfe", "cefaedfe", "feedfacf", "feedface", "cafebabe", "cafebabf")
}  # fmt: skip
_PROCESSORS: Final = {0x01000007: "x86_64", 0x0100000C: "arm64", 7: "i386"}
_OF_THE_SYSTEM: Final = ("/usr/lib/", "/System/Library/")
_OF_THE_BUNDLE: Final = ("@rpath", "@loader_path", "@executable_path")


SAY_WHAT_BUILT_THEM: Final = re.compile(r"(^|/)(PySide6|shiboken6)/[^/]*\.so$|lib(pyside6|shiboken6)[^/]*\.dylib$")
"""PySide6's modules name the macOS of the machine that built them (26.0 in 6.12.0, 15.0 in 6.11.3) as their oldest.
Their wheels' tags (14.0, 13.0) and Qt's own libraries (14.4, 13.0) name an older one, on which they are used: the
system holds programs to that number, and not libraries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One file for one processor."""

    processor: str
    minimum: tuple[int, int]
    """macOS; (0, 0): it does not say."""

    rpaths: tuple[str, ...]
    libraries: tuple[str, ...]


def mach_o_files(folder: Path) -> Iterator[Path]:
    """Links aside: what they lead to is in the folder as well."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.suffix == ".a":  # an archive is linked, and never loaded
            continue
        with path.open("rb") as file:
            head = file.read(8)
        # Java's classes begin with the same bytes as files for several processors; those have few.
        if head[:4] in MAGIC and not (head[:4] == b"\xca\xfe\xba\xbe" and int.from_bytes(head[4:], "big") > 16):
            yield path


def slices(path: Path) -> list[Slice]:
    """What stands in a file.

    Raises:
        ValueError: it is no Mach-O.
    """
    from macholib.mach_o import LC_BUILD_VERSION, LC_RPATH, LC_VERSION_MIN_MACOSX
    from macholib.MachO import MachO

    found = []
    for header in MachO(str(path)).headers:
        minimum, rpaths = (0, 0), []
        for command, detail, data in header.commands:
            if command.cmd in (LC_BUILD_VERSION, LC_VERSION_MIN_MACOSX):
                number = int(detail.minos if command.cmd == LC_BUILD_VERSION else detail.version)
                minimum = (number >> 16, (number >> 8) & 0xFF)
            elif command.cmd == LC_RPATH:
                rpaths.append(_text(data))
        libraries = tuple(str(name) for _, _, name in header.walkRelocatables())
        kind = int(header.header.cputype)
        found.append(
            Slice(
                processor=_PROCESSORS.get(kind, hex(kind)), minimum=minimum, rpaths=tuple(rpaths), libraries=libraries
            )
        )
    return found


def faults(folder: Path, *, processor: str, oldest: tuple[int, int]) -> list[str]:
    """What is wrong with the files below a folder, a sentence each.

    Args:
        folder: the bundle.
        processor: `arm64` or `x86_64`.
        oldest: the macOS that all of them must run on.
    """
    said = []
    for path in mach_o_files(folder):
        name = path.relative_to(folder)
        mine = [one for one in slices(path) if one.processor == processor]
        if not mine:
            said.append(f"{name} is not for {processor}.")
        limit = (99, 0) if SAY_WHAT_BUILT_THEM.search(name.as_posix()) else oldest
        for one in mine:
            said += [f"{name}: {fault}" for fault in _faults(one, limit)]
    return said


def _faults(one: Slice, oldest: tuple[int, int]) -> Iterator[str]:
    if one.minimum > oldest:
        yield f"needs macOS {one.minimum[0]}.{one.minimum[1]}, and {oldest[0]}.{oldest[1]} is supported."
    for place in one.rpaths:
        if not place.startswith(_OF_THE_BUNDLE):
            yield f"looks for libraries in {place}, which is a folder of the machine that built it."
    for library in one.libraries:
        if not library.startswith((*_OF_THE_SYSTEM, *_OF_THE_BUNDLE)):
            yield f"loads {library}, which other machines may not have."


def _text(data: Any) -> str:
    return bytes(data).rstrip(b"\0").decode("utf-8", "replace")
