"""Programs of ours that no package holds, as modules."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    """A file of `scripts/`."""
    return module_of(ROOT / "scripts" / f"{name}.py")


def set_up(name: str, *, what: str, by: str = "") -> Path:
    """Where `make test-NAME` (or what stands in `by`) has what it set up, as it tells pytest; a test without that is
    skipped."""
    folder = os.environ.get(f"KUBIYA_TEST_{name.upper()}", "")
    if not folder:
        pytest.skip(f"`{by or f'make test-{name}'}` sets up {what}")
    return Path(folder)


def module_of(file: Path) -> ModuleType:
    """A file that finds those beside it, as it does when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(file.parent)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
