"""An AppImage of worker, tray and playground: a file that is its own file system, behind a runtime that mounts it.

The runtime is no package of any distribution or registry; whoever has one (`runtime-x86_64` of the AppImage project)
names it, and everybody else is told.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from installers.linux.packages import APP_ID, PACKAGES, Part, Release
from installers.linux.shared import write_shared
from installers.linux.tree import EXECUTABLE, copy_tree, link, settle, write

NO_RUNTIME: Final = (
    "No AppImage: it begins with a runtime that no distribution has. Take `runtime-MACHINE` from that project's "
    "type2-runtime and name it with --appimage-runtime."
)

_RUN: Final = """#!/bin/sh
# The tray; as `kubiya-worker` (a link of that name, or the first argument `worker`) the command line.
here=$(dirname -- "$(readlink -f -- "$0")")
case ${ARGV0##*/} in kubiya-worker) exec "$here/usr/lib/kubiya-worker/kubiya-worker" "$@" ;; esac
if [ "${1:-}" = worker ]; then
    shift
    exec "$here/usr/lib/kubiya-worker/kubiya-worker" "$@"
fi
exec "$here/usr/lib/kubiya-worker/kubiya-worker-desktop" "$@"
"""


def build(out: Path, parts: Mapping[str, Part], release: Release, *, runtime: Path) -> Path:
    """The AppImage.

    Args:
        out: the folder that it goes to.
        parts: all parts that it has.
        release: its version, machine and time.
        runtime: of type 2, for that machine.

    """
    made = out / f"Kubiya_Worker-{release.version}-{release.machine}.AppImage"
    with tempfile.TemporaryDirectory(prefix="kubiya-appimage-") as temporary:
        root = Path(temporary, "AppDir")
        for package in PACKAGES:
            if package.part in parts:
                copy_tree(parts[package.part].tree, root / "usr/lib/kubiya-worker")
                write_shared(root / "usr/share", package, release=release)
        write(root / "AppRun", _RUN, mode=EXECUTABLE)
        desktop = (root / "usr/share/applications" / f"{APP_ID}.desktop").read_text(encoding="utf-8")
        here = desktop.replace("/usr/bin/", "").replace("TryExec=kubiya-worker-desktop\n", "")
        write(root / f"{APP_ID}.desktop", here)
        icon = f"usr/share/icons/hicolor/256x256/apps/{APP_ID}.png"
        link(root / f"{APP_ID}.png", icon)
        link(root / ".DirIcon", icon)
        settle(root, epoch=release.epoch)
        image = Path(temporary, "image")
        options = ["-noappend", "-quiet", "-no-progress", "-all-root", "-no-xattrs", "-comp", "zstd", "-mkfs-time"]
        subprocess.run(
            ["mksquashfs", root, image, *options, str(release.epoch), "-processors", "1"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with made.open("wb") as whole:
            for part in (runtime, image):
                with part.open("rb") as opened:
                    shutil.copyfileobj(opened, whole)
        made.chmod(EXECUTABLE)
    return made
