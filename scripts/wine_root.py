"""Wine 10 and what builds Windows installers (NSIS, wixl), from this machine or from a Debian 13 root of its own.

Debian 12's wine 8 lacks too much: what it cannot do looks like a fault of ours. Where this machine has all of PROGRAMS
and a wine that is new enough, they are used as they are; elsewhere debootstrap makes a root in the user's cache, once,
which bubblewrap enters: nothing is installed into this machine. Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from own_environment import READY, ROOT, cache

SOURCES: Final = Path(__file__).resolve().parent / "wine"
RELEASE: Final = "trixie"
OLDEST_WINE: Final = 10
COMPILER: Final = "x86_64-w64-mingw32-gcc"
PROGRAMS: Final = ("wine", "wineserver", COMPILER, "makensis", "wixl", "msiinfo")
PACKAGES: Final = ("wine", "wine64", "gcc-mingw-w64-x86-64-win32", "nsis", "wixl", "msitools", "fonts-liberation")
FROM_THE_ROOT: Final = frozenset({"bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr", "var"})
STAND_INS: Final = {
    "pdh": ("system32/pdh.dll", ("-shared",)),
    "icuuc": ("system32/icuuc.dll", ("-shared",)),
    "mscms": ("system32/mscms.dll", ("-shared",)),
    "powershell": ("system32/WindowsPowerShell/v1.0/powershell.exe", ("-lshell32",)),
}
"""What wine lacks and the worker needs: sources, where they go below Windows' folder, and how they are compiled."""

OVERRIDES: Final = "mscoree=;mshtml=;pdh=n,b;mscms=n,b;powershell.exe=n;winemenubuilder.exe=d;winedbg.exe=d"
"""Neither .NET nor a browser is offered, nothing is put into the menus of this machine, and a crash ends."""

ROOT_SECONDS: Final = 1800
WINE_SECONDS: Final = 300


class Wine(NamedTuple):
    """Where wine is."""

    root: Path | None
    """A Debian root to enter; `None`: this machine itself."""

    def command(self, *words: str | Path) -> list[str]:
        """As one starts a program where wine is, in the folder and with the environment of whoever starts it."""
        if self.root is None:
            return [str(word) for word in words]
        inside = ["--die-with-parent", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys"]
        for folder in sorted(self.root.iterdir()):
            if folder.name in FROM_THE_ROOT:
                known = ["--symlink", str(folder.readlink())] if folder.is_symlink() else ["--ro-bind", str(folder)]
                inside += [*known, f"/{folder.name}"]
        for shared in (Path("/tmp"), Path("/var/tmp"), Path.home(), ROOT, cache("windows"), Path.cwd()):  # noqa: S108
            if shared.is_dir():
                inside += ["--bind", str(shared), str(shared)]
        return ["bwrap", *inside, "--chdir", str(Path.cwd()), "--", *(str(word) for word in words)]

    def environment(self, prefix: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """For programs below wine. `prefix` is the folder that holds drive C and the registry."""
        kept = {name: os.environ[name] for name in ("DISPLAY", "XAUTHORITY") if name in os.environ}
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(Path.home()),
            "LANG": "C.UTF-8",
            "WINEPREFIX": str(prefix),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": OVERRIDES,
            "FONTCONFIG_FILE": str(SOURCES / "fonts.conf"),
            **kept,
            **(more or {}),
        }


def on_this_machine() -> bool:
    """Whether all of it is here, new enough."""
    if any(shutil.which(name) is None for name in PROGRAMS):
        return False
    said = subprocess.run(["wine", "--version"], capture_output=True, text=True, timeout=WINE_SECONDS, check=False)
    found = re.search(r"wine-(\d+)", said.stdout)
    return found is not None and int(found[1]) >= OLDEST_WINE


def debian_root() -> Path:
    """Where the root is or will be."""
    return cache("windows") / f"root-{RELEASE}-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:8]}"


def present() -> Wine | None:
    """What was set up already, without setting anything up."""
    if shutil.which("bwrap") and (debian_root() / READY).exists():
        return Wine(root=debian_root())
    return Wine(root=None) if on_this_machine() else None


def set_up() -> Wine | str:
    """Make the root, where it is needed and not there; why that cannot be done."""
    if found := present():
        return found
    root = debian_root()
    if missing := [name for name in ("debootstrap", "bwrap", "apt-get") if shutil.which(name) is None]:
        return f"neither wine {OLDEST_WINE} with {', '.join(PROGRAMS[2:])} is here, nor {' and '.join(missing)}"
    if os.geteuid() != 0:
        return f"only root may make a Debian root for wine {OLDEST_WINE}: run it with sudo"
    print(f"Making a Debian root with wine in {root} (some minutes, 2 GB) ...", flush=True)
    sources = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    known = subprocess.run(sources, capture_output=True, text=True, check=False).stdout
    mirror = next((line for line in known.splitlines() if line.rstrip("/").endswith("/debian")), "")
    if not mirror:
        return "this machine's apt knows no mirror of Debian"
    scripts = Path("/usr/share/debootstrap/scripts")
    script = next(one for one in (scripts / RELEASE, scripts / "sid") if one.exists())
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    log = root.with_suffix(".log")
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, str(root), mirror]
    with log.open("w", encoding="utf-8") as output:
        made = subprocess.run(
            [*command, str(script)], stdout=output, stderr=subprocess.STDOUT, timeout=ROOT_SECONDS, check=False
        )
    if made.returncode != 0:
        return f"debootstrap failed; what it said is in {log}"
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    (root / READY).touch()
    return Wine(root=root)


def template_prefix(wine: Wine) -> Path:
    """Drive C and registry of a new user, with the stand-ins: made once, to be copied.

    Raises:
        subprocess.CalledProcessError: wine or the compiler failed.
    """
    made_of = OVERRIDES.encode() + b"".join((SOURCES / f"{name}.c").read_bytes() for name in STAND_INS)
    place = "here" if wine.root is None else RELEASE
    prefix = cache("windows") / f"prefix-{place}-{hashlib.sha256(made_of).hexdigest()[:12]}"
    if (prefix / READY).exists():
        return prefix
    print(f"Making a Windows user's folders in {prefix} ...", flush=True)
    shutil.rmtree(prefix, ignore_errors=True)
    prefix.parent.mkdir(parents=True, exist_ok=True)

    def run(*words: str | Path) -> None:
        subprocess.run(
            wine.command(*words), check=True, env=wine.environment(prefix), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=WINE_SECONDS,
        )  # fmt: skip

    run("wine", "wineboot", "--init")
    run("wineserver", "--wait")
    for name, (where, options) in STAND_INS.items():
        target = prefix / "drive_c" / "windows" / where
        target.parent.mkdir(parents=True, exist_ok=True)
        run(COMPILER, "-O2", "-s", "-o", target, SOURCES / f"{name}.c", *options)
    (prefix / READY).touch()
    return prefix


@contextlib.contextmanager
def new_user(wine: Wine, prefix: Path) -> Iterator[None]:
    """Drive C and registry of a new user, whose programs end and whose files go with the block.

    Wine's server is never told to stay (`--persistent`): where this process is killed, it ends a few seconds after the
    last program of the user has, and takes Windows' own with it.
    """
    shutil.copytree(template_prefix(wine), prefix, symlinks=True)
    try:
        yield
    finally:
        for last in ("--kill", "--wait"):
            subprocess.run(wine.command("wineserver", last), env=wine.environment(prefix), check=False)
        shutil.rmtree(prefix)


if __name__ == "__main__":
    found = set_up()
    print(found if isinstance(found, str) else template_prefix(found))
    sys.exit(isinstance(found, str))
