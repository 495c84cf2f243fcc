"""Lint, the whole suite on one Python, and the quick part of it on each other one that is here. What CI runs.

The one is the system's own (`/usr/bin/python3`) where it will do, since that is what `make run` takes on a stock
machine; the others are looked for in /usr, on the search path, and with pyenv and uv. Standard library only.

Usage: python3 scripts/every_python.py [--list]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SYSTEM: Final = Path("/usr/bin/python3")
OLDEST: Final = (3, 11)
MINORS: Final = range(11, 15)
BEGAN: Final = time.monotonic()
LIMIT_S: Final = 80 * 60
"""For everything; it should take less than thirty minutes on two cores."""

_ASK: Final = "import ensurepip, sys, venv; print(*sys.version_info[:3])"


def version_of(python: Path, *, ask: str = _ASK) -> tuple[int, ...]:
    """What an interpreter says; empty where it is none, or none that can make an environment with pip."""
    try:
        said = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=20, check=True).stdout
        return tuple(int(part) for part in said.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()


def places(minor: int) -> Iterator[Path]:
    name = f"python3.{minor}"
    for folder in ("/usr/bin", "/usr/local/bin", *os.get_exec_path()):
        yield Path(folder, name)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python")
    for folder in (*sorted(pyenv.glob(f"3.{minor}.*")), *sorted(uv.glob(f"cpython-3.{minor}.*"))):
        yield folder / "bin" / name


def found() -> dict[int, tuple[Path, tuple[int, ...]]]:
    """The first interpreter of each version that works, by its second number."""
    every = {}
    for minor in MINORS:
        for python in places(minor):
            if python.exists() and (version := version_of(python))[:2] == (3, minor):
                every[minor] = python, version
                break
    return every


def of_the_suite() -> tuple[Path, tuple[int, ...]]:
    version = version_of(SYSTEM, ask="import sys; print(*sys.version_info[:3])")  # its venv is installed by set-up
    return (SYSTEM, version) if version >= OLDEST else (Path(sys.executable), tuple(sys.version_info[:3]))


def make(*arguments: str) -> bool:
    """Run a target; what has not ended when all must have is ended, so that there is an answer and not a silence."""
    print(f"\n== make {' '.join(arguments)}", flush=True)
    began = time.monotonic()
    with subprocess.Popen(["make", *arguments], cwd=ROOT, start_new_session=True) as process:
        try:
            how = "ended well" if process.wait(max(0, BEGAN + LIMIT_S - began)) == 0 else "FAILED"
        except BaseException as error:
            os.killpg(process.pid, signal.SIGTERM)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            how = "HAD NOT ENDED"
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    print(f"== {how} after {minutes} min {seconds:02} s", flush=True)
    return how == "ended well"


def said(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def main() -> int:
    one, version = of_the_suite()
    every = found()
    others = {minor: it for minor, it in every.items() if minor != version[1]}
    absent = [f"3.{minor}" for minor in MINORS if minor not in every and minor != version[1]]
    print(f"The whole suite: Python {said(version)} ({one})")
    print("The quick part: " + (", ".join(f"{said(it[1])} ({it[0]})" for it in others.values()) or "no other one"))
    print("Not on this machine: " + (", ".join(absent) or "none"), flush=True)
    if "--list" in sys.argv:
        return 0
    results = [make("lint", f"PYTHON={one}"), make("test", f"PYTHON={one}")]
    results += [make("quick", f"PYTHON={python}", f"VENV=.venvs/3.{minor}") for minor, (python, _) in others.items()]
    results.append(make("test-chart", f"PYTHON={one}", "WRITE=--if-possible"))
    results.append(make("test-windows", f"PYTHON={one}", "SUITE=--if-possible"))
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
