from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker_core.agents.activities import journal as module
from worker_core.agents.activities.journal import Dispatched, Finished, Journal, JournalError, NotDispatched
from worker_core.tools.base import ToolResult

RESULT = ToolResult(
    succeeded=False,
    output="größe\n\0",
    error="It exited with code 3.",
    output_bytes=9,
    saved_to=".kubiya/outputs/x.txt",
    metadata={"exit_code": 3, "nested": [1, None]},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(folder: Path) -> Journal:
    return Journal(folder)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def only_file(folder: Path) -> Path:
    (file,) = files(folder)
    return file


def test_the_life_of_a_call(journal: Journal, folder: Path) -> None:
    assert journal.outcome("e", "c") == NotDispatched()
    assert not folder.exists()
    journal.mark_dispatched("e", "c")
    assert journal.outcome("e", "c") == Dispatched()
    journal.record("e", "c", RESULT)
    assert journal.outcome("e", "c") == Finished(RESULT)
    assert Journal(folder).outcome("e", "c") == Finished(RESULT)
    assert journal.outcome("e", "other") == journal.outcome("other", "c") == NotDispatched()
    journal.forget("e")
    assert journal.outcome("e", "c") == NotDispatched()
    journal.forget("e")
    assert not files(folder)


def test_a_result_without_a_mark_is_kept_too(journal: Journal) -> None:
    """A call that was refused before its effect."""
    journal.record("e", "c", RESULT)
    assert journal.outcome("e", "c") == Finished(RESULT)


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_it_is_private(journal: Journal, folder: Path) -> None:
    old = os.umask(0)
    try:
        journal.mark_dispatched("e", "c")
        assert only_file(folder).stat().st_mode & 0o777 == 0o600
        journal.record("e", "c", RESULT)
    finally:
        os.umask(old)
    assert only_file(folder).stat().st_mode & 0o777 == 0o600
    assert only_file(folder).parent.stat().st_mode & 0o777 == 0o700


# At most once


def test_a_second_mark_is_refused_and_harms_nothing(journal: Journal, folder: Path) -> None:
    journal.mark_dispatched("e", "c")
    with pytest.raises(JournalError, match="Another attempt of this tool call has begun"):
        Journal(folder).mark_dispatched("e", "c")
    journal.record("e", "c", RESULT)
    with pytest.raises(JournalError):
        journal.mark_dispatched("e", "c")
    assert journal.outcome("e", "c") == Finished(RESULT)


def test_of_many_attempts_at_once_one_may_go_on(journal: Journal, folder: Path) -> None:
    for call in range(20):
        gate = threading.Barrier(4)
        won: list[int] = []

        def attempt(number: int, call: int = call, gate: threading.Barrier = gate, won: list[int] = won) -> None:
            gate.wait(60)
            try:
                Journal(folder).mark_dispatched("e", str(call))
            except JournalError:
                return
            won.append(number)

        threads = [threading.Thread(target=attempt, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1


# Crashes


@pytest.mark.parametrize(
    "content",
    [
        b"", b"d", b"dispatched", b"{", b'{"succeeded":true', b'{"succeeded":true,"output":"x', b"\xff\xfe",
        b"\0" * 4096, b"null", b"[]", b"{}", b'{"succeeded":"yes","output":"x"}', b'{"succeeded":true}', b"[" * 100_000,
        b'{"succeeded":true,"output":"x","metadata":' + b'{"a":' * 100_000, b'{"succeeded":true,"output":"\xc3"}',
    ],
    ids=lambda content: repr(content[:30]),
)  # fmt: skip
def test_a_torn_or_corrupted_file_is_an_unknown_outcome(journal: Journal, folder: Path, content: bytes) -> None:
    journal.mark_dispatched("e", "c")
    only_file(folder).write_bytes(content)
    assert journal.outcome("e", "c") == Dispatched()


@given(st.integers(0, 200))
@settings(max_examples=60)
def test_a_record_torn_anywhere_is_never_taken_for_whole(at: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name))
        journal.record("e", "c", RESULT)
        file = only_file(Path(name))
        whole = file.read_bytes()
        file.write_bytes(whole[:at])
        assert journal.outcome("e", "c") == (Finished(RESULT) if at >= len(whole) else Dispatched())


def test_a_record_from_a_newer_or_older_version(journal: Journal, folder: Path) -> None:
    journal.mark_dispatched("e", "c")
    only_file(folder).write_bytes(b'{"succeeded":true,"output":"x","added_later":[1]}')
    assert journal.outcome("e", "c") == Finished(ToolResult(succeeded=True, output="x"))


KILLED = """
import os, signal, sys
from pathlib import Path
from worker_core.agents.activities.journal import Journal
from worker_core.tools.base import ToolResult
journal, kill_in = Journal(Path(sys.argv[1])), sys.argv[2]
def dying(name):
    real = getattr(os, name)
    def call(*a, **k):
        result = real(*a, **k)
        dying.left -= 1
        if dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(os, name, call)
dying.left = int(sys.argv[3])
for name in ("open", "fsync", "replace"):
    dying(name)
if kill_in == "record":
    left, dying.left = dying.left, -1
    journal.mark_dispatched("e", "c")
    dying.left = left
    journal.record("e", "c", ToolResult(succeeded=True, output="x" * 50_000))
else:
    journal.mark_dispatched("e", "c")
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("step", range(1, 7))
@pytest.mark.parametrize("kill_in", ["mark", "record"])
def test_kill_9_at_every_step(journal: Journal, folder: Path, kill_in: str, step: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), kill_in, str(step)], check=False, timeout=60)
    outcome = journal.outcome("e", "c")
    if done.returncode == 0:  # it has fewer steps
        assert outcome == (
            Finished(ToolResult(succeeded=True, output="x" * 50_000)) if kill_in == "record" else Dispatched()
        )
        return
    assert done.returncode == -signal.SIGKILL
    if kill_in == "record":
        assert isinstance(outcome, Dispatched | Finished)
        if isinstance(outcome, Finished):
            assert len(outcome.result.output) == 50_000
        journal.record("e", "c", RESULT)  # whoever comes after is not hindered by what was left
        assert journal.outcome("e", "c") == Finished(RESULT)
    else:
        assert isinstance(outcome, NotDispatched | Dispatched)
    journal.forget("e")
    assert not files(folder)


# Trouble with the disk


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """The system lets no file grow beyond 5 bytes: a write comes through in part, then fails."""
    resource = pytest.importorskip("resource", reason="file size limits are POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
    try:
        yield
    finally:  # at once: pytest writes files as well
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_mark_that_cannot_be_written_is_no_mark(journal: Journal, folder: Path) -> None:
    with small_files(), pytest.raises(JournalError) as failed:
        journal.mark_dispatched("e", "c")
    assert "the call was not made" in failed.value.sentence
    assert "File too large" in failed.value.sentence
    assert journal.outcome("e", "c") == NotDispatched()


def test_a_record_that_cannot_be_written_leaves_the_mark(journal: Journal, folder: Path) -> None:
    journal.mark_dispatched("e", "c")
    with small_files(), pytest.raises(JournalError) as failed:
        journal.record("e", "c", RESULT)
    assert failed.value.sentence.startswith("The tool call was made, but its result could not be kept (File too large)")
    assert journal.outcome("e", "c") == Dispatched()
    assert len(files(folder)) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["fsync", "open"])
def test_a_full_disk(journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str) -> None:
    def full(*_: Any, **__: Any) -> int:
        raise OSError(number, os.strerror(number))

    journal.mark_dispatched("e", "marked")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(JournalError, match=r"the disk is full.*the call was not made"):
        journal.mark_dispatched("e", "c")
    with pytest.raises(JournalError, match=r"The tool call was made.*the disk is full.*look first"):
        journal.record("e", "marked", RESULT)
    monkeypatch.undo()
    assert journal.outcome("e", "c") == NotDispatched()
    assert journal.outcome("e", "marked") == Dispatched()
    assert len(files(folder)) == 1
    journal.mark_dispatched("e", "c")


def test_a_drive_that_cannot_sync_folders_will_do(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_known(folder: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (not_known if _is_folder(descriptor) else real)(descriptor))
    journal.mark_dispatched("e", "c")
    journal.record("e", "c", RESULT)
    assert journal.outcome("e", "c") == Finished(RESULT)


def _is_folder(descriptor: int) -> bool:
    import stat

    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_a_folder_that_may_only_be_read() -> None:
    name = Path(tempfile.mkdtemp())
    try:
        name.chmod(0o755)
        Journal(name).mark_dispatched("e", "begun")
        for path in (name, *name.iterdir()):
            path.chmod(0o555)
        only_file(name).chmod(0o644)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # nothing is read-only for root
        try:
            journal = Journal(name)
            assert journal.outcome("e", "begun") == Dispatched()
            for execution in ("e", "f"):
                with pytest.raises(
                    JournalError, match=r"cannot be written \(Permission denied\); the call was not made"
                ):
                    journal.mark_dispatched(execution, "c")
            with pytest.raises(JournalError, match="The tool call was made"):
                journal.record("e", "begun", RESULT)
            journal.forget("e")
            assert journal.sweep(older_than=timedelta(seconds=-100), now=time.time()) == 0
            assert journal.outcome("e", "begun") == Dispatched()
        finally:
            os.seteuid(user)
    finally:
        for path in (name, *name.iterdir()):
            path.chmod(0o755)
        shutil.rmtree(name)


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file")
    with pytest.raises(JournalError, match="cannot be read"):
        journal.outcome("e", "c")
    with pytest.raises(JournalError, match="not made"):
        journal.mark_dispatched("e", "c")
    assert journal.sweep(older_than=timedelta(0), now=time.time()) == 0
    journal.forget("e")


# Contents


@given(
    st.builds(
        ToolResult,
        succeeded=st.booleans(),
        output=st.text(),
        error=st.none() | st.text(),
        output_bytes=st.integers(0, 2**63),
        saved_to=st.none() | st.text(st.characters(codec="utf-8")),
        metadata=st.dictionaries(
            st.text(st.characters(codec="utf-8")), st.integers(-(2**63), 2**63) | st.booleans() | st.none()
        ),
    )
)
def test_what_is_recorded_comes_back(result: ToolResult) -> None:
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name))
        journal.record("e", "c", result)
        outcome = journal.outcome("e", "c")
    assert isinstance(outcome, Finished)

    def writable(text: str) -> str:
        return text.encode("utf-8", "replace").decode()

    assert outcome.result == dataclasses.replace(
        result, output=writable(result.output), error=result.error and writable(result.error)
    )


def test_outputs_of_50_kb_and_facts_that_are_no_json(journal: Journal) -> None:
    result = ToolResult(succeeded=True, output="\u20ac" * 50_000, metadata={"path": Path("x")})
    journal.record("e", "c", result)
    assert journal.outcome("e", "c") == Finished(dataclasses.replace(result, metadata={"path": "x"}))


@pytest.mark.parametrize("identifier", ["", "../../x", "/etc/passwd", "a\0b", "\ud800", "x" * 10_000, "CON", "ü"])
def test_ids_are_never_paths(journal: Journal, folder: Path, identifier: str) -> None:
    journal.mark_dispatched(identifier, identifier)
    assert journal.outcome(identifier, identifier) == Dispatched()
    assert only_file(folder).parent.parent == folder
    assert Journal(folder).outcome(identifier, identifier + "x") == NotDispatched()


# Sweeping


def test_sweep(journal: Journal, folder: Path) -> None:
    assert journal.sweep(older_than=timedelta(0), now=time.time()) == 0
    for execution in ("old", "new"):
        journal.mark_dispatched(execution, "c")
    (folder / "a-stray-file").touch()
    old = next(path for path in folder.iterdir() if path.is_dir() and path.name == module._name("old"))
    for path in (old, folder / "a-stray-file"):
        os.utime(path, (time.time() - 1000,) * 2)
    assert journal.sweep(older_than=timedelta(seconds=2000), now=time.time()) == 0
    assert journal.sweep(older_than=timedelta(seconds=500), now=time.time()) == 1
    assert journal.outcome("old", "c") == NotDispatched()
    assert journal.outcome("new", "c") == Dispatched()
    assert journal.sweep(older_than=timedelta(seconds=500), now=time.time()) == 0


def test_a_new_call_keeps_its_execution_from_being_swept(journal: Journal, folder: Path) -> None:
    journal.mark_dispatched("e", "first")
    os.utime(folder / module._name("e"), (time.time() - 1000,) * 2)
    journal.record("e", "first", RESULT)
    assert journal.sweep(older_than=timedelta(seconds=500), now=time.time()) == 0


def test_what_was_made_before_the_machine_knew_the_time_is_not_old(journal: Journal, folder: Path) -> None:
    """A board without a battery begins in 1970, and hears the time some minutes later."""
    journal.mark_dispatched("e", "c")
    os.utime(folder / module._name("e"), (3600.0, 3600.0))
    now = time.time()
    assert journal.sweep(older_than=timedelta(days=30), now=now) == 0
    assert journal.outcome("e", "c") == Dispatched()
    assert journal.sweep(older_than=timedelta(days=30), now=now + 31 * 86_400) == 1, "it is dated from then on"


def test_two_may_sweep_at_once(journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        journal.mark_dispatched(str(number), "c")
    listed = list(folder.iterdir())
    shutil.rmtree(listed[1])
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(listed))
    assert journal.sweep(older_than=timedelta(seconds=-100), now=time.time()) == 3


def test_executions_at_once(folder: Path) -> None:
    errors: list[BaseException] = []

    def live(execution: str) -> None:
        try:
            journal = Journal(folder)
            for number in range(15):
                call = f"call-{number}"
                result = ToolResult(succeeded=True, output=f"{execution} {call}")
                assert journal.outcome(execution, call) == NotDispatched()
                journal.mark_dispatched(execution, call)
                journal.record(execution, call, result)
                assert journal.outcome(execution, call) == Finished(result)
            journal.forget(execution)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=live, args=(f"execution-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert not files(folder)
