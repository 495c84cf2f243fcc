"""The cases of `bench.gpu`, with programs that need no GPU: where they run, and what counts as well."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import gpu
from tests.support.gpus import GPUS
from tests.support.walls import needs_bubblewrap
from worker_core.machine.gpus import Found

FINDS = "import os; assert os.path.exists('/dev/nvidia0'), 'no GPU is seen'; print('found')"
"""What works where a GPU is seen: of those of the test, in the sandbox alone."""


class Machine:
    def find(self, wanted: str) -> Found:
        assert wanted == "auto"
        return Found(grant=GPUS)


@pytest.mark.skipif(sys.platform != "linux", reason="only there tools are given GPUs")
@needs_bubblewrap
async def test_each_case_runs_outside_with_gpus_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "GPUS", Machine())
    cases = {"one": ("", FINDS), "none": ("no_such_module", "")}
    outside, given, without, missing = await gpu.measure(sys.executable, cases)
    assert (outside.where, outside.verdict) == ("outside", "ok" if Path("/dev/nvidia0").exists() else "failed")
    assert (given.where, given.verdict, given.said) == ("with GPUs", "ok", "found")
    assert (without.where, without.verdict, without.said) == ("without", "ok", "AssertionError: no GPU is seen")
    assert missing.verdict == "missing"


def test_elsewhere_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("worker_core.machine.gpu_facts.has_driver", lambda: False)
    assert gpu.main([]) == gpu.NOTHING_HERE
    assert "no driver of NVIDIA's" in capsys.readouterr().err
