"""Downloads the wheels of what window and worker are frozen from, as macOS gets them, and checks every Mach-O file in
them (tests/installers/macos/test_wheels.py). Freezing itself needs a Mac.

Where the package registry does not have them, that is said and nothing fails with --if-possible.

Usage: .venv/bin/python scripts/macos_wheels.py [--if-possible] [PYTEST ARGUMENT ...]
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Final

from own_environment import READY, ROOT, cache, python_of, run_tests, switches

REQUIREMENTS: Final = ROOT / "requirements" / "dev.txt"
PACKAGES: Final = (
    "cffi", "charset-normalizer", "cryptography", "msgspec", "pillow", "psutil", "pydantic-core", "pyside6-essentials",
    "rpds-py", "shiboken6", "temporalio",
)  # fmt: skip
"""Those of the pins that have Mach-O files and are frozen."""

PYTHON: Final = "3.12"
"""What the workflow freezes with."""

VERSIONS: Final = ("10_9", "10_12", "10_13", "10_15", "11_0", "12_0", "13_0", "14_0")
PLATFORMS: Final = {
    processor: [f"macosx_{version}_{kind}" for version in VERSIONS for kind in (processor, "universal2")]
    for processor in ("arm64", "x86_64")
}
SECONDS: Final = 900


def pins() -> list[str]:
    """Of the packages, for the Python that freezes; a package with a pin for each Python has the newest last."""
    found: dict[str, str] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE):
        if name in PACKAGES:
            found[name] = f"{name}=={version}"
    if missing := set(PACKAGES) - found.keys():
        raise LookupError(f"requirements/dev.txt has no {', '.join(sorted(missing))}.")
    return [found[name] for name in PACKAGES]


def folder() -> Path:
    made_of = f"{PYTHON}{pins()}{PLATFORMS}{sys.version}".encode()
    return cache("macos") / hashlib.sha256(made_of).hexdigest()[:16]


def set_up(target: Path) -> str:
    """Download and unpack, once; why it could not be done, or an empty text.

    A package without a wheel for a processor is noted there: the test says which.
    """
    if (target / READY).exists():
        return ""
    print(f"Downloading the wheels for macOS into {target} (some minutes) ...", flush=True)
    venv.create(target / "tools", with_pip=True)
    pip = [str(python_of(target / "tools")), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, "install", "macholib==1.16.4"], timeout=SECONDS, check=False).returncode != 0:
        return "macholib could not be installed (above)"
    for processor, platforms in PLATFORMS.items():
        wheels, contents = target / f"wheels-{processor}", target / processor
        contents.mkdir(parents=True, exist_ok=True)
        chosen = ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
        chosen += [f"--platform={one}" for one in platforms]
        lacking = []
        for pin in pins():
            got = subprocess.run(
                [*pip, "download", *chosen, "--dest", str(wheels), pin],
                timeout=SECONDS, check=False, capture_output=True, text=True,
            )  # fmt: skip
            if got.returncode != 0 and "No matching distribution" not in got.stderr:
                return f"{pin} could not be downloaded: {got.stderr.strip()[-300:]}"
            if got.returncode != 0:
                lacking.append(pin.partition("==")[0])
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(contents)
        (target / f"lacking-{processor}").write_text("\n".join(lacking))
    (target / READY).touch()
    return ""


def main() -> int:
    chosen, arguments = switches("--if-possible")
    target = folder()
    if why := set_up(target):
        print(f"The wheels for macOS are not there: {why}. Their tests are not run.", file=sys.stderr)
        return 0 if "--if-possible" in chosen else 1
    (library,) = (target / "tools").glob("lib/python*/site-packages")
    return run_tests(arguments or ["tests/installers/macos"], macos=target, macholib=library)


if __name__ == "__main__":
    sys.exit(main())
