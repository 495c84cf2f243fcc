"""Programs that stand in for the frozen ones, and packages for Linux of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from installers.linux import build, tree
from installers.linux.packages import PACKAGES, Part, Release

RELEASE = Release(version="1.2.3", machine="x86_64", epoch=1_750_000_000, glibc="2.36", small=False)
FILES = Path(build.__file__).with_name("files")

PROGRAM = """#!{python}
import mmap, pathlib, sys
here = pathlib.Path(sys.argv[0]).resolve().parent
with open(here / "{version}" / "library.so") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
    print("{version}", flush=True)
    if sys.argv[1:] == ["stay"]:
        sys.stdin.read()
"""
"""Loads a library of its version, and stays."""


def stand_in(folder: Path, version: str) -> dict[str, Part]:
    """The folders of the three parts."""
    for part, program in (
        ("worker", "kubiya-worker"),
        ("desktop", "kubiya-worker-desktop"),
        ("playground", "temporal"),
    ):
        tree.write(folder / part / program, PROGRAM.format(python=sys.executable, version=version), mode=0o755)
        tree.write(folder / part / version / part / f"of {part}.txt", part)
    tree.write(folder / "worker" / version / "library.so", "a library\n" * 1000, mode=0o755)
    tree.link(folder / "worker" / version / "library.so.1", "library.so")
    glibc = ("libc.so.6", "libdl.so.2")
    return {
        "worker": Part(tree=folder / "worker", outside=(*glibc, "libcrypt.so.1")),
        "desktop": Part(tree=folder / "desktop", outside=("libEGL.so.1", "libGL.so.1")),
        "playground": Part(tree=folder / "playground"),
    }


def built(kind: str, folder: Path) -> dict[str, Path]:
    """One kind of package, by the names of what is in them; twice, which is said of where it differs."""
    made = []
    for turn, mask in ((folder / "one", 0o022), (folder / "another one", 0o077)):
        before = os.umask(mask)
        try:
            (turn / "out").mkdir(parents=True)
            made.append(list(build.build(kind, stand_in(turn, RELEASE.version), turn / "out", release=RELEASE)))
        finally:
            os.umask(before)
    for one, other in zip(*made, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes(), f"{one.name} is not built the same twice"
    names = [one.name for one in PACKAGES if kind != "tar" or one.programs]
    return dict(zip(names, made[0], strict=True))


def said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
