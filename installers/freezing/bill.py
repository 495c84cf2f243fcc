"""The bill of materials of what was frozen, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from installers.freezing.layout import CONTENTS, FOLDER

_TYPES: Final = {"pypi": "pypi", "debian": "deb/debian", "python": "generic"}
_NAMESPACE: Final = uuid.UUID("6f4c3d0e-5a56-5b0e-9d3f-7a0b6f1c2d43")
"""Ours: of the same components comes the same serial number."""


def purl(component: Mapping[str, Any]) -> str:
    """Its package URL (https://github.com/package-url/purl-spec)."""
    name = component["name"].lower().replace("_", "-") if component["kind"] == "pypi" else component["name"].lower()
    return f"pkg:{_TYPES[component['kind']]}/{quote(name)}@{quote(component['version'], safe='')}"


def _licences(component: Mapping[str, Any]) -> list[dict[str, Any]]:
    said: str = component["licence"]
    if not said:
        return []
    words = said.replace("(", " ").replace(")", " ").split()
    joined = all(word in {"AND", "OR", "WITH"} for word in words[1::2]) and len(words) % 2 == 1
    if component["kind"] != "debian" and joined:
        return [{"expression": said}]
    return [{"license": {"name": said}}]


def _component(component: Mapping[str, Any]) -> dict[str, Any]:
    reference = purl(component)
    return {
        "type": "library",
        "bom-ref": reference,
        "name": component["name"],
        "version": component["version"],
        "purl": reference,
        "licenses": _licences(component),
    }


def made(components: list[dict[str, Any]], *, when: int) -> dict[str, Any]:
    """The whole document.

    Args:
        components: as `licences/index.json` lists them; the first is the program itself.
        when: seconds since 1970; as SOURCE_DATE_EPOCH.

    """
    own, *others = components
    listed = [_component(one) for one in others]
    bill: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z"),
            "component": {**_component(own), "type": "application"},
        },
        "components": listed,
        "dependencies": [{"ref": purl(own), "dependsOn": [one["bom-ref"] for one in listed]}],
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(bill, sort_keys=True))
    return {**bill, "serialNumber": f"urn:uuid:{serial}"}


def write(target: Path) -> None:
    """Of what was frozen last."""
    components = json.loads((FOLDER / CONTENTS / "licences" / "index.json").read_text(encoding="utf-8"))
    bill = made(components, when=int(os.environ["SOURCE_DATE_EPOCH"]))
    target.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
