from __future__ import annotations

import os
import stat
from pathlib import Path

from worker_core.agents.activities import environment_files
from worker_core.agents.activities.environment_files import write_environment_files
from worker_core.control_plane.models import ResolvedFile


def test_files_are_written_with_their_modes_and_the_rest_is_named(tmp_path: Path) -> None:
    files = [
        ResolvedFile(path="config/app.toml", content="a = 'ü'\n", mode="0640"),
        ResolvedFile(path="run.sh", content="#!/bin/sh\n", mode="755"),
        ResolvedFile(path="odd", content="x", mode="rwx"),
        ResolvedFile(path="/etc/passwd", content="x"),
        ResolvedFile(path="../../x", content="x"),
        ResolvedFile(path="~/.aws/credentials", content="x"),
        ResolvedFile(path=".kubiya/transcript.jsonl", content="x"),
        ResolvedFile(path=".//.kubiya/x", content="x"),
        ResolvedFile(path="././/.kubiya//x", content="x"),
        ResolvedFile(path=".Kubiya/x", content="x"),
        ResolvedFile(path=".kubiya./x", content="x"),
        ResolvedFile(path=".kubiya", content="x"),
        ResolvedFile(path=".kubiyarc", content="its own"),
        ResolvedFile(path="", content="x"),
        ResolvedFile(path="run.sh/below", content="x"),
    ]
    unwritten = write_environment_files(tmp_path / "all", "one", files)
    here = tmp_path / "all" / "one"
    assert (here / "config/app.toml").read_text(encoding="utf-8") == "a = 'ü'\n"
    if os.name != "nt":
        modes = [stat.S_IMODE((here / name).stat().st_mode) for name in ("config/app.toml", "run.sh", "odd")]
        assert modes == [0o640, 0o755, 0o600]
    assert len(unwritten) == 11
    assert all(sentence.endswith(".") and "environment" in sentence for sentence in unwritten)
    assert sorted(one.name for one in here.rglob("*")) == [".kubiyarc", "app.toml", "config", "odd", "run.sh"]
    assert write_environment_files(tmp_path / "all", "one", files) == unwritten


def test_too_much_is_said(tmp_path: Path) -> None:
    half = "x" * (environment_files.LARGEST_BYTES // 2 + 1)
    [sentence] = write_environment_files(
        tmp_path, "one", [ResolvedFile(path=name, content=half) for name in ("a", "b", "c")]
    )
    assert "20 MB" in sentence
    assert [one.name for one in (tmp_path / "one").iterdir()] == ["a"]
