"""Whether a service is installed, and how systemd says that it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from worker_core.checks.installed_service import service


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that says what stands in the file that is returned."""
    said = tmp_path / "said"
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec cat {said}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    unit = tmp_path / ".config" / "systemd" / "user" / "kubiya-worker.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    return said


async def test_none_is_fine(tmp_path: Path) -> None:
    for system in ("darwin", "win32"):
        assert (await service(system=system, home=tmp_path)).verdict == "ok"


async def test_an_agent_of_macos_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "Library" / "LaunchAgents"
    folder.mkdir(parents=True)
    (folder / "ai.kubiya.worker.plist").touch()
    assert "ai.kubiya.worker.plist" in (await service(system="darwin", home=tmp_path)).sentence


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for systemctl is a shell script")
@pytest.mark.parametrize(
    ("said", "verdict", "says"),
    [
        ("ActiveState=failed\nResult=exit-code\nNRestarts=7\n", "fail", "has failed (exit-code)"),
        ("ActiveState=active\nResult=success\nNRestarts=0\n", "warn", "ends when you log out"),
        ("", "ok", "does not answer"),
    ],
)
async def test_what_systemd_says(systemd: Path, tmp_path: Path, said: str, verdict: str, says: str) -> None:
    systemd.write_text(said)
    found = await service(system="linux", home=tmp_path)
    assert (found.verdict, says in found.sentence) == (verdict, True), found
    assert bool(found.repair) == (verdict != "ok")
