"""Sets up the real gateways of tests/gateways (LiteLLM's proxy, llama.cpp's server) and runs the tests against them.

They have an environment of their own in the user's cache, made once for each version of requirements/gateways.txt:
their packages do not go with ours. Where the package registry does not have them, that is said and nothing fails.

Usage: .venv/bin/python scripts/gateways.py [--if-possible] [PYTEST ARGUMENT ...]
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "gateways.txt"
READY = ".ready"
INSTALL_SECONDS = 600


def home() -> Path:
    """Where the environment is or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made_of = f"{sys.version}{platform.machine()}".encode() + REQUIREMENTS.read_bytes()
    return cache / "kubiya-worker-gateways" / hashlib.sha256(made_of).hexdigest()[:16]


def python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def set_up(folder: Path) -> str:
    """Make it, once. Returns why it could not be made, or an empty text."""
    if (folder / READY).exists():
        return ""
    print(f"Installing LiteLLM and llama.cpp into {folder} (about a minute) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    # Not compiled: most of it is never imported.
    command = [str(python_of(folder)), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(REQUIREMENTS)]
    try:
        done = subprocess.run(command, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"the installation took longer than {INSTALL_SECONDS} s"
    if done.returncode != 0:
        return "they could not be installed (above)"
    (folder / READY).touch()
    return ""


def main() -> int:
    arguments = sys.argv[1:]
    if_possible = "--if-possible" in arguments
    arguments = [one for one in arguments if one != "--if-possible"]
    folder = home()
    if why := set_up(folder):
        print(f"The real gateways are not there: {why}. Their tests are not run.", file=sys.stderr)
        return 0 if if_possible else 1
    return subprocess.run(
        [sys.executable, "-m", "pytest", *(arguments or ["tests/gateways"])],
        cwd=ROOT,
        env={**os.environ, "KUBIYA_TEST_GATEWAYS": str(folder)},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
