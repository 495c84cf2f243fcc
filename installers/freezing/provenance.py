"""From what, and by what, the files of a release were built: an in-toto statement with SLSA's provenance, version 1.

https://slsa.dev/spec/v1.0/provenance. It is not signed here: whoever signs the release signs it with the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from installers.freezing.layout import ROOT
from worker_core import __version__

_BUILD_TYPE: Final = "https://kubiya.ai/worker/make-package/v1"
_INPUTS: Final = ("build.spec", "pyproject.toml", "requirements/dev.txt")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def made(folder: Path) -> dict[str, Any]:
    """About the files of a folder. Two builds of one commit on machines of one kind say the same."""
    inputs = [{"uri": f"file:{name}", "digest": {"sha256": _sha256(ROOT / name)}} for name in _INPUTS]
    if commit := _git("rev-parse", "HEAD"):
        inputs.insert(0, {"uri": "git+kubiya-worker", "digest": {"gitCommit": commit}})
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": one.name, "digest": {"sha256": _sha256(one)}} for one in sorted(folder.iterdir()) if one.is_file()
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": {
                    "version": __version__,
                    "sourceDateEpoch": int(os.environ["SOURCE_DATE_EPOCH"]),
                    "changedSinceTheCommit": bool(_git("status", "--porcelain", "--untracked-files=no")),
                },
                "internalParameters": {
                    "system": sys.platform,
                    "machine": platform.machine(),
                    "python": platform.python_version(),
                },
                "resolvedDependencies": inputs,
            },
            "runDetails": {"builder": {"id": os.environ.get("KUBIYA_BUILDER", "local")}},
        },
    }


def write(target: Path, folder: Path) -> None:
    """Of the files in that folder, which this one then joins."""
    statement = made(folder)
    target.write_text(json.dumps(statement, indent=1) + "\n", encoding="utf-8")
