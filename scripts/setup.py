"""Makes `.venv` with the pinned packages, and on Debian/Ubuntu installs missing system packages.

Standard library only: this runs before anything is installed. It does nothing when nothing changed, so every
`make` target may call it. What is missing and may not be installed from here is named first, in one line.

Usage: python3 scripts/setup.py [--without-system-packages] [--venv FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
APT_LIST = ROOT / "requirements" / "apt.txt"
OLDEST_PYTHON = (3, 11)

PROGRAMS = (
    "Xvfb", "bwrap", "curl", "dbus-daemon", "dunst", "gnome-keyring-daemon", "objdump", "openbox", "openssl", "xdotool",
)  # fmt: skip
"""Of the system packages, what other Linux distributions have under other names."""


def python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint() -> str:
    digest = hashlib.sha256()
    for path in (REQUIREMENTS, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    digest.update(sys.version.encode())
    return digest.hexdigest()


def apt_packages() -> list[str]:
    lines = APT_LIST.read_text(encoding="utf-8").splitlines()
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    # Another Python than the system's brings its library along, and the system has no package of its version.
    here = f"{sys.version_info[0]}.{sys.version_info[1]}" if sys.base_prefix == "/usr" else ""
    return [name.replace("PYTHON", here) for name in names if here or "PYTHON" not in name]


def missing_apt_packages() -> list[str]:
    if shutil.which("dpkg-query") is None:
        return []
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *apt_packages()],
        capture_output=True,
        text=True,
        check=False,
    )
    present = {line.split()[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    # Newer releases rename a library with a t64 suffix; the old name is then a virtual package.
    return [name for name in apt_packages() if name not in present and not has_t64_twin(name)]


def has_t64_twin(name: str) -> bool:
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", f"{name}t64"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() == "installed"


def install_system_packages() -> None:
    missing = missing_apt_packages()
    if not missing:
        if absent := missing_programs():
            print(
                f"Programs are missing: {' '.join(absent)}. The tests that need them are skipped; requirements/"
                "apt.txt says what they are for.",
                file=sys.stderr,
            )
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    prefix: list[str] = []
    if os.geteuid() != 0:
        may_sudo = shutil.which("sudo") is not None and (
            subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
        )
        if not may_sudo:
            print(
                "System packages are missing and may not be installed from here; the tests that need them are skipped. "
                f"Run: sudo apt-get update && sudo {' '.join(command)}",
                file=sys.stderr,
            )
            return
        prefix = ["sudo", "-n"]
    print(f"Installing system packages: {' '.join(missing)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        quietly([*prefix, "apt-get", "update", "-qq"], environment=environment)
        quietly([*prefix, *command], environment=environment)
    except subprocess.CalledProcessError:
        print(
            "apt-get could not install them; the tests that need them are skipped. "
            f"Run: sudo apt-get update && sudo {' '.join(command)}",
            file=sys.stderr,
        )


def missing_programs() -> list[str]:
    if not sys.platform.startswith("linux") or shutil.which("dpkg-query") is not None:
        return []
    return [name for name in PROGRAMS if shutil.which(name) is None]


def install_python_packages(venv: Path) -> None:
    wanted, stamp, python = fingerprint(), venv / ".setup-stamp", python_of(venv)
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    if python.exists() and not made_with_this_python(venv):
        shutil.rmtree(venv)
    if not python.exists():
        print(f"Making {venv.name} with Python {sys.version.split()[0]}", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(venv)], check=False, stdout=subprocess.DEVNULL)
        if made.returncode != 0:
            shutil.rmtree(venv, ignore_errors=True)
            raise SystemExit(
                "Python could not make a virtual environment. On Debian/Ubuntu run: sudo apt-get install python3-venv"
            )
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    print("Installing the pinned packages (about a minute)", flush=True)
    quietly([*pip, "--require-hashes", "--requirement", str(REQUIREMENTS)])
    quietly([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    stamp.write_text(wanted, encoding="utf-8")


def made_with_this_python(venv: Path) -> bool:
    """Its packages are for one version of Python, whichever runs this."""
    lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    settings = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    return settings.get("version") == ".".join(map(str, sys.version_info[:3]))


def quietly(command: list[str], *, environment: dict[str, str] | None = None) -> None:
    """Run a command; of what it complains about, each kind is one line. Where it fails, all of it is shown.

    Raises:
        subprocess.CalledProcessError: it exited with another code than 0.
    """
    done = subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        text=True, errors="replace",
    )  # fmt: skip
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
    done.check_returncode()
    for line in folded(done.stderr):
        print(line, file=sys.stderr)


def folded(said: str) -> list[str]:
    """Lines that differ in nothing but what they quote are one: the first, and how many there are."""
    kinds: dict[str, list[str]] = {}
    for line in filter(str.strip, said.splitlines()):
        kinds.setdefault(re.sub(r"'[^']*'", "''", line), []).append(line)
    return [alike[0] if len(alike) == 1 else f"{alike[0]} (and {len(alike) - 1} like it)" for alike in kinds.values()]


def main() -> None:
    options = argparse.ArgumentParser(description="Make a virtual environment with the pinned packages.")
    options.add_argument("--without-system-packages", action="store_true", help="install nothing with apt-get")
    options.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where (default: .venv)")
    chosen = options.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        raise SystemExit(
            f"Kubiya Worker needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer; this is "
            f"{sys.version.split()[0]}. Install a newer Python and run it as: make PYTHON=python3.11 setup"
        )
    if not chosen.without_system_packages:
        install_system_packages()
    try:
        install_python_packages(chosen.venv.absolute())
    except subprocess.CalledProcessError as failed:
        raise SystemExit(f"Set-up stopped: {' '.join(failed.cmd[:6])} ... exited with {failed.returncode}.") from None


if __name__ == "__main__":
    main()
