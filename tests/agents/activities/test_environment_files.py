from __future__ import annotations

import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

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


PLAIN = ("plain.env", "deep/er/key.pem", "ünicode")
ODD = (
    "key[1].pem", "[ab]", "a*b", "why?", "!not", "#comment", "two  words", "ends with ", "back\\slash", "line\nbreak",
    "returned\r", "\udcff.bin",
)  # fmt: skip
"""Names that mean something else where git reads them as a pattern, or cannot stand on one line."""


@pytest.mark.parametrize("names", [PLAIN, PLAIN + ODD if os.name == "posix" else PLAIN])
def test_in_a_working_copy_they_are_no_changes_and_what_only_looks_like_them_is(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    here = tmp_path / "one"
    here.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=here, check=True)
    exclude = here / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_bytes(b"/.kubiya/")
    for _ in range(2):
        assert write_environment_files(tmp_path, "one", [ResolvedFile(path=one, content="x") for one in names]) == ()
    assert len(exclude.read_bytes().splitlines()) == 1 + len(names)
    own = ("key1.pem", "a", "sub/plain.env", "aXb")
    for name in own:
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("the agent's own")
    told = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-standard"], cwd=here, capture_output=True, check=True
    )
    assert sorted(told.stdout.split(b"\0")[:-1]) == sorted(map(os.fsencode, own))
    exclude.unlink()
    exclude.mkdir()
    [sentence] = write_environment_files(tmp_path, "one", [ResolvedFile(path="a", content="new") for _ in range(2)])
    assert "among the changes of its working copy" in sentence
    assert (here / "a").read_text() == "new"


def test_those_of_a_team_are_all_left_out_though_they_come_side_by_side(tmp_path: Path) -> None:
    exclude = tmp_path / "one" / ".git" / "info" / "exclude"
    exclude.parent.mkdir(parents=True)
    names = [f"{number}.env" for number in range(60)]

    def write(name: str) -> tuple[str, ...]:
        return write_environment_files(tmp_path, "one", [ResolvedFile(path=name, content="x")])

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(write, names))
    assert sorted(exclude.read_text().split()) == sorted(f"/{name}" for name in names)
