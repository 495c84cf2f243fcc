"""What Windows shows of a program under Properties, Details."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from installers.freezing.layout import ROOT
from worker_core import __version__

SAID: Final = {
    "kubiya-worker": "Kubiya Worker",
    "kubiya-worker-desktop": "Kubiya Worker (tray)",
    "kubiya-python": "Python of the Kubiya Worker's tools",
}
_US_ENGLISH_UNICODE: Final = "040904B0"

# https://learn.microsoft.com/windows/win32/menurc/versioninfo-resource; PyInstaller evaluates this text.
_TEXT: Final = """VSVersionInfo(
  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0x0, OS=0x40004, fileType=0x1, subtype=0x0, date=(0, 0)),
  kids=[
    StringFileInfo([StringTable({language!r}, [
{strings}
    ])]),
    VarFileInfo([VarStruct("Translation", [0x0409, 1200])]),
  ],
)
"""  # noqa: E501


def numbers(version: str) -> tuple[int, int, int, int]:
    """The four numbers that Windows compares: of "1.2.3rc1", 1, 2, 3, 0."""
    release = re.match(r"\d+(\.\d+)*", version)
    read = [int(part) for part in release.group().split(".")] if release else []
    major, minor, patch, build = (*read, 0, 0, 0, 0)[:4]
    return major, minor, patch, build


def text(name: str) -> str:
    """For the program of this name, without `.exe`."""
    strings = {
        "CompanyName": "Kubiya",
        "FileDescription": SAID[name],
        "FileVersion": __version__,
        "InternalName": name,
        "LegalCopyright": "Apache License 2.0",
        "OriginalFilename": f"{name}.exe",
        "ProductName": "Kubiya Worker",
        "ProductVersion": __version__,
    }
    lines = "\n".join(f"      StringStruct({key!r}, {value!r})," for key, value in strings.items())
    return _TEXT.format(numbers=numbers(__version__), language=_US_ENGLISH_UNICODE, strings=lines)


def of(name: str) -> str:
    """The path of a file with it."""
    file: Path = ROOT / "build" / f"version-{name}.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text(name), encoding="utf-8")
    return str(file)
