"""What the catalogues of the window's languages lack, and what they have too much, as JSON.

Usage: python scripts/languages.py
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from worker_core.settings import SETTINGS, Kind

ROOT = Path(__file__).resolve().parent.parent
DESKTOP = ROOT / "desktop"
WORKER = ROOT / "worker_core"
CATALOGUES = DESKTOP / "look" / "languages"


def calls(folder: Path = DESKTOP) -> Iterator[tuple[Path, ast.Call]]:
    """Every call in the code of `folder`: the window's."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield file, node


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


@cache
def said() -> frozenset[str]:
    """The texts that people read in the window: its own, those of settings, and what a worker says.

    Raises:
        ValueError: one is not written out, so no catalogue can have it.
    """
    worker = written_out("worded", WORKER) | written_out("worded", DESKTOP)
    return frozenset(written_out("tr", DESKTOP) | worker | declared())


def written_out(name: str, folder: Path) -> set[str]:
    """The first argument of each call of `name` in the code of `folder`.

    Raises:
        ValueError: one is not written out.
    """
    found = set()
    for file, call in calls(folder):
        if name_of(call) == name:
            text = call.args[0]
            if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
                raise ValueError(f"{file.relative_to(ROOT)}:{call.lineno}: {name}() needs its text written out")
            found.add(text.value)
    return found


def declared() -> set[str]:
    """The texts that go through `translated`: what the declarations of settings say, but for those not on the page."""
    shown = [one for one in SETTINGS.values() if one.kind is not Kind.SECRET]
    return {text for one in shown for text in (one.group.value, one.title, one.meaning)}


def catalogues() -> dict[str, dict[str, str]]:
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(CATALOGUES.glob("*.json"))}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"{\w+}", text))


def main() -> int:
    texts = said()
    report = {
        name: {"missing": sorted(texts - catalogue.keys()), "stale": sorted(catalogue.keys() - texts)}
        for name, catalogue in catalogues().items()
    }
    print(json.dumps(report, ensure_ascii=False, indent=1))
    return 1 if any(part for one in report.values() for part in one.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
