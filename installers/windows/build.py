"""Builds what installs the frozen programs on Windows.

That is a setup for one user (NSIS), an MSI for many machines (wixl), and the manifests for winget that name them.

Usage: python -m installers.windows.build [--if-possible] [--fast] [--folder FOLDER] [--icon FILE] [--output FOLDER]

Works on Windows with NSIS, and on Linux with NSIS and wixl, or with what `scripts/wine_root.py` set up. Two builds of
the same files are the same bytes. With KUBIYA_SIGN_PKCS12 (a file) and KUBIYA_SIGN_PASSWORD_FILE, what it makes is
signed by osslsigncode, and stamped by the service of KUBIYA_SIGN_TIMESTAMPS (RFC 3161): it then outlives its
certificate.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from installers.freezing import version_resource
from installers.freezing.layout import FOLDER, ROOT
from installers.windows import manifests, msi
from worker_core import __version__

HERE: Final = Path(__file__).resolve().parent
SETUP: Final = "kubiya-worker-{version}-setup-x64.exe"
MSI: Final = "kubiya-worker-{version}-x64.msi"
OURS: Final = "worker_core/__init__.pyc"
"""A version's folder has it, and nobody else's has: so a later setup knows what it may remove."""

Tool = Callable[..., list[str]]
"""A program's command line, from its words."""


def here(*words: str | Path) -> list[str]:
    return [str(word) for word in words]


def finder() -> Tool:
    """How programs are started: those of this machine, or of the root with wine."""
    if shutil.which("makensis") or sys.platform == "win32":
        return here
    sys.path.insert(0, str(ROOT / "scripts"))
    import wine_root

    wine = wine_root.present()
    return here if wine is None else wine.command


def is_there(tool: Tool, name: str) -> bool:
    if tool is here:
        return shutil.which(name) is not None
    return subprocess.run(tool("sh", "-c", f"command -v {name}"), capture_output=True, check=False).returncode == 0


def numbers(version: str) -> str:
    """The four that Windows compares, as NSIS writes them: of "1.2.3rc1", 1.2.3.0."""
    return ".".join(map(str, version_resource.numbers(version)))


def escaped(text: str) -> str:
    """For a text of NSIS between double quotes."""
    return text.replace("$", "$$").replace('"', '$\\"')


def nsis_lists(folder: Path, work: Path) -> None:
    """What setup puts there, and what the uninstaller takes away again: files of ours by name, nothing of others."""
    install: list[str] = []
    place = None
    files = msi.files_of(folder)
    for file in files:
        if file.parent != place:
            place = file.parent
            install.append(f'SetOutPath "$INSTDIR\\{escaped(str(place).replace("/", chr(92)))}"'.replace('\\."', '"'))
        install.append(f'File "{folder / file}"')  # where it is read from, NSIS takes a $ as it stands
    remove = [f'Delete "$INSTDIR\\{escaped(str(file).replace("/", chr(92)))}"' for file in files]
    folders = {parent for file in files for parent in file.parents if parent != Path()}
    remove += [
        f'RMDir "$INSTDIR\\{escaped(str(one).replace("/", chr(92)))}"'
        for one in sorted(folders, key=lambda one: (-len(one.parts), str(one)))
    ]
    (work / "files.nsh").write_text("\n".join(install) + "\n", encoding="utf-8-sig")
    (work / "folders.nsh").write_text("\n".join(remove) + "\n", encoding="utf-8-sig")


def nsis_target() -> str:
    """NSIS for Windows brings programs of 32 bits alone, Debian's those of 64, which wine64 can run."""
    return "x86-unicode" if sys.platform == "win32" else "amd64-unicode"


