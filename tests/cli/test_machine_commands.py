"""logs from the file, and purge."""

from __future__ import annotations

import itertools
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import CommandLine, Keychain
from tests.support.http_server import Answer, serving
from worker_core import __version__
from worker_core.basics.plain import plain
from worker_core.cli.logs import tail
from worker_core.logs.ring import LogLine, now
from worker_core.logs.sinks import FileSink, LogFormat
from worker_core.paths import Paths
from worker_core.secrets import SERVICE, account_of
from worker_core.workspaces import anchored

STYLES: list[LogFormat] = ["text", "json", "json"]


def line(message: str, level: str = "INFO") -> LogLine:
    return LogLine(at=now(), level=level, logger="worker_core.test", message=message)


def test_logs_of_a_worker_that_is_gone(offline: CommandLine) -> None:
    file = offline.home / "state" / "logs" / "worker.log"
    sink = FileSink(file)
    for number in range(100):
        sink.write(line(f"line {number}\nwith more", "WARNING" if number == 99 else "INFO"))
    sink.close()
    answer = offline("logs", "-n", "2")
    assert answer.code == 0
    assert [part[9:] for part in answer.out.splitlines()] == [
        "INFO    line 98", "        with more", "WARNING line 99", "        with more",
    ]  # fmt: skip
    assert [entry["message"] for entry in offline("logs", "--json", "-n", "1").lines] == ["line 99\nwith more"]
    assert offline("logs", "-n", "0").out == ""
    assert "No worker runs" in offline("logs", "-f").err


@given(st.lists(st.text(max_size=40).map(plain).filter(lambda text: "\r" not in text), max_size=8), st.integers(0, 10))
def test_the_end_of_a_log_file_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, messages: list[str], last: int
) -> None:
    file = tmp_path_factory.mktemp("logs") / "worker.log"
    file.touch()
    for style, message in zip(itertools.cycle(STYLES), messages):
        sink = FileSink(file, style=style)
        sink.write(line(message))
        sink.close()
    found = [one.message.split() for one in tail(file, last)]
    assert found == [message.split() for message in messages][len(messages) - min(last, len(messages)) :]


# --- purge --------------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(offline: CommandLine) -> Paths:
    """A home in which a worker has worked, with something of somebody else's beside it."""
    paths = Paths.from_environment(offline.environment)
    for folder in (paths.workspaces, paths.journal, paths.spool, paths.logs, paths.playground, paths.runtime):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x" * 1000)
    paths.config.mkdir()
    paths.settings_file.write_text("")
    paths.host_id_file.write_text("abcdefghijkl")
    return paths


def test_purge_says_what_it_removes_and_removes_it(offline: CommandLine, filled: Paths, keychain: Keychain) -> None:
    keychain.kept[SERVICE, account_of(offline.environment["CONTROL_PLANE_URL"])] = "key-0123456789"
    keychain.kept["other", "entry"] = "stays"
    answer = offline("purge", "--yes")
    assert answer.code == 0, answer
    for what in ("settings", "host id", "logs", "workspaces", "undelivered events", "playground", "API key"):
        assert f"\n{what} " in answer.out
    assert str(filled.workspaces) in answer.out
    assert answer.out.endswith("Removed 6.0 kB.\n")
    assert not offline.home.exists()
    assert keychain.kept == {("other", "entry"): "stays"}
    filled.state.mkdir(parents=True)
    assert offline("purge", "--yes").out == "There is nothing to remove.\n"
    assert not offline.home.exists(), "an empty folder is no thing, and goes as well"


def test_purge_for_machines(offline: CommandLine, filled: Paths, keychain: Keychain) -> None:
    del keychain
    answer = offline("purge", "--yes", "--json").json
    assert str(filled.logs) in answer["removed"]
    assert (answer["bytes"], answer["key_removed"], answer["left"]) == (6012, False, [])


def test_purge_asks_first(offline: CommandLine, filled: Paths) -> None:
    answer = offline("purge", stdin="y\n")
    assert answer.code == 2
    assert "--yes" in answer.err
    assert filled.logs.exists()


