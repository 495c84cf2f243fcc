"""Where there is nothing to ask, nobody pays for it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no node says that there is no driver")
@pytest.mark.parametrize(("gpu", "node"), [("off", "/dev/null"), ("all", "/dev/no such driver")])
def test_nothing_is_imported_for_it(gpu: str, node: str) -> None:
    script = f"""
import sys
from types import SimpleNamespace
from worker_core.sandbox import gpu_look

gpu_look.NODES = ({node!r},)
before = set(sys.modules)
worker = SimpleNamespace(settings=SimpleNamespace(gpu={gpu!r}), snapshot=None)
print(gpu_look.gpus(worker), sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "None []\n"
