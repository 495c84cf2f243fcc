"""The MSI for managed fleets: for all users of a machine, by wixl, with what an administrator's tools ask for.

It is installed by whoever may (`msiexec /i kubiya-worker.msi /qn`), puts the program's folder into PATH and a shortcut
into the Start menu, and replaces an older version. What runs goes on: its version's folder is removed by Windows after
the next start of the machine, where it was in use.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Xml

from installers.freezing.version_resource import numbers

NAMESPACE: Final = "http://schemas.microsoft.com/wix/2006/wi"
OURS: Final = uuid.UUID("8f5e1f0a-6d7f-5e64-9a4b-0d3d4a1f7c11")
"""All identifiers are made of it: the same file of a version has the same ones wherever it is built."""

UPGRADE_CODE: Final = str(uuid.uuid5(OURS, "upgrade")).upper()
"""What all versions have in common."""

_IDENTIFIER: Final = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
SUMMARY: Final = bytes.fromhex("e0859ff2f94f6810ab9108002b27b3d9")
"""FMTID_SummaryInformation, as it begins the summary's only section."""

_FILETIME: Final = 64
_SECONDS_FROM_1601_TO_1970: Final = 11_644_473_600

NAME: Final = "Kubiya Worker"
TRAY: Final = "kubiya-worker-desktop.exe"


def product_code(version: str) -> str:
    return str(uuid.uuid5(OURS, f"product {version}")).upper()


def identifier(kind: str, path: str) -> str:
    """Of at most 72 letters and digits, whatever the path."""
    return f"{kind}_{hashlib.sha256(path.encode()).hexdigest()[:24]}"


def files_of(folder: Path) -> list[Path]:
    """Relative to it, sorted: what a build is made of does not depend on the disk."""
    return sorted(one.relative_to(folder) for one in folder.rglob("*") if one.is_file())


def source(folder: Path, *, version: str, icon: Path) -> Xml.Element:
    """The document that wixl compiles."""
    root = Xml.Element("Wix", xmlns=NAMESPACE)
    product = Xml.SubElement(
        root, "Product", Name=NAME, Id=product_code(version), UpgradeCode=UPGRADE_CODE, Language="1033",
        Version=".".join(map(str, numbers(version)[:3])), Manufacturer="Kubiya",
    )  # fmt: skip
    Xml.SubElement(
        product, "Package", Compressed="yes", InstallerVersion="500", InstallScope="perMachine", Keywords="Installer",
        Description=f"{NAME} {version}", Manufacturer="Kubiya",
    )  # fmt: skip
    Xml.SubElement(product, "Media", Id="1", Cabinet="files.cab", EmbedCab="yes")
    Xml.SubElement(
        product, "MajorUpgrade",
        DowngradeErrorMessage="A newer version is installed. Remove it first: its data may be in a later format.",
    )  # fmt: skip
    Xml.SubElement(product, "Icon", Id="icon.ico", SourceFile=str(icon))
    for name, value in (("ARPPRODUCTICON", "icon.ico"), ("ARPNOMODIFY", "1")):
        Xml.SubElement(product, "Property", Id=name, Value=value)
    drive = Xml.SubElement(product, "Directory", Id="TARGETDIR", Name="SourceDir")
    programs = Xml.SubElement(drive, "Directory", Id="ProgramFiles64Folder", Name="PFiles")
    top = Xml.SubElement(programs, "Directory", Id="INSTALLFOLDER", Name=NAME)
    menu = Xml.SubElement(drive, "Directory", Id="ProgramMenuFolder", Name="Programs")
    feature = Xml.SubElement(product, "Feature", Id="Main", Title=NAME, Level="1")
    places = {Path(): top}
    for file in files_of(folder):
        for parent in [*reversed(file.parents)][1:]:
            if parent not in places:
                places[parent] = Xml.SubElement(
                    places[parent.parent], "Directory", Id=identifier("folder", str(parent)), Name=_plain(parent.name)
                )
        component = _component(places[file.parent], feature, identifier("file", str(file)), path=str(file))
        Xml.SubElement(
            component, "File", Id=identifier("f", str(file)), Name=_plain(file.name), KeyPath="yes",
            Source=_plain(str(folder / file)),
        )  # fmt: skip
    path = _component(top, feature, "Path", path="PATH")
    Xml.SubElement(
        path, "Environment", Id="PathEntry", Name="PATH", Action="set", Part="last", System="yes", Permanent="no",
        Value="[INSTALLFOLDER]",
    )  # fmt: skip
    key = {"Root": "HKLM", "Key": r"Software\Kubiya\Worker", "Type": "string"}
    Xml.SubElement(
        path, "RegistryValue", {**key, "Name": "InstallLocation", "Value": "[INSTALLFOLDER]", "KeyPath": "yes"}
    )
    shortcut = _component(menu, feature, "StartMenu", path="Start menu")
    Xml.SubElement(
        shortcut, "Shortcut", Id="StartMenuEntry", Name=NAME, Target=f"[INSTALLFOLDER]{TRAY}",
        WorkingDirectory="INSTALLFOLDER", Icon="icon.ico",
    )  # fmt: skip
    Xml.SubElement(shortcut, "RegistryValue", {**key, "Name": "StartMenu", "Value": "1", "KeyPath": "yes"})
    return root