def test_purge_leaves_what_is_not_the_workers(offline: CommandLine, filled: Paths) -> None:
    (filled.state / "mine").write_text("mine")
    (offline.home / "mine").write_text("mine")
    assert offline("purge", "--yes").code == 0
    assert sorted(path.name for path in offline.home.rglob("*")) == ["mine", "mine", "state"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_purge_removes_links_and_not_what_they_point_to(offline: CommandLine, filled: Paths, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("precious")
    (filled.workspaces / "link").symlink_to(tmp_path / "elsewhere")
    filled.journal.joinpath("file").unlink()
    filled.journal.rmdir()
    filled.journal.symlink_to(tmp_path / "elsewhere")
    assert offline("purge", "--yes").code == 0
    assert not offline.home.exists()
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_purge_waits_for_a_running_playground(offline: CommandLine, filled: Paths) -> None:
    process = psutil.Process()
    known = {"pid": process.pid, "created": process.create_time()}
    (filled.playground / "temporal.pid").write_text(json.dumps(known))
    answer = offline("purge", "--yes")
    assert answer.code == 1
    assert "A playground runs" in answer.err
    assert filled.logs.exists()


def test_purge_removes_what_is_read_only(offline: CommandLine, filled: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Git leaves its objects. Windows removes no such file (Microsoft's documentation of `DeleteFile`)."""
    real = os.unlink

    def refuses_read_only(path: Any, *, dir_fd: int | None = None) -> None:
        if not os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_mode & stat.S_IWRITE:
            raise PermissionError(13, "Access is denied", str(path))
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuses_read_only)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: refuses_read_only(path))
    monkeypatch.setattr(anchored, "HAS_DESCRIPTORS", False)
    for file in (filled.workspaces / "file", filled.settings_file):
        file.chmod(0o400)
    answer = offline("purge", "--yes")
    assert answer.code == 0, answer
    assert not filled.workspaces.exists()
    assert not filled.settings_file.exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may remove everything")
def test_purge_says_what_it_could_not_remove(offline: CommandLine, filled: Paths) -> None:
    filled.state.chmod(0o500)
    try:
        answer = offline("purge", "--yes")
    finally:
        filled.state.chmod(0o700)
    assert answer.code == 1
    assert str(filled.workspaces) in answer.err


# --- data ---------------------------------------------------------------------------------------------------------


def test_data_says_which_versions_can_use_them(offline: CommandLine, filled: Paths) -> None:
    answer = offline("data", "show")
    assert answer.out.startswith(f"The data in {filled.state} have format 1. This is {__version__}: format 1.\n")
    assert not filled.data_format_file.exists(), "looking changes nothing"
    said = offline("data", "lead-back", "1", "--json").json
    assert (said["format"], said["readable_from"], said["program_format"]) == (1, 1, 1)
    answer = offline("data", "lead-back", "2")
    assert (answer.code, answer.out) == (3, "")
    assert "cannot be led back to 2" in answer.err


def test_data_of_a_later_version_are_left_alone_by_whoever_would_use_them(offline: CommandLine, filled: Paths) -> None:
    filled.data_format_file.write_text('{"format": 2, "readable_from": 2, "version": "9.0.0"}')
    before = sorted(filled.state.rglob("*"))
    for command in (["data", "show"], ["start", "--queue-id", "q1"], ["start", "--queue-id", "q1", "--daemon"]):
        answer = offline(*command, KUBIYA_API_KEY="key-0123456789")
        assert answer.code == 3, command
        assert "written by Kubiya Worker 9.0.0 (format 2)" in answer.err
    assert "written by Kubiya Worker 9.0.0" in offline("doctor", "state-folder").out
    assert sorted(filled.state.rglob("*")) == before


def test_the_doctor_calls_its_user_where_that_is_wanted(offline: CommandLine) -> None:
    with serving(lambda _: Answer()) as server:
        offline.environment["KUBIYA_WORKER_NOTIFY_WEBHOOK"] = f"http://127.0.0.1:{server.port}/"
        unasked = offline("doctor", "calls-for-you")
        assert (unasked.code, server.requests) == (0, [])
        answer = offline("doctor", "--notify", "--json", "calls-for-you")
    assert [json.loads(one.body)["event"] for one in server.requests] == ["test"]
    assert [(one["id"], one["status"]) for one in answer.json["checks"]] == [("calls-for-you", "ok")]
