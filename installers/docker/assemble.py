"""Run while the image is built, by the worker's own interpreter: puts the worker in, takes out what nothing runs.

Compiled code is kept for what a worker imports, since a read-only root keeps none later: without it each start would
compile for seconds, and with all of it the image is a third larger.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PACKAGES = Path(sysconfig.get_path("purelib"))
PROGRAMS = Path(sysconfig.get_path("scripts"))
START = f"""#!{PROGRAMS / "python"} -IB
from worker_core.cli import main

main()
"""
UNUSED = ("pip", "pip-*", "setuptools", "setuptools-*", "*/tests", "*/test", "temporalio/bridge/src", "**/*.pyi")
ROOMS = "agents checks claude cli control_socket engine mcp status_server tools"
IMPORTED = f"""
import importlib, pkgutil, sys
for room in {ROOMS!r}.split():
    package = importlib.import_module("worker_core." + room)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(found.name)
        except ImportError:  # of another system, or of an extra that is not here
            pass
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None) or "")
"""


def unused() -> Iterator[Path]:
    for pattern in UNUSED:
        yield from PACKAGES.glob(pattern)
    yield from PACKAGES.rglob("__pycache__")
    yield from (one for one in PROGRAMS.iterdir() if not one.name.startswith(("python", "bwrap")))


def main() -> None:
    shutil.copytree(SOURCE / "worker_core", PACKAGES / "worker_core")
    for one in list(unused()):
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink(missing_ok=True)
    program = PROGRAMS / "kubiya-worker"
    program.write_text(START, encoding="utf-8")
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-IBc", IMPORTED], stdout=subprocess.PIPE, text=True, check=True, cwd=PACKAGES
    )
    imported = {Path(line) for line in done.stdout.splitlines() if line.endswith(".py")}
    for one in imported | set(PACKAGES.joinpath("worker_core").rglob("*.py")):
        if one.is_relative_to(PACKAGES):
            # Never compared with its source: building images may change times.
            compileall.compile_file(one, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    main()
