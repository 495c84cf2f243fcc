"""Packs `dist/Kubiya Worker.app` (`make freeze` on a Mac) into a disk image: checked, signed, notarised.

Usage: python -m installers.macos.build [--if-possible] [--output FOLDER]

A line for each file that it made, or one sentence why it made none.
"""

from __future__ import annotations

import argparse
import os
import platform
import plistlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from installers.freezing.layout import ROOT
from installers.macos.bundle import MINIMUM, NAME, info_plist
from installers.macos.cask import cask, image_name
from installers.macos.mach_o import faults
from installers.macos.signing import Credentials, Run, notarise, run, sign

APP: Final = ROOT / "dist" / f"{NAME}.app"


class NotBuilt(Exception):
    """The bundle is not as it must be; its text says what is wrong."""


def why_not(app: Path) -> str:
    """Why no disk image can be made here, as a sentence; empty: one can."""
    if sys.platform != "darwin":
        return "A disk image for macOS is made on a Mac alone: PyInstaller freezes for the system that it runs on."
    if shutil.which("hdiutil") is None or shutil.which("codesign") is None:
        return "hdiutil or codesign is missing; install Apple's command line tools (xcode-select --install)."
    if not app.is_dir():
        return f"{app} is not there; run `make freeze` first."
    return ""


def check(app: Path, *, processor: str) -> None:
    """Raise NotBuilt unless a bundle is what it says of itself, and all of it runs on what it says."""
    said = plistlib.loads((app / "Contents" / "Info.plist").read_bytes())
    wrong = [
        f"Info.plist says {said.get(key)!r} for {key}." for key, value in info_plist().items() if said.get(key) != value
    ]
    if not (app / "Contents" / "MacOS" / str(said.get("CFBundleExecutable"))).is_file():
        wrong.append("The program that Info.plist names is not there.")
    wrong += faults(app, processor=processor, oldest=MINIMUM)
    if wrong:
        raise NotBuilt("\n".join(wrong))


def disk_image(app: Path, image: Path, *, run: Run = run) -> None:
    """A compressed image with the bundle, and the folder that it is drawn into."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        shutil.copytree(app, Path(folder, app.name), symlinks=True)
        Path(folder, "Applications").symlink_to("/Applications")
        image.unlink(missing_ok=True)
        run(
            [
                "hdiutil", "create", "-volname", NAME, "-srcfolder", folder, "-fs", "APFS", "-format", "ULFO", "-ov",
                str(image),
            ]
        )  # fmt: skip


def build(app: Path, output: Path, credentials: Credentials, *, processor: str, run: Run = run) -> list[str]:
    """Make the image and the cask; a line about each thing that was done.

    Raises:
        NotBuilt: the bundle is not as it must be.
        subprocess.CalledProcessError: a program of Apple's failed, and said why.
    """
    output.mkdir(parents=True, exist_ok=True)
    check(app, processor=processor)
    said = [sign(app, credentials, run=run)]
    image = output / image_name(processor)
    disk_image(app, image, run=run)
    said += [str(image), notarise(image, credentials, run=run)]
    file = output / "kubiya-worker.rb"
    file.write_text(cask(output), encoding="utf-8")
    return [*said, str(file)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--if-possible", action="store_true", help="where it is not, say why and end well")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "packages")
    given = parser.parse_args()
    if reason := why_not(APP):
        print(f"macos: {reason}")
        return 0 if given.if_possible else 1
    try:
        for line in build(APP, given.output, Credentials.from_environment(os.environ), processor=platform.machine()):
            print(f"macos: {line}")
    except (NotBuilt, OSError, subprocess.CalledProcessError) as error:
        print(f"macos: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
