"""Builds everything that this system can, into dist/packages, and says what it left out.

Usage: python scripts/package.py [--output FOLDER] [--fast]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
from freeze import freeze  # noqa: E402

from installers.freezing import bill, provenance  # noqa: E402
from installers.freezing.layout import NAME  # noqa: E402
from worker_core import __version__  # noqa: E402

SYSTEMS: Final = ("linux", "macos", "windows")
_BEFORE_ALL: Final = 315_532_800
"""1980: the first time that a ZIP archive can hold."""


def source_date_epoch() -> str:
    """When the commit was made, in seconds; of an unpacked source archive, a time that is always the same."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    asked = ["git", "log", "-1", "--format=%ct"]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip() or str(_BEFORE_ALL)


def sums(folder: Path) -> Path:
    """SHA256SUMS, as `sha256sum --check` reads it."""
    files = sorted(one for one in folder.iterdir() if one.is_file() and one.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in files]
    target = folder / "SHA256SUMS"
    target.write_text("".join(lines), encoding="utf-8")
    return target


def package(output: Path, *, fast: bool = False) -> None:
    """Build into a folder, which is emptied first.

    Args:
        output: the folder.
        fast: compress nothing where that takes minutes: to try packages, not to release them.

    Raises:
        subprocess.CalledProcessError: a step failed, and said why.
    """
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": source_date_epoch(), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    os.environ.update(environment)

    def run(*arguments: str) -> None:
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, check=True)

    run("hatchling", "build", "--directory", str(output))
    freeze()
    for system in SYSTEMS:
        if (ROOT / "installers" / system / "build.py").is_file():
            quickly = ["--fast"] if fast and system != "macos" else []
            run(f"installers.{system}.build", "--if-possible", *quickly, "--output", str(output))
        else:
            print(f"{system}: there is no build script for it yet.")
    bill.write(output / f"{NAME}-{__version__}.cdx.json")
    provenance.write(output / f"{NAME}-{__version__}.provenance.json", output)
    sums(output)
    for file in sorted(output.iterdir()):
        print(f"{file.stat().st_size / 1e6:8.1f} MB  {file.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "packages", help="default: dist/packages")
    parser.add_argument("--fast", action="store_true", help="compress nothing: to try packages, not to release them")
    asked = parser.parse_args()
    package(asked.output.resolve(), fast=asked.fast)


if __name__ == "__main__":
    main()
