"""Freezes the programs into `dist/kubiya-worker`, unless nothing has changed since they were frozen last.

Usage: python scripts/freeze.py [--force]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from installers.freezing import finishing, layout  # noqa: E402

OUTPUT = layout.FOLDER
STAMP = ROOT / "build" / "frozen-from"
SOURCES = (
    "worker_core", "desktop", "assets", "docs/checks", "installers/entry", "installers/freezing", "build.spec",
    "requirements/dev.txt",
)  # fmt: skip


def fingerprint() -> str:
    digest = hashlib.sha256(f"{sys.version}{sys.prefix}".encode())
    for name in SOURCES:
        path = ROOT / name
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for file in files:
            if "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def freeze(*, force: bool = False) -> Path:
    """The folder with the programs.

    Raises:
        SystemExit: what was frozen would not run elsewhere.
        subprocess.CalledProcessError: PyInstaller failed; what it printed says why.
    """
    wanted = fingerprint()
    known = STAMP.read_text() if STAMP.exists() else ""
    if force or known != wanted or not OUTPUT.is_dir():
        print("Freezing; this takes a minute or two.", flush=True)
        began = time.monotonic()
        STAMP.unlink(missing_ok=True)
        layout.MANIFEST.unlink(missing_ok=True)  # what is half done is nothing to pack
        subprocess.run(
            [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level=WARN", "build.spec"],
            cwd=ROOT,
            check=True,
            # The order of what is in an archive is that of a set; the times in one are a commit's.
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONHASHSEED": "0"},
        )
        try:
            finishing.finish(OUTPUT)
        except finishing.Unfit as fault:
            sys.exit(str(fault))
        STAMP.parent.mkdir(exist_ok=True)
        STAMP.write_text(wanted)
        print(f"Frozen in {time.monotonic() - began:.0f} s.")
    made = layout.frozen()
    for part, names in made.parts.items():
        print(f"{OUTPUT.relative_to(ROOT)}, {part}: {made.size_bytes(part) / 1e6:.0f} MB in {len(names)} files")
    return OUTPUT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--force", action="store_true", help="freeze even if nothing has changed")
    freeze(force=parser.parse_args().force)


if __name__ == "__main__":
    main()
