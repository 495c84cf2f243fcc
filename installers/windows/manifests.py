"""Manifests for winget, of what was built: three files, as its repository of packages wants them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from installers.windows import msi

IDENTIFIER: Final = "Kubiya.Worker"
SCHEMA: Final = "1.9.0"
"""Of the manifests' format, as Microsoft numbers it."""

DOWNLOADS: Final = "https://github.com/kubiyabot/kubiya-worker/releases/download/v{version}/{file}"
HOME: Final = "https://github.com/kubiyabot/kubiya-worker"


def documents(built: Sequence[Path], *, version: str) -> dict[str, dict[str, Any]]:
    """Each file's name and content.

    Args:
        built: the setup, and the MSI where there is one.
        version: of the program.

    """
    head = {"PackageIdentifier": IDENTIFIER, "PackageVersion": version}

    def kind(name: str) -> dict[str, str]:
        return {"ManifestType": name, "ManifestVersion": SCHEMA}

    return {
        f"{IDENTIFIER}.yaml": {**head, "DefaultLocale": "en-US", **kind("version")},
        f"{IDENTIFIER}.installer.yaml": {
            **head,
            "MinimumOSVersion": "10.0.17763.0",
            "UpgradeBehavior": "install",
            "Commands": ["kubiya-worker", "kubiya-worker-desktop"],
            "Installers": [_installer(file, version=version) for file in built],
            **kind("installer"),
        },
        f"{IDENTIFIER}.locale.en-US.yaml": {
            **head,
            "PackageLocale": "en-US",
            "Publisher": "Kubiya",
            "PackageName": msi.NAME,
            "PackageUrl": HOME,
            "License": "Apache-2.0",
            "LicenseUrl": f"{HOME}/blob/v{version}/LICENSE",
            "ShortDescription": "A self-hosted worker: executes AI-agent workflows on your own machine, with a tray.",
            "Moniker": "kubiya-worker",
            "Tags": ["agent", "ai", "temporal", "worker"],
            **kind("defaultLocale"),
        },
    }


def _installer(file: Path, *, version: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "Architecture": "x64",
        "InstallerUrl": DOWNLOADS.format(version=version, file=file.name),
        "InstallerSha256": hashlib.sha256(file.read_bytes()).hexdigest().upper(),
    }
    if file.suffix == ".msi":
        return {**told, "InstallerType": "wix", "Scope": "machine", "ProductCode": f"{{{msi.product_code(version)}}}"}
    return {**told, "InstallerType": "nullsoft", "Scope": "user", "ProductCode": "ai.kubiya.worker"}


def yaml(document: Mapping[str, Any]) -> str:
    """As YAML: texts in quotes, save plain words."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Mapping[str, Any], *, indent: str = "") -> Iterator[str]:
    for name, value in document.items():
        if not isinstance(value, list):
            yield f"{indent}{name}: {_text(value)}"
            continue
        yield f"{indent}{name}:"
        for one in value:
            if isinstance(one, Mapping):
                first, *rest = _lines(one)
                yield f"{indent}- {first}"
                yield from (f"{indent}  {line}" for line in rest)
            else:
                yield f"{indent}- {_text(one)}"


def _text(value: str) -> str:
    return (
        value
        if re.fullmatch(r"[A-Za-z][A-Za-z -]*", value)
        else '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"'
    )


def write(built: Sequence[Path], *, version: str, output: Path) -> list[Path]:
    """Write them into a folder of their own; the files."""
    output.mkdir(parents=True, exist_ok=True)
    files = []
    for name, document in documents(built, version=version).items():
        file = output / name
        file.write_text(yaml(document), encoding="utf-8", newline="\n")
        files.append(file)
    return files
