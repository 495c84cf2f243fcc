"""Folders for their owner alone, whatever the umask; and what somebody else could have written is not believed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.support.engine import home
from worker_core.errors import ExitCode
from worker_core.paths import UnsafeFolder, is_private, private_directory
from worker_core.policy.questions import ApprovalBook, Asked

if sys.platform == "win32":
    pytest.skip("Windows keeps these folders in the user's profile", allow_module_level=True)

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
NOBODY = 65534


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_new_folder_is_private(tmp_path: Path, umask: int) -> None:
    made = private_directory(tmp_path / "a" / "b" / "c")
    assert [mode(path) for path in (made, made.parent, made.parent.parent)] == [0o700] * 3
    existing = tmp_path / "shared"
    existing.mkdir()
    existing.chmod(0o755)
    private_directory(existing / "mine")
    assert (mode(existing), mode(existing / "mine")) == (0o755, 0o700), "what was there is left alone"
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        private_directory(tmp_path / "file")


def test_a_workers_folders_are_private(tmp_path: Path, umask: int) -> None:
    paths = home(tmp_path)
    book = ApprovalBook(paths.approvals)
    book.grant("one", frozenset({"command ls"}))
    for folder in (paths.state, paths.approvals, paths.approvals / "one"):
        assert mode(folder) == 0o700
    paths.check()


@pytest.mark.parametrize("name", ["config", "state", "runtime", "approvals", "journal", "workspaces"])
@pytest.mark.parametrize("rights", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, name: str, rights: int) -> None:
    paths = home(tmp_path)
    folder: Path = getattr(paths, name)
    private_directory(folder)
    folder.chmod(rights)
    with pytest.raises(UnsafeFolder, match="chmod -R go-rwx") as refused:
        paths.check()
    assert str(folder) in refused.value.sentence
    assert refused.value.exit_code == ExitCode.NOT_CONFIGURED
    folder.chmod(0o700)
    paths.check()


def test_a_state_that_others_can_only_read_is_closed(tmp_path: Path) -> None:
    paths = home(tmp_path)
    private_directory(paths.state).chmod(0o755)
    paths.check()
    assert mode(paths.state) == 0o700


@only_root
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    paths = home(tmp_path)
    private_directory(paths.approvals)
    os.chown(paths.approvals, NOBODY, NOBODY)
    with pytest.raises(UnsafeFolder, match="belongs to nobody"):
        paths.check()


def test_no_worker_starts_on_it(tmp_path: Path) -> None:
    paths = home(tmp_path)
    private_directory(paths.state).chmod(0o777)
    environment = {
        **os.environ, "KUBIYA_WORKER_HOME": str(tmp_path), "KUBIYA_API_KEY": "k" * 20,
        "CONTROL_PLANE_URL": "http://127.0.0.1:9",
    }  # fmt: skip
    started = subprocess.run(
        [sys.executable, "-m", "worker_core", "start", "--queue-id=q", "--fail-fast"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert started.returncode == 3
    assert "Other users of this machine can write to the folder" in started.stderr
    assert list(paths.state.iterdir()) == []


def plant(file: Path, content: bytes, *, how: str) -> None:
    private_directory(file.parent)
    target = file.parent.parent / "elsewhere.json" if how == "link" else file
    target.write_bytes(content)
    target.chmod({"writable": 0o666, "of the group": 0o660}.get(how, 0o600))
    if how == "link":
        file.symlink_to(target)
    if how == "somebody's":
        os.chown(file, NOBODY, NOBODY)


@pytest.mark.parametrize("how", ["writable", "of the group", "link", pytest.param("somebody's", marks=only_root)])
def test_a_planted_grant_is_not_believed(tmp_path: Path, how: str) -> None:
    paths = home(tmp_path)
    plant(paths.approvals / "one" / "granted.json", b'["command rm -rf x"]', how=how)
    now = datetime.now(UTC)
    asked = Asked(
        id="a", execution_id="two", call_id="c", workflow_id="w", queue_id="q", tool="shell", digest="d", parts=(),
        asked_at=now, expires_at=now + timedelta(hours=1), answer="allow",
    )  # fmt: skip
    plant(paths.approvals / "two" / "a.json", msgspec.json.encode(asked), how=how)
    book = ApprovalBook(paths.approvals)
    assert book.granted("one") == frozenset()
    assert book.get("two", "c", digest="d") is None
    assert not is_private(paths.approvals / "one" / "granted.json")


def test_windows_says_nothing_of_a_files_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, link = tmp_path / "a.json", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    file.chmod(0o666)  # as Python on Windows says of each
    with monkeypatch.context() as patched:
        patched.setattr("sys.platform", "win32")
        assert (is_private(file), is_private(link), is_private(tmp_path)) == (True, False, False)
    assert is_private(file) is (os.name == "nt")


def test_an_own_grant_is_believed_after_a_restart(tmp_path: Path) -> None:
    paths = home(tmp_path)
    ApprovalBook(paths.approvals).grant("one", frozenset({"command ls"}))
    assert ApprovalBook(paths.approvals).granted("one") == {"command ls"}
