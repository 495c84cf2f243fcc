"""The window's way to a working copy: with the sandbox of the settings as they are then."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from desktop.system.working_copies import WorkingCopies
from tests.support.engine import home
from worker_core.checkouts.making import prepare
from worker_core.checkouts.record import CheckoutError, CheckoutRecords
from worker_core.settings import Settings
from worker_core.settings.folders import FolderGrant


def a_repository(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a.txt").write_text("one\n")
    who = ["-c", "user.name=Owner", "-c", "user.email=owner@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "begin"]):
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)
    return folder


async def test_a_copy_is_looked_at_and_discarded(tmp_path: Path) -> None:
    repository, paths = a_repository(tmp_path / "repo"), home(tmp_path)
    settings = Settings(sandbox="none", require_sandbox="never")
    copies = WorkingCopies(paths=paths, settings=lambda: settings)
    assert copies.find("e") is None
    prepare(
        str(repository), execution_id="e", ids=(), grants=[FolderGrant(path=repository)],
        records=CheckoutRecords(paths.checkouts), workspaces=paths.workspaces,
    )  # fmt: skip
    (paths.workspaces / "e" / "a.txt").write_text("two\n")
    changes = await copies.changes("e")
    assert [one.path for one in changes.files] == ["a.txt"]
    with pytest.raises(CheckoutError, match="look at them again"):
        await copies.merge("e", seal="0000")
    assert "was not touched" in await copies.discard("e")
    found = copies.find("e")
    assert found is not None
    assert found.state == "discarded"
    settings = Settings(sandbox="none", require_sandbox="always")
    with pytest.raises(CheckoutError, match="is not looked at"):
        await copies.changes("e")
