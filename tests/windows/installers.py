"""Installers for the tests, of a program that stands in for the frozen one, and what they change."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from installers.windows import build
from tests.support.wine import Windows

SOURCE = Path(__file__).parent / "stand_in" / "program.c"
PROGRAMS = ("kubiya-worker", "kubiya-worker-desktop", "kubiya-python")


@dataclass(frozen=True, kw_only=True)
class Release:
    """One version, and what installs it."""

    version: str
    folder: Path
    output: Path

    @property
    def setup(self) -> Path:
        return self.output / build.SETUP.format(version=self.version)

    @property
    def msi(self) -> Path:
        return self.output / build.MSI.format(version=self.version)

    @property
    def files(self) -> set[str]:
        return files_below(self.folder)


def release(windows: Windows, version: str, *, folder: Path, icon: Path) -> Release:
    """Compile the stand-in as a version, and build what installs it."""
    programs = folder / f"kubiya worker {version}"
    contents = programs / version / "bücher" / "in a folder"
    contents.mkdir(parents=True)
    compile_ = windows.command("x86_64-w64-mingw32-gcc", "-s", "-O1", f'-DVERSION="{version}"', "-o")
    subprocess.run([*compile_, str(programs / "kubiya-worker.exe"), str(SOURCE)], check=True)
    for name in PROGRAMS[1:]:
        shutil.copy(programs / "kubiya-worker.exe", programs / f"{name}.exe")
    ours = programs / version / build.OURS
    ours.parent.mkdir()
    ours.write_text(version)
    (contents / f"only of {version}.txt").write_text("$INSTDIR is not a variable here")
    return build_installers(programs, version=version, output=folder / f"output {version}", icon=icon)


def build_installers(programs: Path, *, version: str, output: Path, icon: Path, fast: bool = False) -> Release:
    said = build.build(programs, output=output, version=version, icon=icon, fast=fast)
    assert not [line for line in said if line.startswith("No ")], said
    return Release(version=version, folder=programs, output=output)


def files_below(folder: Path) -> set[str]:
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


def local_data(windows: Windows) -> Path:
    """%LOCALAPPDATA% of the user."""
    (found,) = (one for one in (windows.drive / "users").glob("*/AppData/Local") if "Public" not in one.parts)
    return found


def state(windows: Windows, *, folder: Path) -> Mapping[str, object]:
    """All files of drive C and all keys of the registry with their values, but for those that wine writes."""
    kept: dict[str, object] = {}
    for one in windows.drive.rglob("*"):
        name = one.relative_to(windows.drive).as_posix()
        if not name.startswith("windows/") and "/Temp/" not in name and not name.endswith("/Temp"):
            kept[name] = one.stat().st_size if one.is_file() else "folder"
    for hive in ("HKCU", "HKLM\\Software", "HKLM\\System\\CurrentControlSet\\Control\\Session Manager\\Environment"):
        file = folder / "exported.reg"
        code, said = windows.run("wine", "reg", "export", hive, file, "/y")
        assert code == 0, said
        key = ""
        for line in file.read_text(encoding="utf-16").splitlines():
            if line.startswith("["):
                key = line.strip("[]")
                kept[key] = "key"
            elif line.startswith(('"', "@")):
                name, _, value = line.partition("=")
                kept[f"{key} {name}"] = value
    return {name: value for name, value in kept.items() if not any(one in name for one in BY_THEMSELVES)}


BY_THEMSELVES = ("\\Wine", "HKEY_CURRENT_USER\\Console", "SessionInfo", "MountedDevices", "line.bat")


def difference(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    return {
        name: (before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }
