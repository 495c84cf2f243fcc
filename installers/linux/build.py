"""Packages for Linux of what is frozen: `.deb`, `.rpm`, `.tar.xz`, and an AppImage where a runtime is given.

Usage: python -m installers.linux.build [--output FOLDER] [--format deb,rpm,tar,appimage] [--if-possible]
           [--appimage-runtime FILE] [--fast]

The same frozen folder makes the same bytes. SOURCE_DATE_EPOCH is the time of everything in the packages.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from installers.freezing import layout
from installers.linux import appimage, deb, rpm, tarball
from installers.linux.packages import BASE, PACKAGES, WORKER, Package, Part, Release, Unpackaged
from installers.linux.shared import FILES, ZSH, ZSH_OF_DEBIAN, write_shared
from installers.linux.tree import EXECUTABLE, copy_tree, link, write

FORMATS: Final = ("deb", "rpm", "tar", "appimage")
_TOOLS: Final = {
    "deb": ("dpkg-deb", "dpkg"),
    "rpm": ("rpmbuild", "rpm"),
    "appimage": ("mksquashfs", "squashfs-tools"),
}
"""What each format is built with, and Debian's package of that."""

_BEFORE_ALL: Final = 315_532_800
"""1980, where nobody says when."""


def lay_out(root: Path, package: Package, part: Part, *, release: Release, zsh: str) -> None:
    """The files of a package below `/`, without what only one kind of package has."""
    copy_tree(part.tree, root / BASE / "packaged" / release.version)
    for program in package.programs:
        link(root / "usr/bin" / program, f"../lib/kubiya-worker/{program}")
    write_shared(root / "usr/share", package, release=release, zsh=zsh)
    if package is WORKER:
        write(root / BASE / "versions", (FILES / "versions").read_bytes(), mode=EXECUTABLE)
        units = root / "usr/lib/systemd/system"
        for unit in ("kubiya-worker-sweep.service", "kubiya-worker-sweep.timer"):
            write(units / unit, (FILES / unit).read_bytes())
        link(units / "timers.target.wants/kubiya-worker-sweep.timer", "../kubiya-worker-sweep.timer")


def build_one(kind: str, package: Package, parts: Mapping[str, Part], out: Path, *, release: Release) -> Path:
    """One package.

    Args:
        kind: `deb`, `rpm` or `tar`.
        package: which one.
        parts: by the names of `packages.PACKAGES`; that of `package` must be among them, and `worker`.
        out: the folder that it goes to.
        release: version, machine and time.

    Raises:
        Unpackaged: a part needs what nobody knows.
        subprocess.CalledProcessError: a tool failed; it said why.

    """
    if kind == "tar":
        return tarball.build(out, package, parts, release)
    with tempfile.TemporaryDirectory(prefix="kubiya-package-") as folder:
        root, part = Path(folder, "root"), parts[package.part]
        lay_out(root, package, part, release=release, zsh=ZSH_OF_DEBIAN if kind == "deb" else ZSH)
        builder = deb.build if kind == "deb" else rpm.build
        return builder(root, out, package, part=part, release=release)


def build(kind: str, parts: Mapping[str, Part], out: Path, *, release: Release) -> Iterator[Path]:
    """Each package of one kind, as it is made; an archive only of what users start. Arguments as of `build_one`."""
    for package in PACKAGES:
        if package.part in parts and (package.programs or kind != "tar"):
            yield build_one(kind, package, parts, out, release=release)


@contextmanager
def frozen_parts(frozen: layout.Frozen) -> Iterator[dict[str, Part]]:
    """What was frozen, each part in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="kubiya-parts-") as folder:
        parts = {}
        for name, outside in (("worker", frozen.outside), ("desktop", frozen.outside_of_the_window)):
            parts[name] = Part(tree=frozen.copy(Path(folder, name), name), outside=tuple(outside))
        if layout.PLAYGROUND.is_dir():
            parts["playground"] = Part(tree=layout.PLAYGROUND)
        yield parts


def main() -> int:
    """0: all that was asked for is there; 1: not all of it, and why."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=layout.ROOT / "dist" / "packages", metavar="FOLDER")
    parser.add_argument("--format", default=",".join(FORMATS), help="some of %(default)s")
    parser.add_argument("--appimage-runtime", type=Path, metavar="FILE", help="of type 2, for this machine")
    parser.add_argument("--fast", action="store_true", help="compress nothing: to try a package, not to release it")
    parser.add_argument("--if-possible", action="store_true", help="what cannot be built here is said, and no failure")
    asked = parser.parse_args()
    formats = asked.format.split(",")
    if unknown := set(formats) - set(FORMATS):
        parser.error(f"There is no format {', '.join(sorted(unknown))}: {', '.join(FORMATS)}.")
    if platform.system() != "Linux":
        print("linux: its packages are built on Linux, of what was frozen there.")
        return 0 if asked.if_possible else 1
    frozen = layout.frozen()
    release = Release(
        version=frozen.version,
        machine=frozen.machine,
        epoch=int(os.environ.get("SOURCE_DATE_EPOCH") or _BEFORE_ALL),
        glibc=frozen.glibc,
        small=not asked.fast,
    )
    asked.output.mkdir(parents=True, exist_ok=True)
    missing = False
    try:
        with frozen_parts(frozen) as parts:
            for kind in formats:
                tool, debian = _TOOLS.get(kind, ("", ""))
                if tool and shutil.which(tool) is None:
                    missing = True
                    print(f"linux: no {kind}, since {tool} is missing: apt-get install {debian}")
                elif kind == "appimage" and asked.appimage_runtime is None:
                    print(appimage.NO_RUNTIME)
                elif kind == "appimage":
                    print(appimage.build(asked.output, parts, release, runtime=asked.appimage_runtime))
                else:
                    for made in build(kind, parts, asked.output, release=release):
                        print(made, flush=True)
    except Unpackaged as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} failed ({error.returncode}).", file=sys.stderr)
        return 1
    return 1 if missing and not asked.if_possible else 0


if __name__ == "__main__":
    sys.exit(main())
