"""Environments beside `.venv`, for tests whose tools are large or do not go with our packages.

Each lies in the user's cache, made once for each version of its requirements. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READY = ".ready"
INSTALL_SECONDS = 600


def cache(name: str) -> Path:
    """The folder of the user's cache in which all lies that is set up under a name."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"kubiya-worker-{name}"


def environment(name: str) -> Path:
    """Where the environment of `requirements/NAME.txt` is or will be."""
    made_of = f"{sys.version}{platform.machine()}".encode() + requirements(name).read_bytes()
    return cache(name) / hashlib.sha256(made_of).hexdigest()[:16]


def requirements(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


def python_of(folder: Path) -> Path:
    """Its interpreter."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def set_up(name: str, *, what: str) -> str:
    """Make it, once.

    Args:
        name: of its requirements.
        what: it brings, for whoever waits.

    Returns:
        Why it could not be made, or an empty text.
    """
    folder = environment(name)
    if (folder / READY).exists():
        return ""
    print(f"Installing {what} into {folder} (about a minute) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    # Not compiled: most of it is never imported.
    command = [str(python_of(folder)), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements(name))]
    if why := why_not_installed(command):
        return why
    (folder / READY).touch()
    return ""


def why_not_installed(command: Sequence[str | Path], *, seconds: int = INSTALL_SECONDS) -> str:
    """Run an installation. Why it did not end well, or an empty text."""
    try:
        done = subprocess.run(command, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"the installation took longer than {seconds} s"
    return "the installation failed (above)" if done.returncode else ""


def switches(*known: str) -> tuple[set[str], list[str]]:
    """Those of these that stand on the command line, and what else stands there: arguments of pytest."""
    given = sys.argv[1:]
    return {one for one in given if one in known}, [one for one in given if one not in known]


def run_tests(arguments: Sequence[str], **places: Path) -> int:
    """Run pytest, which finds each place by its variable, `KUBIYA_TEST_NAME`; its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        env={**os.environ, **{f"KUBIYA_TEST_{name.upper()}": str(place) for name, place in places.items()}},
        check=False,
    ).returncode
