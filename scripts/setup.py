"""Makes `.venv` with the pinned packages, and on Debian/Ubuntu installs missing system packages.

Standard library only: this runs before anything is installed. It does nothing when nothing changed, so every
`make` target may call it.

Usage: python3 scripts/setup.py [--without-system-packages]
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".setup-stamp"
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
APT_LIST = ROOT / "requirements" / "apt.txt"
OLDEST_PYTHON = (3, 11)


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint() -> str:
    digest = hashlib.sha256()
    for path in (REQUIREMENTS, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    digest.update(sys.version.encode())
    return digest.hexdigest()


def apt_packages() -> list[str]:
    lines = APT_LIST.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


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
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    prefix: list[str] = []
    if os.geteuid() != 0:
        may_sudo = shutil.which("sudo") is not None and (
            subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
        )
        if not may_sudo:
            print(
                "Some system packages are missing and may not be installed from here. "
                f"Run: sudo apt-get update && sudo {' '.join(command)}",
                file=sys.stderr,
            )
            return
        prefix = ["sudo", "-n"]
    print(f"Installing system packages: {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*prefix, "apt-get", "update", "-qq"], env=environment, check=False)
    done = subprocess.run([*prefix, *command], env=environment, check=False, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        print(
            "apt-get could not install them; the tests that need them will name what is missing. "
            f"Run: sudo apt-get update && sudo {' '.join(command)}",
            file=sys.stderr,
        )


def install_python_packages() -> None:
    wanted = fingerprint()
    if venv_python().exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return
    if not venv_python().exists():
        print("Making .venv")
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False)
        if made.returncode != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            raise SystemExit(
                "Python could not make a virtual environment. On Debian/Ubuntu run: sudo apt-get install python3-venv"
            )
    pip = [str(venv_python()), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    print("Installing the pinned packages (about a minute)")
    subprocess.run([*pip, "--require-hashes", "--requirement", str(REQUIREMENTS)], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], check=True)
    STAMP.write_text(wanted, encoding="utf-8")


def main() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise SystemExit(
            f"Kubiya Worker needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer; this is "
            f"{sys.version.split()[0]}. Install a newer Python and run it as: make PYTHON=python3.11 setup"
        )
    if "--without-system-packages" not in sys.argv:
        install_system_packages()
    try:
        install_python_packages()
    except subprocess.CalledProcessError as failed:
        raise SystemExit(f"Set-up stopped: {' '.join(failed.cmd[:6])} ... exited with {failed.returncode}.") from None


if __name__ == "__main__":
    main()
