"""What `docs/deployments.md` shows is what the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from worker_core.cli.root import command
from worker_core.settings.load import load

PAGE = (Path(__file__).parents[2] / "docs" / "deployments.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = re.findall(r"^\$ (.*kubiya-worker .*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("content", FILES)
def test_each_file_is_read(content: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(content)
    settings = load(file=file, environ={})
    for name in re.findall(r"^(\w+) =", content, re.MULTILINE):
        assert getattr(settings, name) != getattr(load(environ={}), name) or name in {"approvals", "require_sandbox"}


@pytest.mark.parametrize("line", LINES)
def test_each_command_is_taken(line: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key")
    words = shlex.split(re.sub(r"/etc/kubiya/\w+\.key", (tmp_path / "key").as_posix(), line))
    words = words[words.index("kubiya-worker") + 1 :]
    context = click.Context(command, info_name="kubiya-worker")
    _, found, rest = command.resolve_command(context, words)
    assert found is not None
    found.make_context(words[0], list(rest), parent=context)


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) >= 4
    assert len(LINES) >= 5
