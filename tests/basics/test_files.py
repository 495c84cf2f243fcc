"""Files that appear whole or not at all, and locks, with real processes and real failures of the system."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from worker_core.basics.files import locked, nearest_existing, write_private


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_whole_and_for_its_owner_alone(tmp_path: Path, durable: bool) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(b"old")
    with file.open("rb") as reading:
        write_private(file, b"new", durable=durable)
        assert reading.read() == b"old", "whoever reads the old one goes on doing so"
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_rights_that_were_asked_for_are_given(tmp_path: Path) -> None:
    write_private(tmp_path / "entry", b"", durable=False, mode=0o644)
    assert stat.S_IMODE((tmp_path / "entry").stat().st_mode) == 0o644 & ~_umask()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_where_it_fails_the_old_one_stays_and_no_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    monkeypatch.setattr(Path, "replace", full if step == "replace" else Path.replace)
    with pytest.raises(OSError, match="No space left"):
        write_private(file, b"new", durable=True)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_only_what_is_durable_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), real(descriptor))[1])
    write_private(tmp_path / "a", b"", durable=False)
    assert synced == []
    write_private(tmp_path / "a", b"", durable=True)
    assert len(synced) == (1 if sys.platform == "win32" else 2), "the file, and its name in the folder"


def test_a_lock_is_one_processs_at_a_time_and_ends_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import sys; from pathlib import Path; from worker_core.basics.files import locked\n"
        f"with locked(Path({str(lock)!r})): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline().split() == [b"held"]
        with pytest.raises(TimeoutError, match="held its lock for too long"), locked(lock, limit_seconds=0):
            pytest.fail("two hold it")
        holder.kill()
        holder.wait()
        with locked(lock):
            pass


def test_threads_take_turns(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(20):
            with locked(tmp_path / "lock", limit_seconds=60):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert most == [1]


def test_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert nearest_existing(tmp_path) == tmp_path


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now
