"""Whose name stands in the commits of tools: nobody's, one that is named, or the owner's where that is allowed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import running_engine
from tests.support.executions import tool
from tests.support.playground import Stage
from worker_core.basics.git_author import git_author_variables
from worker_core.errors import ConfigurationError
from worker_core.settings import Settings, load

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    git_author_variables.cache_clear()
    yield
    git_author_variables.cache_clear()


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose git knows its user."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


def test_the_owner_is_who_git_says(owner: Path) -> None:
    assert dict(git_author_variables("owner")) == {
        "GIT_AUTHOR_NAME": "Ada Lovelace", "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Ada Lovelace", "GIT_COMMITTER_EMAIL": "ada@example.org",
    }  # fmt: skip
    assert git_author_variables("") == {}


def test_an_owner_whom_git_does_not_know_is_nobody(owner: Path, caplog: pytest.LogCaptureFixture) -> None:
    (owner / ".gitconfig").write_text("")
    assert git_author_variables("owner") == {}
    assert "user.name" in caplog.text


@pytest.mark.parametrize("author", ["", "owner", "Grace Hopper <grace@example.org>"])
def test_what_the_setting_takes(tmp_path: Path, author: str) -> None:
    assert (
        load(file=tmp_path / "none.toml", environ={"KUBIYA_WORKER_GIT_AUTHOR": author}, flags={}).git_author == author
    )


@pytest.mark.parametrize("author", ["me", "a@b", "Name <>", "Two <a@b> <c@d>", "Line\nbreak <a@b>"])
def test_what_is_no_author_is_one_sentence(tmp_path: Path, author: str) -> None:
    with pytest.raises(ConfigurationError, match="it must be `owner`, or such as"):
        load(file=tmp_path / "none.toml", environ={"KUBIYA_WORKER_GIT_AUTHOR": author}, flags={})


async def test_a_commit_of_a_tool_has_the_named_author(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings().git_author == ""
    line = "git init -q . && echo x > x && git add x && git commit -q -m one && git log --format='%an <%ae> %cn'"
    async with running_engine(stage, tmp_path, git_author="Grace Hopper <grace@example.org>") as rig:
        execution_id = await rig.execute(tool(line))
        await rig.reach(execution_id, "waiting_for_input", "failed")
        [event] = await rig.sent(execution_id, "tool_completed")
    assert event["data"]["tool_output"].splitlines()[-1] == "Grace Hopper <grace@example.org> Grace Hopper"


def test_git_itself_takes_the_variables(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path), **git_author_variables("A <a@b.c>")}
    said = subprocess.run(
        ["git", "var", "GIT_AUTHOR_IDENT"], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("A <a@b.c> ")