def _plain(name: str) -> str:
    """With nothing that wixl would take for a variable."""
    return name.replace("$", "$$")


def _component(place: Xml.Element, feature: Xml.Element, name: str, *, path: str) -> Xml.Element:
    Xml.SubElement(feature, "ComponentRef", Id=name)
    guid = str(uuid.uuid5(OURS, f"component {path}")).upper()
    return Xml.SubElement(place, "Component", Id=name, Guid=guid, Win64="yes")


def build(
    tool: Callable[..., list[str]], folder: Path, *, version: str, icon: Path, target: Path, at: int | None = None
) -> Path:
    """The MSI.

    Args:
        tool: makes the command line of a program.
        folder: what is installed.
        version: as the program says it; Windows compares its first three numbers.
        icon: an .ico file.
        target: the file to be written.
        at: the time of its files, in seconds since 1970; default SOURCE_DATE_EPOCH, else 1980.

    Raises:
        subprocess.CalledProcessError: wixl failed; what it printed says why.
    """
    when = int(os.environ.get("SOURCE_DATE_EPOCH", "0")) if at is None else at
    when = max(when, 315532800)  # cabinets know no earlier year than 1980
    with tempfile.TemporaryDirectory(prefix="kubiya-msi-") as given:
        work = Path(given)
        copied = shutil.copytree(folder, work / "files")
        for file in copied.rglob("*"):
            os.utime(file, (when, when))
        document = Xml.ElementTree(source(copied, version=version, icon=icon))
        Xml.indent(document)
        document.write(work / "product.wxs", encoding="utf-8", xml_declaration=True)
        command = tool("wixl", "--arch", "x64", "--output", target, work / "product.wxs")
        subprocess.run(command, check=True)
        settle(target, known=(work / "product.wxs").read_bytes(), seed=package_code(copied, version=version), when=when)
    return target


def settle(file: Path, *, known: bytes, seed: str, when: int) -> None:
    """Replace what wixl makes anew in each build: identifiers that the source has not, and the times in the summary.

    Args:
        file: of wixl, changed in its place.
        known: the source; identifiers in it stay.
        seed: what the new identifiers are made of.
        when: seconds since 1970.

    """
    content = bytearray(file.read_bytes())
    given: dict[bytes, bytes] = {}
    for match in list(_IDENTIFIER.finditer(content)):
        old = match[0]
        if old.upper() in known.upper():
            continue
        new = given.setdefault(old, str(uuid.uuid5(OURS, f"{seed} {len(given)}")).encode())
        content[match.start() : match.end()] = new.upper() if old.isupper() else new
    # [MS-OLEPS] 2.21: a section of the property set has the size, the number of properties, and of each its number and
    # its place in the section; 2.15: a value has its type, and VT_FILETIME is 64.
    set_at = content.index(SUMMARY)
    (offset,) = struct.unpack_from("<I", content, set_at + 16)
    section = set_at + 16 - 44 + offset
    (count,) = struct.unpack_from("<I", content, section + 4)
    for at in range(section + 8, section + 8 + 8 * count, 8):
        place = section + struct.unpack_from("<I", content, at + 4)[0]
        if struct.unpack_from("<I", content, place)[0] == _FILETIME:
            struct.pack_into("<Q", content, place + 4, (when + _SECONDS_FROM_1601_TO_1970) * 10_000_000)
    file.write_bytes(content)


def package_code(folder: Path, *, version: str) -> str:
    """Of exactly these files."""
    content = hashlib.sha256(version.encode())
    for file in files_of(folder):
        content.update(f"{file}\0".encode() + (folder / file).read_bytes())
    return content.hexdigest()