def build_setup(tool: Tool, folder: Path, *, version: str, icon: Path, output: Path, fast: bool) -> Path:
    """The setup.

    Raises:
        ValueError: a later version's setup would not know the folder of this one.
        subprocess.CalledProcessError: NSIS failed; what it printed says why.
    """
    if not (folder / version / OURS).is_file():
        raise ValueError(f"{folder / version} has no {OURS}, by which a later setup knows what it may remove.")
    target = output / SETUP.format(version=version)
    with tempfile.TemporaryDirectory(prefix="kubiya-setup-") as given:
        work = Path(given)
        nsis_lists(folder, work)
        defines = {
            "VERSION": version, "NUMBERS": numbers(version), "TARGET": nsis_target(), "CONTENTS": version,
            "OURS": OURS.replace("/", "\\"), "OUTPUT": target, "ICON": icon, "WORK": work,
            **({"FAST": 1} if fast else {}),
        }  # fmt: skip
        command = tool("makensis", "-V2", "-WX", "-INPUTCHARSET", "UTF8", *(f"-D{k}={v}" for k, v in defines.items()))
        subprocess.run([*command, str(HERE / "setup.nsi")], check=True, env={"SOURCE_DATE_EPOCH": "0", **os.environ})
    return target


def sign(file: Path) -> str:
    """Sign a file in its place, where a certificate is named; why it is not signed, or an empty text."""
    certificate, password = os.environ.get("KUBIYA_SIGN_PKCS12"), os.environ.get("KUBIYA_SIGN_PASSWORD_FILE")
    if not certificate or not password:
        return "not signed: KUBIYA_SIGN_PKCS12 and KUBIYA_SIGN_PASSWORD_FILE name no certificate"
    if shutil.which("osslsigncode") is None:
        return "not signed: osslsigncode is not here"
    signed = file.with_suffix(".signed")
    stamp = os.environ.get("KUBIYA_SIGN_TIMESTAMPS", "")
    command = here(
        "osslsigncode", "sign", "-pkcs12", certificate, "-readpass", password, "-h", "sha256", "-n", "Kubiya Worker",
        *(("-ts", stamp) if stamp else ()), "-in", file, "-out", signed,
    )  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    signed.replace(file)
    return ""


def drawn_icon(work: Path) -> Path:
    """In a process of its own: it draws with Qt."""
    subprocess.run([sys.executable, "-m", "installers.freezing.icons", str(work)], cwd=ROOT, check=True)
    return work / "kubiya-worker.ico"


def build(
    folder: Path, *, output: Path, version: str = __version__, icon: Path | None = None, fast: bool = False
) -> list[str]:
    """Build all that can be built; a line for each, or the sentence why not.

    Args:
        folder: the programs.
        output: where what is built goes.
        version: theirs, and the name of the folder with their libraries.
        icon: an .ico file; drawn where there is none.
        fast: do not compress the setup, which takes minutes: to try it, not to release it.
    """
    if not (folder / "kubiya-worker.exe").is_file():
        return [f"No installers for Windows: {folder} holds no programs of Windows. `make freeze` makes them there."]
    tool = finder()
    output = output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    made: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="kubiya-icon-") as given:
        icon = icon or drawn_icon(Path(given))
        if is_there(tool, "makensis"):
            made.append(build_setup(tool, folder.absolute(), version=version, icon=icon, output=output, fast=fast))
        else:
            said.append("No setup for Windows: makensis is missing (Debian's package nsis).")
        if is_there(tool, "wixl"):
            target = output / MSI.format(version=version)
            made.append(msi.build(tool, folder.absolute(), version=version, icon=icon, target=target))
        else:
            said.append("No MSI: wixl is missing (Debian's package wixl).")
    for file in made:
        why = sign(file)
        said.append(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB" + (why and f"; {why}"))
    if made and made[0].suffix == ".exe":
        said += [f"{one.name}: for winget" for one in manifests.write(made, version=version, output=output / "winget")]
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--if-possible", action="store_true", help="end well where nothing can be built")
    parser.add_argument("--fast", action="store_true", help="compress no setup: to try it, not to release it")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the programs, frozen for Windows (%(default)s)")
    parser.add_argument("--icon", type=Path, help="an .ico file, instead of the drawn one")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "packages", help="(%(default)s)")
    given = parser.parse_args()
    said = build(given.folder, output=given.output, icon=given.icon, fast=given.fast)
    sys.stdout.write("\n".join([*said, ""]))
    missing = any(one.startswith("No ") for one in said)
    return 0 if given.if_possible or not missing else 1


if __name__ == "__main__":
    sys.exit(main())
