"""A `.tar.xz` that runs where it is unpacked, and installs itself for one user, without root."""

from __future__ import annotations

import lzma
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from installers.freezing.layout import ROOT
from installers.linux.packages import PACKAGES, Package, Part, Release
from installers.linux.shared import FILES, write_shared
from installers.linux.tree import EXECUTABLE, copy_tree, settle, walk, write


def lay_out(folder: Path, packages: list[Package], parts: Mapping[str, Part], release: Release) -> None:
    """What is in the archive, below one folder."""
    for package in packages:
        copy_tree(parts[package.part].tree, folder / "programs")
        write_shared(folder / "share", package, release=release)
    for script in ("install.sh", "versions"):
        write(folder / script, (FILES / script).read_bytes(), mode=EXECUTABLE)
    write(folder / "VERSION", f"{release.version}\n")
    write(folder / "LICENSE", (ROOT / "LICENSE").read_bytes())


def build(out: Path, package: Package, parts: Mapping[str, Part], release: Release) -> Path:
    """The archive of a package and of those of ours that it needs."""
    inside = [one for one in PACKAGES if one.name in (*package.needs, package.name)]
    name = f"{package.name}-{release.version}"
    made = out / f"{name}-linux-{release.machine}.tar.xz"
    with tempfile.TemporaryDirectory(prefix="kubiya-tar-") as temporary:
        folder = Path(temporary, name)
        folder.mkdir()
        lay_out(folder, inside, parts, release)
        settle(folder, epoch=release.epoch)
        with (
            lzma.open(made, "wb", preset=9 if release.small else 0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in [folder, *walk(folder)]:
                found = archive.gettarinfo(path, arcname=path.relative_to(folder.parent).as_posix())
                found.uid = found.gid = 0
                found.uname = found.gname = "root"
                if path.is_file() and not path.is_symlink():
                    with path.open("rb") as opened:
                        archive.addfile(found, opened)
                else:
                    archive.addfile(found)
    return made
